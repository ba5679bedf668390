"""Inside the VM: make the VFs and the far side, then run what the host asks for."""

import json
import os
import selectors
import subprocess
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.vm import layout, machine, qemu, vfs

NIC_DRIVERS = ("igb", "igbvf", "e1000e")
MODULES = ("8021q", "macvlan", "bridge", "veth", "dummy", "vfio-pci")
STATUS_OF_A_BROKEN_RIG = 125
ROOT = Path("/run/host-root")


def main() -> None:
    """Serve the one request that the host sends over the port."""
    port = os.open(qemu.port(machine.TALK_PORT), os.O_RDWR)
    try:
        request = json.loads(_read_line(port))
        _set_up(request)
        _send(port, b"ready", b"")
        status = _run(port, request) if request["command"] else _give_shell(request)
    except Exception:  # noqa: BLE001 - whatever it is, the host must be told
        _send(port, b"error", traceback.format_exc().encode())
        status = STATUS_OF_A_BROKEN_RIG
    _send(port, b"status", str(status).encode())
    time.sleep(60)  # the host ends the VM now


def _read_line(port: int) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        line += os.read(port, 4096)
    return line


def _send(port: int, kind: bytes, body: bytes) -> None:
    """Send a frame: a line with its kind and length, then its body."""
    frame = b"%s %d\n%s" % (kind, len(body), body)
    while frame:
        frame = frame[os.write(port, frame) :]


def _set_up(request: dict[str, Any]) -> None:
    _read_once([Path(request["cwd"], name) for name in request["read_once"]])
    subprocess.run(["modprobe", "-a", *NIC_DRIVERS], check=True)
    names = {vfs.mac(path.name): path.name for path in Path("/sys/class/net").glob("[!b]*")}
    with ThreadPoolExecutor() as pool:  # each waits a second for its hardware
        modules = pool.submit(_load_modules, request["netdevsim"])
        remote = pool.submit(_make_remote, request["wiring"], names)
        pfs = pool.map(lambda number: _make_pf(number, names, request["vfs"]), range(machine.PFS))
        made = layout.Layout(
            kernel=os.uname().release,
            accel=request["accel"],
            wiring=request["wiring"],
            pfs=tuple(pfs),
            remote=remote.result(),
            qmp=str(qemu.port(machine.QMP_PORT)),
        )
        modules.result()
    layout.save(made)
    vfs.await_carrier([pf.name for pf in made.pfs])  # making VFs resets the PF


def _read_once(folders: list[Path]) -> None:
    """Have folders of the checkout from the share of the host's root, whose files stay in memory.

    The checkout's own can be written on both sides: each file is read anew by whoever opens it.
    """
    ROOT.mkdir()
    subprocess.run(["mount", "--bind", "/", ROOT], check=True)
    for folder in folders:
        subprocess.run(["mount", "--bind", f"{ROOT}{folder}", folder], check=True)
    subprocess.run(["umount", ROOT], check=True)


def _load_modules(netdevsim: str | None) -> None:
    subprocess.run(["modprobe", "-a", *MODULES], check=True)
    # By itself it would make a bond0, which a test then finds.
    subprocess.run(["modprobe", "bonding", "max_bonds=0"], check=True)
    if netdevsim:
        # modprobe finds what it needs, but not the module itself, which is outside /lib/modules.
        subprocess.run(["modprobe", "psample"], check=True)
        subprocess.run(["insmod", netdevsim], check=True)


def _make_pf(number: int, names: dict[str, str], count: int) -> layout.Pf:
    """Name a PF and bring it up, which it must be before VFs are made."""
    name = f"pf{number}"
    pci = Path("/sys/class/net", names[machine.pf_mac(number)], "device").resolve().name
    vfs.ip(f"link set {names[machine.pf_mac(number)]} name {name}", f"link set {name} up")
    return vfs.make(name, pci, count)


def _make_remote(wiring: str, names: dict[str, str]) -> layout.Remote:
    nics = machine.remote_nics(wiring)
    far = layout.Remote("remote", nics[0], nics, ipv4="192.0.2.1/24", ipv6="2001:db8::1/64")
    commands = [f"netns add {far.netns}"]
    for number, nic in enumerate(nics):
        nic_name = names[machine.remote_mac(number)]
        commands.append(f"link set {nic_name} name {nic} netns {far.netns} up")
    vfs.ip(*commands)
    inside = ["link set lo up", *(f"link set {nic} up" for nic in nics)]
    inside += [f"addr add {far.ipv4} dev {far.name}", f"addr add {far.ipv6} dev {far.name} nodad"]
    vfs.ip(*inside, netns=far.netns)
    return far


def _give_shell(request: dict[str, Any]) -> int:
    subprocess.run(["bash"], cwd=request["cwd"], env=request["environment"], check=False)
    return 0


def _run(port: int, request: dict[str, Any]) -> int:
    """Run the command, send its output as it comes, return its exit status as a shell would."""
    child = subprocess.Popen(
        ["bash", "-c", request["command"]],
        cwd=request["cwd"],
        env=request["environment"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    _copy_output(port, child)
    status = child.wait()
    return 128 - status if status < 0 else status


def _copy_output(port: int, child: subprocess.Popen[bytes]) -> None:
    """Send what the child writes until it has ended, even if a daemon of it keeps a pipe open."""
    ended = os.pidfd_open(child.pid)
    with selectors.DefaultSelector() as selector:
        selector.register(ended, selectors.EVENT_READ)
        for stream, kind in ((child.stdout, b"out"), (child.stderr, b"err")):
            assert stream
            selector.register(stream, selectors.EVENT_READ, kind)
        while ready := [key for key, _ in selector.select() if key.data]:
            for key in ready:
                if data := os.read(key.fd, 65536):
                    _send(port, key.data, data)
                else:
                    selector.unregister(key.fileobj)


if __name__ == "__main__":
    main()
