"""Starts and stops a client: a unit of systemd, or a process of its own where there is none."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from typing import Final

from sriovbond import ownfiles, systemd
from sriovbond.container import program
from sriovbond.dhcp import files
from sriovbond.errors import MachineError
from sriovbond.host import Host

UNIT: Final = "sriovbond-dhcp@.service"
_ASK_S: Final = 30.0
_STOP_S: Final = 10.0
_PAUSE_S: Final = 0.05
_TEXT: Final = """\
[Unit]
Description=DHCPv4 on %i, for sriovbond host
Before=network.target
StartLimitIntervalSec=0

[Service]
{environment}ExecStart={program} --state {state} --root {root} --run {run} -- %i
Restart=always
RestartSec=1
# No document asks for it, its file is malformed (EX_CONFIG), or the call is (2).
RestartPreventExitStatus={final} 2
TimeoutStopSec=5
# What is left of root: packets, links, addresses and routes, a port below 1024.
CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BIND_SERVICE
NoNewPrivileges=yes
ProtectSystem=strict
# resolv.conf is replaced, in its folder.
ReadWritePaths={state} {etc} {run}
ProtectHome=read-only
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
PrivateTmp=yes
RestrictAddressFamilies=AF_NETLINK AF_PACKET AF_INET AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
MemoryMax=128M
CPUQuota=50%
TasksMax=8
"""


def start(host: Host, name: str) -> str:
    """Start an interface's client anew; return what it is, in words. Raises MachineError."""
    stop(host, name)
    files.remove_status(host, name)
    if systemd.is_usable():
        _install(host)
        unit = _instance(name)
        systemd.systemctl("start", unit)
        return f"the unit {unit}"
    _start_process(host, name)
    return "a process of its own"


def stop(host: Host, name: str) -> None:
    """Stop an interface's client, if one runs; its address stays. Raises MachineError."""
    if systemd.is_usable() and systemd.unit_file(host.root, UNIT).exists():
        systemd.systemctl("stop", _instance(name))
        with suppress(MachineError):
            systemd.systemctl("reset-failed", _instance(name))
    deadline = time.monotonic() + _STOP_S
    number = signal.SIGTERM
    while files.is_running(host, name):
        if time.monotonic() >= deadline:
            if number == signal.SIGKILL:
                raise MachineError(f"cannot stop the client of DHCP on {name}: it does not end")
            number, deadline = signal.SIGKILL, time.monotonic() + _STOP_S
        with suppress(ProcessLookupError):
            _signal(host, name, number)
        time.sleep(_PAUSE_S)


def uninstall(host: Host) -> None:
    """Remove the unit; its clients are stopped by then. Idempotent. Raises MachineError."""
    systemd.remove_unit(host.root, UNIT)


def text(host: Host) -> str:
    """Return the unit's file."""
    return _TEXT.format(
        environment=systemd.environment_line(),
        program=" ".join(map(systemd.word, program.words("sriovbond.dhcp"))),
        final=os.EX_CONFIG,
        state=systemd.word(str(host.state)),
        root=systemd.word(str(host.root)),
        run=systemd.word(str(host.run)),
        etc=systemd.word(str(host.root / "etc")),
    )


def _instance(name: str) -> str:
    return UNIT.replace("@", f"@{name}")


def _install(host: Host) -> None:
    """Install the unit where it is missing, or another one."""
    ownfiles.make_folder(files.run_folder(host), os.geteuid())
    systemd.write_unit(host.root, UNIT, text(host))


def _start_process(host: Host, name: str) -> None:
    """Start it in a session of its own, by a shell that ends at once: it is no child of ours."""
    options = ["--state", str(host.state), "--root", str(host.root), "--run", str(host.run)]
    command = [*program.words("sriovbond.dhcp"), "--leave-container", *options, "--", name]
    try:
        subprocess.run(  # noqa: S603 - words of our own
            ["/bin/sh", "-c", '"$@" &', "sh", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
            timeout=_ASK_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise MachineError(f"cannot start the client of DHCP on {name}: {error}") from error


def _signal(host: Host, name: str, number: signal.Signals) -> None:
    """Signal the process that holds the lock, whose id is in it."""
    content = files.lock_path(host, name).read_text(encoding="ascii", errors="replace").strip()
    if content.isdecimal() and files.is_running(host, name):
        os.kill(int(content), number)
