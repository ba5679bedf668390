"""Make a PF's VFs, and make them as new between tests."""

import subprocess
import time
from pathlib import Path

from tests.vm.layout import Pf, Vf

DEVICES = Path("/sys/bus/pci/devices")
CARRIER_DEADLINE_S = 60


class VfError(Exception):
    """A VF could not be made or reset; the text says what the kernel answered."""


def make(pf: str, pci: str, count: int) -> Pf:
    """Make `count` VFs of a PF that is up, name them after it, and return them."""
    device = DEVICES / pci
    (device / "sriov_numvfs").write_text(str(count))
    homes = [(device / f"virtfn{index}").resolve() for index in range(count)]
    ip(*(f"link set {netdev(home)} name {pf}v{index}" for index, home in enumerate(homes)))
    vfs = (Vf(f"{pf}v{i}", home.name, i, mac(f"{pf}v{i}")) for i, home in enumerate(homes))
    return Pf(pf, pci, mac(pf), tuple(vfs))


def mac(name: str) -> str:
    """Return the MAC that a netdev of this namespace has now."""
    return Path(f"/sys/class/net/{name}/address").read_text().strip()


def ip(*lines: str, netns: str | None = None) -> None:
    """Run lines of `ip` in one process, in a named namespace or in this one."""
    command = ["ip", *(["-netns", netns] if netns else []), "-batch", "-"]
    text = "\n".join(lines)
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise VfError(f"cannot ip {'; '.join(lines)!r}: {done.stderr.strip()}")


def netdev(home: Path) -> str:
    """Return the name of a PCI device's netdev, which must be in this namespace."""
    names = [entry.name for entry in home.glob("net/*")]
    if len(names) != 1:
        raise VfError(f"cannot find the netdev of {home.name} in {home}/net: {names}")
    return names[0]


def await_carrier(names: list[str]) -> None:
    """Return when these netdevs have a carrier."""
    deadline = time.monotonic() + CARRIER_DEADLINE_S
    for name in names:
        while Path(f"/sys/class/net/{name}/operstate").read_text() != "up\n":
            if time.monotonic() > deadline:
                raise VfError(f"cannot get a carrier on {name} in {CARRIER_DEADLINE_S} s")
            time.sleep(0.05)
