"""A PF's settings of its VFs and its master, as the kernel reports them."""

import pytest

from sriovbond.bond.links import Link, Master
from sriovbond.bond.options import BondMode
from sriovbond.kernel import links, netns
from tests.support import pf
from tests.support.pods import Pod
from tests.vm import rig as rigs

PORTS = ("net1", "net2")


def seen(path: str | None = None) -> dict[str, Link]:
    with netns.own() if path is None else netns.opened(path) as namespace:
        return {link.name: link for link in links.read_related(namespace.netlink)}


@pytest.mark.parametrize("mode", BondMode)
def test_a_link_has_its_bond_with_mode_and_ports(pod: Pod, mode: BondMode) -> None:
    pod.batch(
        f"link add lag0 type bond mode {mode}",
        *(f"link add {name} type dummy" for name in PORTS),
        *(f"link set {name} master lag0" for name in PORTS),
    )

    within = {name: link.within for name, link in seen(pod.path).items() if link.within}

    assert within == dict.fromkeys(PORTS, Master("lag0", "bond", mode.value, PORTS))


def test_a_link_has_its_bridge(pod: Pod) -> None:
    pod.batch("link add br0 type bridge", "link add net1 type dummy", "link set net1 master br0")

    assert seen(pod.path)["net1"].within == Master("br0", "bridge", ports=("net1",))


@pytest.mark.vf
def test_a_pf_reports_vlan_trust_and_link_state_of_its_vfs(vfs: rigs.Layout) -> None:
    """The kernel reports 802.1Q for every VF without another protocol, also without a VLAN."""
    parent = vfs.pfs[0]
    pf.tell(parent, parent.vfs[1], "vlan 100 qos 3")
    pf.tell(parent, parent.vfs[1], "trust on")

    with netns.own() as home:
        told = {one.name: one for one in links.dump(home.netlink, with_vfs=True)}[parent.name].vfs

    found = [
        (one.tagging, one.vlan_proto, one.trust, one.link_state) for one in told if one.number < 2
    ]
    assert found == [
        ("no VLAN", "802.1Q", False, "auto"),
        ("VLAN 100, qos 3, 802.1Q", "802.1Q", True, "auto"),
    ]
