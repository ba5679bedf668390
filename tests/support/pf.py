"""Configures a PF's VFs, and bonds of PFs; writes SR-IOV CNI's cache of VFs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from sriovbond.host import Host
from tests.support.pods import Pod, batch, ip
from tests.vm import vfs
from tests.vm.layout import Pf, Vf
from tests.vm.reset import IGBVF


def tell(pf: Pf, vf: Vf, words: str) -> None:
    """Configure a VF through its PF, such as "trust on" or "mac 02:00:00:00:00:01"."""
    ip(f"link set {pf.name} vf {vf.index} {words}")


def hold(pf: Pf, vf: Vf, mac: str) -> None:
    """Set a VF's administrative MAC and rebind its driver: only then the netdev takes it."""
    tell(pf, vf, f"mac {mac}")
    ip(f"link set {rebind(vf)} name {vf.name}")


def rebind(vf: Vf) -> str:
    """Unbind a VF from its driver and bind it again; return the name of its new netdev."""
    (IGBVF / "unbind").write_text(vf.pci)
    (IGBVF / "bind").write_text(vf.pci)
    return vfs.netdev(vfs.DEVICES / vf.pci)


def cache(host: Host, pod: Pod, ifname: str, vf: Vf, **keys: object) -> None:
    """Write SR-IOV CNI's cache file of a VF that it moved to the pod.

    `MAC` is the requested one, `OrigVfState` the state before.
    """
    folder = host.places.sriov_cni
    (folder / "pci").mkdir(parents=True, exist_ok=True)
    entry = {"deviceID": vf.pci, "VFID": vf.index, "type": "sriov", "OrigVfState": {}, **keys}
    (folder / f"{pod.container_id}-{ifname}").write_text(json.dumps(entry))
    (folder / "pci" / vf.pci).write_text(pod.path)


@contextmanager
def in_host_lag(mode: str, *pfs: str) -> Iterator[None]:
    """Put PFs into a bond of the host; they are down afterwards, until the VFs are reset."""
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
