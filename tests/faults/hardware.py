"""Faults of the hardware and its drivers, under a pod's bond; and the SR-IOV operator's work."""

import time
from pathlib import Path
from typing import Final

from tests.faults.fault import Fault, Phase, Way
from tests.faults.scene import Scene
from tests.support.agents import wait_for
from tests.vm import rig, vfs
from tests.vm.reset import IGBVF

DEVICES: Final = vfs.DEVICES
IGB: Final = Path("/sys/bus/pci/drivers/igb")
NEW_NETDEVS: Final = r"\b(eth\d+|pf0v\d|net1)\b|^entry of pf0"
"""A new netdev has a new name and MAC, of the kernel's choice."""
OPERATOR_WAITS_S: Final = 10.0
"""How long the SR-IOV operator looks for a VF's netdev on the host."""


def first_vf(number: int = 0) -> rig.Vf:
    """Return net1's VF; by its PF's number net2's."""
    return rig.layout().pfs[number].vfs[0]


def unbind(_scene: Scene) -> None:
    """Take the driver from net1's VF, whose netdev ends."""
    (IGBVF / "unbind").write_text(first_vf().pci)


def unbind_next(_scene: Scene) -> None:
    """Take the driver from net2's VF, which ADD is about to put into the bond."""
    (IGBVF / "unbind").write_text(first_vf(1).pci)


def unbind_all(scene: Scene) -> None:
    """Take the driver from both."""
    unbind(scene)
    unbind_next(scene)


def remove_vfs(_scene: Scene) -> None:
    """Remove all VFs of net1's PF, as an unplugged card does."""
    (DEVICES / rig.layout().pfs[0].pci / "sriov_numvfs").write_text("0")


def reset_pf(scene: Scene) -> None:
    """Remove all VFs of net1's PF, and make them anew."""
    remove_vfs(scene)
    pf = rig.layout().pfs[0]
    (DEVICES / pf.pci / "sriov_numvfs").write_text(str(len(pf.vfs)))


def rebind_pf(_scene: Scene) -> None:
    """Take the driver from net1's PF, and give it back: the PF is a new netdev, without VFs."""
    pf = rig.layout().pfs[0]
    (IGB / "unbind").write_text(pf.pci)
    (IGB / "bind").write_text(pf.pci)
    vfs.ip(f"link set {vfs.netdev(DEVICES / pf.pci)} name {pf.name}", f"link set {pf.name} up")


def sync_as_the_operator(scene: Scene) -> None:
    """Reset the PF; look for each VF's netdev on the host, rebind its driver, and look again."""
    reset_pf(scene)
    for vf in rig.layout().pfs[0].vfs:
        _look_for_netdev(vf)
        (IGBVF / "unbind").write_text(vf.pci)
        (IGBVF / "bind").write_text(vf.pci)
        _look_for_netdev(vf)
    if not scene.is_rehearsal:
        _await_repair(scene)


def _look_for_netdev(vf: rig.Vf) -> None:
    """Do as the operator: it must be there in time, and stay for as long as it is worked on."""
    wait_for(lambda: any((DEVICES / vf.pci).glob("net/*")), OPERATOR_WAITS_S)
    time.sleep(1.0)
    assert any((DEVICES / vf.pci).glob("net/*")), f"{vf.pci} was taken from the operator"


def _await_repair(scene: Scene) -> None:
    """Thick: wait until the VF is in its bond again; thin: nobody takes it."""
    if scene.way is Way.THICK:
        wait_for(lambda: len(scene.pod.the_bond().members) == 2)
    else:
        assert [member.name for member in scene.pod.the_bond().members] == ["net2"]


FAULTS: Final = (
    Fault("the driver is unbound from a VF in the bond", unbind, cause="net1"),
    Fault("the driver is unbound from the next VF", unbind_next, (Phase.ADD,), cause="net2"),
    Fault("the driver is unbound from both VFs", unbind_all, cause="net2"),
    Fault("a PF's VFs are removed", remove_vfs, cause="net1", spared=NEW_NETDEVS),
    Fault("a PF's VFs are removed and made anew", reset_pf, cause="net1", spared=NEW_NETDEVS),
    Fault("a PF's driver is unbound and bound", rebind_pf, cause="net1", spared=NEW_NETDEVS),
    Fault(
        "the SR-IOV operator resets a PF and rebinds each VF",
        sync_as_the_operator,
        (Phase.BONDED,),
        spared=NEW_NETDEVS,
        settings={"rest_s": 12, "check_interval_s": 2},
    ),
)
