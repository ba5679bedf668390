"""Make the VFs as new between tests: a VF's MAC and MTU survive the death of a namespace.

The PF keeps what was set for a VF, too: its trust, VLAN, spoof checking, administrative MAC.
"""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.vm import layout, qemu, vfs
from tests.vm.layout import Pf, Vf

IGBVF = Path("/sys/bus/pci/drivers/igbvf")
# What `ip -d` shows of an untouched VF: on its own link, and in its PF's list of VFs.
FRESH_LINK = {"mtu": 1500, "flags": ["BROADCAST", "MULTICAST"], "promiscuity": 0, "allmulti": 0}
FRESH_ENTRY = {"vlan_list": [{}], "spoofchk": True, "trust": False}
SIGNS_OF_USE = frozenset({"master", "ifalias", "altnames", "link_netnsid"})
SETTLED_WITHIN_S = 60
FORGET = "mac 00:00:00:00:00:00 vlan 0 max_tx_rate 0 spoofchk on trust off"

Links = dict[str, dict[str, Any]]


def reset_vfs(*names: str) -> list[str]:
    """Make each VF as the boot made it, wherever it is now; return the names of those changed.

    Only VFs on which a change shows are rebound (60 ms each), and those named. Naming is for the
    one change that does not show: an administrative MAC equal to the VF's own. PFs are brought up
    and their cables plugged in. To be called in the host's namespace.
    """
    pfs = [pf for pf in layout.load().pfs if (vfs.DEVICES / pf.pci).exists()]
    for pf in pfs:
        if not all((vfs.DEVICES / vf.pci).exists() for vf in pf.vfs):
            (vfs.DEVICES / pf.pci / "sriov_numvfs").write_text("0")
            vfs.make(pf.name, pf.pci, len(pf.vfs))
        qemu.plug_cable(pf.name)  # whether its driver has noticed yet or not
    links = _read_links()
    _revive([pf for pf in pfs if links[pf.name]["operstate"] != "UP"])
    changed = {
        vf.name: (pf, vf)
        for pf in pfs
        for vf in pf.vfs
        if vf.name in names or not _is_fresh(pf, vf, links)
    }
    if changed:
        _rebind(list(changed.values()))
    return list(changed)


def _read_links() -> Links:
    """Read the links of this namespace and their addresses; PFs carry their view of the VFs."""
    shown = subprocess.run(
        ["ip", "-d", "-j", "addr", "show"], capture_output=True, text=True, check=True
    )
    listed = subprocess.run(["ip", "-d", "-j", "link"], capture_output=True, text=True, check=True)
    links = {link["ifname"]: link for link in json.loads(listed.stdout)}
    for link in json.loads(shown.stdout):
        links[link["ifname"]]["addr_info"] = link["addr_info"]
    return links


def _is_fresh(pf: Pf, vf: Vf, links: Links) -> bool:
    link = links.get(vf.name, {})
    entry = links[pf.name]["vfinfo_list"][vf.index]
    return (
        link.get("parentdev", vf.pci) == vf.pci
        and not SIGNS_OF_USE & link.keys()
        and not link.get("addr_info", True)
        and link["address"] == entry["address"] == vf.mac
        and entry["rate"]["max_tx"] == 0
        and FRESH_LINK.items() <= link.items()
        and FRESH_ENTRY.items() <= entry.items()
    )


def _rebind(changed: list[tuple[Pf, Vf]]) -> None:
    """Give VFs a new netdev, which is born in the host's namespace, with the MAC they had."""
    for _, vf in changed:
        home = vfs.DEVICES / vf.pci
        if (home / "driver").exists():
            (home / "driver" / "unbind").write_text(vf.pci)
        (home / "driver_override").write_text("\n")
    _forget(changed)
    lines = []
    for _, vf in changed:
        (IGBVF / "bind").write_text(vf.pci)
        netdev = vfs.netdev(vfs.DEVICES / vf.pci)
        lines += [f"link set {netdev} address {vf.mac}", f"link set {netdev} name {vf.name}"]
    vfs.ip(*lines)


def _forget(changed: list[tuple[Pf, Vf]]) -> None:
    """Have PFs forget what was set for VFs; igb refuses a rate until its own link has settled."""
    deadline = time.monotonic() + SETTLED_WITHIN_S
    while True:
        try:
            vfs.ip(*(f"link set {pf.name} vf {vf.index} {FORGET}" for pf, vf in changed))
        except vfs.VfError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


def _revive(pfs: list[Pf]) -> None:
    """Give PFs their carrier back, without which igb refuses to set a VF's rate."""
    for pf in pfs:
        vfs.ip(f"link set {pf.name} mtu 1500 up")
    vfs.await_carrier([pf.name for pf in pfs])
