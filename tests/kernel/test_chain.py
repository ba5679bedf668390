"""Other plugins after ours: in the chain, and with links on top of the bond."""

import pytest

from tests.kernel.conftest import Wires
from tests.support import plugins
from tests.support.calls import Runtime, a_config
from tests.support.leases import IPV4, addresses, over, static

CHAIN: dict[str, tuple[dict[str, object], ...]] = {
    "tuning": (
        {
            "type": "tuning",
            "sysctl": {"net.ipv4.conf.IFNAME.log_martians": "1"},
            "txQLen": 500,
            "allmulti": True,
        },
    ),
    "sbr": ({"type": "sbr"},),
    "tuning-and-sbr": ({"type": "tuning", "txQLen": 500}, {"type": "sbr"}),
}


@pytest.mark.parametrize("row", CHAIN)
def test_check_and_del_succeed_after_later_plugins_of_the_chain(
    runtime: Runtime, wires: Wires, row: str
) -> None:
    own = over(wires, static(IPV4, routes=[{"dst": "198.51.100.0/24"}]))
    later = [{"cniVersion": "1.1.0", "name": "test-bond", **keys} for keys in CHAIN[row]]
    result = runtime.add(own).ok()
    for config in later:
        result = plugins.call("ADD", wires.pod, "bond0", {**config, "prevResult": result}).ok()

    checks = [
        runtime.check(own, result),
        *(
            plugins.call("CHECK", wires.pod, "bond0", {**one, "prevResult": result})
            for one in later
        ),
    ]
    for config in reversed(later):
        plugins.call("DEL", wires.pod, "bond0", {**config, "prevResult": result}).ok()
    runtime.delete({**own, "prevResult": result}).ok()

    for reply in checks:
        reply.ok()
    assert wires.pod.bond() is None


def test_check_names_an_mtu_that_a_later_plugin_changed(runtime: Runtime, wires: Wires) -> None:
    own = a_config(links=wires.links)
    tuning = {"cniVersion": "1.1.0", "name": "test-bond", "type": "tuning", "mtu": 1400}
    added = runtime.add(own).ok()
    result = plugins.call("ADD", wires.pod, "bond0", {**tuning, "prevResult": added}).ok()

    # tuning passes on our MTU of 1500 as the result: nothing says that the change is intended
    reply = runtime.check(own, result)
    plugins.call("DEL", wires.pod, "bond0", {**tuning, "prevResult": result}).ok()
    runtime.delete(own).ok()

    assert "the MTU of bond0 is 1400 instead of 1500" in reply.msg
    for name in wires.names:
        member = wires.pod.link(name)
        assert member is not None
        assert member.mtu == 1500


def test_check_takes_the_mac_that_a_later_plugin_has_set(runtime: Runtime, wires: Wires) -> None:
    own = a_config(links=wires.links, failOverMac=0)
    chained = {"cniVersion": "1.1.0", "name": "test-bond", "type": "tuning"}
    tuning = {**chained, "mac": "02:00:00:00:AA:01"}
    added = runtime.add(own).ok()
    result = plugins.call("ADD", wires.pod, "bond0", {**tuning, "prevResult": added}).ok()

    intended = runtime.check(own, result)
    wires.pod.ip("link set bond0 address 02:00:00:00:aa:02")
    altered = runtime.check(own, result)
    plugins.call("DEL", wires.pod, "bond0", {**tuning, "prevResult": result}).ok()
    runtime.delete(own).ok()

    intended.ok()
    assert "the MAC of bond0 is 02:00:00:00:aa:02 instead of 02:00:00:00:aa:01" in altered.msg
    assert wires.pod.bond() is None


UPPERS = {
    "vlan": {"type": "vlan", "master": "bond0", "vlanId": 7, "linkInContainer": True},
    "macvlan": {"type": "macvlan", "master": "bond0", "mode": "bridge", "linkInContainer": True},
}


@pytest.mark.parametrize("row", UPPERS)
def test_links_on_top_of_the_bond_are_deleted_with_it(
    runtime: Runtime, wires: Wires, row: str
) -> None:
    own = a_config(links=wires.links)
    upper = {"cniVersion": "1.0.0", "name": "upper", **UPPERS[row], "ipam": static(IPV4)}
    result = runtime.add(own).ok()

    plugins.call("ADD", wires.pod, "up0", upper).ok()
    runtime.check(own, result).ok()
    standing = set(addresses(wires.pod, "up0"))
    plugins.call("DEL", wires.pod, "up0", upper).ok()
    runtime.delete(own).ok()

    assert standing == {IPV4}
    assert wires.pod.link("up0") is None
    assert wires.pod.bond() is None


def test_del_takes_away_a_bond_that_still_carries_a_vlan(runtime: Runtime, wires: Wires) -> None:
    own = a_config(links=wires.links)
    upper = {"cniVersion": "1.0.0", "name": "upper", **UPPERS["vlan"], "ipam": static(IPV4)}
    runtime.add(own).ok()
    plugins.call("ADD", wires.pod, "up0", upper).ok()

    runtime.delete(own).ok()

    assert {link["ifname"] for link in wires.pod.ip("-j link")} == {"lo", *wires.names}
