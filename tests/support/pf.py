"""What a PF sets on its VFs and what it is in; what SR-IOV CNI keeps in its cache of it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from sriovbond.host import Host
from tests.support.pods import Pod, batch, ip
from tests.vm import vfs
from tests.vm.layout import Pf, Vf
from tests.vm.reset import IGBVF


def tell(pf: Pf, vf: Vf, words: str) -> None:
    """Set something of a VF through its PF, such as "trust on" or "mac 02:00:00:00:00:01"."""
    ip(f"link set {pf.name} vf {vf.index} {words}")


def hold(pf: Pf, vf: Vf, mac: str) -> None:
    """Give a VF an administrative MAC, and its driver anew, for only so does the netdev take it."""
    tell(pf, vf, f"mac {mac}")
    ip(f"link set {rebind(vf)} name {vf.name}")


def rebind(vf: Vf) -> str:
    """Take a VF from its driver and give it back; return the name of its new netdev."""
    (IGBVF / "unbind").write_text(vf.pci)
    (IGBVF / "bind").write_text(vf.pci)
    return vfs.netdev(vfs.DEVICES / vf.pci)


def cache(host: Host, pod: Pod, ifname: str, vf: Vf, **keys: object) -> None:
    """Write the file of SR-IOV CNI by which it gave the VF to the pod.

    `MAC` is what the user asked for, `OrigVfState` what stood before.
    """
    folder = host.places.sriov_cni
    (folder / "pci").mkdir(parents=True, exist_ok=True)
    entry = {"deviceID": vf.pci, "VFID": vf.index, "type": "sriov", "OrigVfState": {}, **keys}
    (folder / f"{pod.container_id}-{ifname}").write_text(json.dumps(entry))
    (folder / "pci" / vf.pci).write_text(pod.path)


@contextmanager
def in_host_lag(mode: str, *pfs: str) -> Iterator[None]:
    """Put PFs into a bond of the host; they are down afterwards, which the VFs' reset mends."""
    batch(
        f"link add lag0 type bond mode {mode}",
        *(f"link set {name} down" for name in pfs),
        *(f"link set {name} master lag0" for name in pfs),
        "link set lag0 up",
    )
    try:
        yield
    finally:
        ip("link del lag0")
