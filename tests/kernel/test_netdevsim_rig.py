"""The rig's netdevsim devices: their PFs and VFs, and how to distinguish them."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import netdevsim
from tests.support.netdevsim import Nic
from tests.support.pods import Pod, a_pod, ip

pytestmark = pytest.mark.netdevsim


@pytest.fixture
def nics() -> Iterator[tuple[Nic, Nic]]:
    with netdevsim.a_nic(10) as first, netdevsim.a_nic(11) as second:
        yield first, second


def test_vfs_of_a_nic_have_its_parent_and_a_port_name_each(nics: tuple[Nic, Nic]) -> None:
    for nic in nics:
        links = {link["phys_port_name"]: link for link in simulated_links(nic.parent)}

        assert {link["parentbus"] for link in links.values()} == {"netdevsim"}
        assert len({link["phys_switch_id"] for link in links.values()}) == 1
        assert {port_name: link["ifname"] for port_name, link in links.items()} == {
            "p1": nic.pf,
            "pf0vf0": nic.vfs[0].name,
            "pf0vf1": nic.vfs[1].name,
        }


def test_pf_keeps_settings_of_its_vfs(nics: tuple[Nic, Nic]) -> None:
    nic, _ = nics
    words = "mac 02:00:00:00:00:aa vlan 100 qos 3 proto 802.1ad trust on spoofchk on state disable"

    netdevsim.tell(nic, nic.vfs[1], words)

    untouched, told = ip(f"-j link show {nic.pf}")[0]["vfinfo_list"]
    assert told["address"] == "02:00:00:00:00:aa"
    assert told["vlan_list"] == [{"vlan": 100, "qos": 3, "protocol": "802.1ad"}]
    assert (told["trust"], told["spoofchk"], told["link_state"]) == (True, True, "disable")
    assert untouched["vlan_list"] == [{}]
    assert (untouched["trust"], untouched["link_state"]) == (False, "auto")


def test_vfs_can_be_bonded_in_a_pod(nics: tuple[Nic, Nic], pod: Pod) -> None:
    for number, nic in enumerate(nics, 1):
        pod.give(nic.vfs[0].name, f"net{number}", is_up=False)

    pod.batch(
        "link add bond0 type bond mode active-backup fail_over_mac active miimon 100",
        "link set net1 master bond0",
        "link set net2 master bond0",
        "link set bond0 up",
    )

    state = pod.bond()
    assert state is not None
    assert [one.name for one in state.members if one.is_up] == ["net1", "net2"]
    links = {link["ifname"]: link for link in pod.ip("-d -j link")}
    assert links["net1"]["phys_port_name"] == links["net2"]["phys_port_name"] == "pf0vf0"
    assert [links[name]["parentdev"] for name in ("net1", "net2")] == [nic.parent for nic in nics]
    assert links["bond0"]["address"] == nics[0].vfs[0].mac


def test_vfs_in_pods_go_with_their_nic() -> None:
    with a_pod() as pod:
        with netdevsim.a_nic() as nic:
            for vf in nic.vfs:
                pod.give(vf.name, vf.name)
            assert len(pod.ip("-j link")) == 3

        assert [link["ifname"] for link in pod.ip("-j link")] == ["lo"]
        assert simulated_links(nic.parent) == []


def simulated_links(parent: str) -> list[dict[str, Any]]:
    """Return the host's links of a parent device."""
    return [link for link in ip("-d -j link") if link.get("parentdev") == parent]
