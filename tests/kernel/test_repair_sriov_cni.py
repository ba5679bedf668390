"""A PF's reset under a pod with SR-IOV CNI's VFs: the bond is repaired, and every DEL succeeds."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deviceinfo import Places
from sriovbond.happenings.happening import HappeningKind
from sriovbond.host import Host
from sriovbond.upkeep import examination
from sriovbond.upkeep.repair import Repairs
from tests.support.agents import wait_for
from tests.support.calls import Reply, Runtime, a_config
from tests.support.movers import SRIOV_CNI
from tests.support.pods import Pod, a_pod, come_home, ip
from tests.vm import rig as rigs
from tests.vm.layout import Pf, Vf

pytestmark = [pytest.mark.vf, pytest.mark.peer("sriov"), pytest.mark.long]
VLAN = {"vlan": 7, "vlanQoS": 0, "trust": "on", "spoofchk": "off"}
OURS, THEIRS = "198.51.100.9", "198.51.100.1"
IPAM = {"type": "static", "addresses": [{"address": f"{OURS}/24"}]}


@pytest.fixture
def caller(host: Host, pod: Pod) -> Runtime:
    """Return a runtime whose host has SR-IOV CNI's real cache."""
    return Runtime(replace(host, places=replace(host.places, sriov_cni=Places().sriov_cni)), pod)


@pytest.fixture
def in_vlan(rig: rigs.Layout) -> Iterator[None]:
    """Let the far side answer in VLAN 7."""
    far = Pod(rig.remote.netns, "remote")
    far.batch(
        f"link add link {rig.remote.name} name far7 type vlan id 7",
        f"addr add {THEIRS}/24 dev far7",
        "link set far7 up",
    )
    yield
    far.ip("link del far7")


def pairs(vfs: rigs.Layout) -> list[tuple[str, Vf]]:
    return [("net1", vfs.pfs[0].vfs[0]), ("net2", vfs.pfs[1].vfs[0])]


def set_up(pod: Pod, vfs: rigs.Layout) -> None:
    for name, vf in pairs(vfs):
        SRIOV_CNI.add(pod, name, vf, **VLAN)


def taken_back(pod: Pod, vfs: rigs.Layout) -> list[Reply]:
    return [SRIOV_CNI.delete(pod, name, vf, **VLAN) for name, vf in reversed(pairs(vfs))]


def reset(*pfs: Pf) -> None:
    """Delete all VFs of the PFs and create them again, and wait until the first is on the host."""
    for pf in pfs:
        numvfs = Path("/sys/bus/pci/devices", pf.pci, "sriov_numvfs")
        count = numvfs.read_text()
        numvfs.write_text("0")
        numvfs.write_text(count)
        come_home(pf.vfs[0].pci)


def answers_over(pod: Pod, name: str) -> bool:
    """Return whether the far side answers over this member alone."""
    pod.ip(f"link set bond0 type bond active_slave {name}")
    return pod.run("ping", "-n", "-c", "3", "-i", "0.3", "-W", "2", THEIRS).returncode == 0


def await_both(pod: Pod) -> None:
    wait_for(lambda: sum(one.mii_up for one in pod.the_bond().members) == 2, within_s=30)


def examined_until_repaired(caller: Runtime, count: int) -> tuple[set[str], tuple[str, ...]]:
    """Examine as the agent does, again where a VF was refused: its PF may not have come up yet.

    On 6.1 igbvf is given no VLAN then. Return the members that were repaired, and the last drift.
    """
    repaired: set[str] = set()
    drift: tuple[str, ...] = ()

    def examine() -> bool:
        nonlocal drift
        examined = examination.examine(
            caller.host, caller.pod.key(), Repairs(), examination.no_doubt
        )
        drift = examined.drift
        repaired.update(n.member for n in examined.notes if n.kind is HappeningKind.REPAIRED)
        return len(repaired) == count

    wait_for(examine, within_s=60)
    return repaired, drift


@pytest.mark.usefixtures("in_vlan")
@pytest.mark.parametrize("count", [1, 2])
def test_a_pf_reset_leaves_traffic_in_the_vlan_over_both_legs_and_every_del_succeeds_that_would(
    caller: Runtime, vfs: rigs.Layout, count: int
) -> None:
    with a_pod("alone") as alone:  # the same without sriovbond
        set_up(alone, vfs)
        alone.batch("link set net1 up", "link set net2 up")  # as in a bond
        reset(*vfs.pfs[:count])
        without = sum(reply.status != 0 for reply in taken_back(alone, vfs))
    rigs.reset_vfs(*(vf.name for _, vf in pairs(vfs)))
    pod, config = caller.pod, a_config(primary="net1", ipam=IPAM)
    set_up(pod, vfs)
    caller.add(config).ok()
    await_both(pod)
    assert answers_over(pod, "net1")
    assert answers_over(pod, "net2")

    reset(*vfs.pfs[:count])
    repaired, drift = examined_until_repaired(caller, count)

    assert len(repaired) == count
    assert drift == ()
    await_both(pod)
    assert answers_over(pod, "net1")
    assert answers_over(pod, "net2")
    caller.delete(config).ok()
    assert sum(reply.status != 0 for reply in taken_back(pod, vfs)) <= without


def test_where_the_settings_may_not_be_written_the_vf_stays_out_and_the_reason_is_reported(
    caller: Runtime, vfs: rigs.Layout
) -> None:
    set_up(caller.pod, vfs)
    caller.add(a_config(primary="net1")).ok()

    reset(vfs.pfs[0])
    repairs = Repairs(settings_of_pf=False)
    found = examination.examine(caller.host, caller.pod.key(), repairs, examination.no_doubt)

    (note,) = found.notes
    assert note.kind is HappeningKind.REPAIR_REFUSED
    for words in ("no VLAN where ADD found VLAN 7", "trust off where ADD found trust on"):
        assert words in note.text
    assert [one.name for one in caller.pod.the_bond().members] == ["net2"]
    assert ip(f"-j link show {vfs.pfs[0].name}")
    caller.delete(a_config()).ok()
    taken_back(caller.pod, vfs)
