"""What a boot does: applies the documents that were committed, each by itself; and its unit."""

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from sriovbond.errors import ConfigError, MachineError, SriovbondError
from sriovbond.host import Host
from sriovbond.nodenet import document
from sriovbond.nodenet.document import DocumentError
from sriovbond.nodenet.joined import Joined, join
from sriovbond.nodenet.model import ETHERNET, NetState
from sriovbond.nodenet.routing import ABSENT
from sriovbond.reshape import limits
from sriovbond.reshape.site import Site
from sriovbond.survey import node, owners
from sriovbond.trial import persisted, transaction
from sriovbond.trial.persisted import BootDocument
from sriovbond.trial.transaction import Manner

UNIT: Final = "sriovbond-host.service"
_TIMEOUT_S: Final = 60.0
_NICS_S: Final = 30.0
_PAUSE_S: Final = 0.2
_ASK_S: Final = 30.0
_UNITS: Final = "etc/systemd/system"
_SYSTEMD: Final = "run/systemd/system"
_TEXT: Final = """\
[Unit]
Description=The node's own network, from the documents of sriovbond host
After=network-pre.target
Wants=network-pre.target
Before=network.target network-online.target kubelet.service
ConditionDirectoryNotEmpty={folder}

[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutStartSec=900
ExecStart={program} -m sriovbond host boot

[Install]
WantedBy=multi-user.target network-online.target
"""


def boot(site: Site, host: Host, say: Callable[[str], None]) -> list[str]:
    """Apply the documents in their order; return what failed, after trying all.

    A document whose NICs are missing waits for them, for 30 s in all.
    """
    failures, end = [], time.monotonic() + _NICS_S
    for kept in persisted.list_documents(host):
        try:
            wish = _read(kept)
            _await_nics(site, wish, end)
            outcome = _apply(site, host, wish, say)
            say(f"{kept.name}: {outcome}")
        except SriovbondError as error:
            failures.append(f"{kept.name}: {error.message}")
    return failures


def install(host: Host) -> bool:
    """Install and enable the unit where systemd runs; return whether it does.

    Raises MachineError.
    """
    if not (host.root / _SYSTEMD).is_dir():
        return False
    file = host.root / _UNITS / UNIT
    text = _TEXT.format(folder=persisted.folder(host), program=sys.executable)
    try:
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")
            _ask("daemon-reload")
        _ask("enable", UNIT)
    except (OSError, subprocess.SubprocessError) as error:
        raise MachineError(f"cannot install {file}: {error}") from error
    return True


def uninstall(host: Host) -> None:
    """Disable and remove the unit. Idempotent. Raises MachineError."""
    file = host.root / _UNITS / UNIT
    if not file.exists():
        return
    with suppress(OSError, subprocess.SubprocessError):
        _ask("disable", UNIT)
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise MachineError(f"cannot remove {file}: {error.strerror}") from error
    with suppress(OSError, subprocess.SubprocessError):
        _ask("daemon-reload")


def _ask(*words: str) -> None:
    subprocess.run(  # noqa: S603 - words of our own
        ["systemctl", *words],  # noqa: S607 - by PATH, as a person does
        check=True,
        capture_output=True,
        timeout=_ASK_S,
        stdin=subprocess.DEVNULL,
    )


def _read(kept: BootDocument) -> NetState:
    try:
        return document.unite(document.read(kept.text)).state
    except DocumentError as error:
        raise ConfigError(f"cannot apply {kept.file}: {'; '.join(error.lines)}") from error


def _apply(site: Site, host: Host, wish: NetState, say: Callable[[str], None]) -> str:
    def prepare() -> Joined:
        joined = join(wish, node.read(site.node, host))
        complaints = [
            *joined.complaints,
            *owners.judge(joined, site.node, host.root),
            *limits.judge(joined),
        ]
        if complaints:
            raise ConfigError("; ".join(row.text for row in complaints))
        return joined

    return transaction.apply(site, host, prepare, Manner(_TIMEOUT_S, is_waiting=False, say=say))


def _await_nics(site: Site, wish: NetState, end: float) -> None:
    """Wait for the NICs that a document names: their drivers may not have found them yet."""
    names = [
        link.label
        for link in wish.interfaces or ()
        if link.type == ETHERNET and not link.veth and link.state != ABSENT
    ]
    while not all(site.find(name) for name in names) and time.monotonic() < end:
        time.sleep(_PAUSE_S)
