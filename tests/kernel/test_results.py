"""A real ADD's result, in each version and after other plugins, and the call of its IPAM."""

from typing import Any

import pytest

from sriovbond.cni.versions import SUPPORTED_VERSIONS
from tests.kernel.conftest import Wires
from tests.support.calls import Runtime, a_config
from tests.support.leases import GATEWAYS, IPV4, IPV6, addresses, over, static
from tests.support.pods import Pod

PREVIOUS = {
    "cniVersion": "1.1.0",
    "interfaces": [
        {"name": "veth1", "mac": "02:00:00:00:09:01"},
        {"name": "eth0", "mac": "02:00:00:00:09:02", "sandbox": "/run/netns/somewhere"},
    ],
    "ips": [{"address": "203.0.113.5/24", "gateway": "203.0.113.1", "interface": 1}],
    "routes": [{"dst": "0.0.0.0/0", "gw": "203.0.113.1"}],
    "dns": {"nameservers": ["203.0.113.53"]},
}


def test_the_result_of_an_earlier_plugin_comes_before_ours(runtime: Runtime, wires: Wires) -> None:
    config = over(wires, static(IPV4, routes=[{"dst": "198.51.100.0/24"}]))

    result = runtime.add({**config, "prevResult": PREVIOUS}).ok()

    assert result["interfaces"][:2] == PREVIOUS["interfaces"]
    assert [one["name"] for one in result["interfaces"]] == ["veth1", "eth0", "bond0"]
    assert [(one["address"], one["interface"]) for one in result["ips"]] == [
        ("203.0.113.5/24", 1),
        (IPV4, 2),
    ]
    assert [one["dst"] for one in result["routes"]] == ["0.0.0.0/0", "198.51.100.0/24"]
    assert result["dns"] == PREVIOUS["dns"]


@pytest.mark.parametrize("version", SUPPORTED_VERSIONS)
def test_the_result_is_in_the_version_that_was_requested(
    runtime: Runtime, wires: Wires, version: str
) -> None:
    ipam = static(IPV4, IPV6, routes=[{"dst": "0.0.0.0/0"}, {"dst": "::/0"}])
    config = over(wires, ipam, cniVersion=version)

    result = runtime.add(config).ok()

    assert result["cniVersion"] == version
    assert set(addresses(wires.pod)) == {IPV4, IPV6}
    _looks_like(version, result, wires.pod)
    if version in ("0.4.0", "1.0.0", "1.1.0"):
        runtime.check(config, result).ok()
    runtime.delete({**config, "prevResult": result}).ok()


def _looks_like(version: str, result: dict[str, Any], pod: Pod) -> None:
    """Assert the shape of SPEC section 5 of each version."""
    if version in ("0.1.0", "0.2.0"):
        assert result.keys() == {"cniVersion", "ip4", "ip6"}
        route = {"dst": "0.0.0.0/0"}
        assert result["ip4"] == {"ip": IPV4, "gateway": GATEWAYS[IPV4], "routes": [route]}
        return
    state = pod.bond()
    assert state is not None
    mtu = {"mtu": 1500} if version == "1.1.0" else {}
    interface = {"name": "bond0", "mac": state.mac, "sandbox": pod.path, **mtu}
    assert result["interfaces"] == [interface]
    family = {"version": "4"} if version.startswith("0.") else {}
    address = {"address": IPV4, "gateway": GATEWAYS[IPV4], "interface": 0, **family}
    assert result["ips"][0] == address


MAC = "02:00:00:00:0a:0a"
MAC_GIVEN: dict[str, tuple[dict[str, object], dict[str, str]]] = {
    "config": ({"mac": MAC}, {}),
    "runtime-config": ({"runtimeConfig": {"mac": MAC.upper()}}, {}),
    "cni-args": ({}, {"CNI_ARGS": f"IgnoreUnknown=1;MAC={MAC}"}),
    "runtime-config-before-cni-args": (
        {"runtimeConfig": {"mac": MAC}},
        {"CNI_ARGS": "IgnoreUnknown=1;MAC=02:00:00:00:0b:0b"},
    ),
}


@pytest.mark.parametrize("way", MAC_GIVEN)
def test_a_mac_that_is_requested_is_the_bonds_and_its_members(
    runtime: Runtime, wires: Wires, way: str
) -> None:
    keys, environment = MAC_GIVEN[way]

    result = runtime.add(a_config(links=wires.links, **keys), **environment).ok()

    state = wires.pod.bond()
    assert state is not None
    assert {state.mac, *(member.mac for member in state.members)} == {MAC}
    assert result["interfaces"][0]["mac"] == MAC
    runtime.delete(a_config(links=wires.links)).ok()
    left = wires.pod.link("net2")
    assert left is not None
    assert left.mac == "02:00:00:00:01:02"


def test_addresses_of_the_ips_capability_reach_the_ipam_plugin(
    runtime: Runtime, wires: Wires
) -> None:
    config = over(wires, {"type": "static"}, runtimeConfig={"ips": [IPV4, IPV6]})

    runtime.add(config).ok()

    assert set(addresses(wires.pod)) == {IPV4, IPV6}
    runtime.delete(config).ok()


def test_addresses_of_cni_args_reach_the_ipam_plugin(runtime: Runtime, wires: Wires) -> None:
    runtime.add(over(wires, {"type": "static"}), CNI_ARGS=f"IP={IPV4}").ok()

    assert set(addresses(wires.pod)) == {IPV4}
