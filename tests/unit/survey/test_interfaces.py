"""An interface of each type, as the kernel's attributes say it and a document has it."""

import struct
from pathlib import Path

import pytest

from sriovbond.bond.options import option
from sriovbond.kernel import messages
from sriovbond.kernel.messages import IFLA_LINK, IFLA_LINK_NETNSID, LinkMessage
from sriovbond.nodenet.model import NodeLink
from sriovbond.nodenet.writer import plain
from sriovbond.survey.answers import PortVlans
from sriovbond.survey.interfaces import Routed, interface
from tests.support.scenes import a_link, a_port, a_scene

NOWHERE = Path("/nonexistent")
PVID, UNTAGGED = 2, 4
BOND = b"".join(
    messages.attribute(option(name).number, option(name).kind.encode(value))
    for name, value in (
        ("mode", "active-backup"),
        ("miimon", 100),
        ("fail_over_mac", "active"),
        ("lacp_rate", "slow"),
        ("ad_actor_system", "00:00:00:00:00:00"),
        ("primary", 3),
    )
)
QUEUE = messages.attribute(option("queue_id").number, struct.pack("=H", 5))
PRIO = messages.attribute(option("prio").number, struct.pack("=i", -7))
BRIDGE = b"".join(
    (
        messages.word(1, 1499),  # IFLA_BR_FORWARD_DELAY, of 1500 with HZ 300
        messages.word(2, 200),  # IFLA_BR_HELLO_TIME
        messages.word(3, 2000),  # IFLA_BR_MAX_AGE
        messages.word(4, 30000),  # IFLA_BR_AGEING_TIME
        messages.word(5, 1),  # IFLA_BR_STP_STATE
        messages.attribute(6, struct.pack("=H", 32768)),  # IFLA_BR_PRIORITY
        messages.attribute(7, b"\1"),  # IFLA_BR_VLAN_FILTERING
        messages.attribute(8, struct.pack(">H", 0x8100)),  # IFLA_BR_VLAN_PROTOCOL
        messages.attribute(22, b"\1"),  # IFLA_BR_MCAST_ROUTER
        messages.attribute(39, struct.pack("=H", 1)),  # IFLA_BR_VLAN_DEFAULT_PVID
        messages.attribute(900, b"what a later kernel has"),
    )
)
PORT = messages.attribute(3, struct.pack("=I", 100)) + messages.attribute(4, b"\1")


def _read(*links: LinkMessage, name: str, **more: object) -> NodeLink:
    with a_scene(*links, **more) as scene:  # type: ignore[arg-type]
        message = next(row for row in scene.links.values() if row.name == name)
        return interface(message, scene, Routed(frozenset(), frozenset()), NOWHERE)


def test_a_bond_has_the_options_of_its_mode_and_its_ports_by_name() -> None:
    ports = (
        a_port(3, "eth2", 9, "bond", QUEUE + PRIO),
        a_port(4, "eth1", 9, "bond"),
    )

    bond = plain(_read(a_link(9, "bond0", "bond", BOND), *ports, name="bond0"))

    assert bond["link-aggregation"] == {
        "mode": "active-backup",
        "options": {"fail_over_mac": "active", "miimon": 100, "primary": "eth2"},
        "port": ["eth1", "eth2"],
        "ports-config": [
            {"name": "eth1", "queue-id": 0},
            {"name": "eth2", "priority": -7, "queue-id": 5},
        ],
    }
    assert (bond["state"], bond["mac-address"], bond["mtu"]) == ("up", "02:00:00:00:00:09", 1500)


def test_a_port_has_the_mac_of_its_own_where_the_driver_names_none() -> None:
    own = messages.attribute(4, bytes((2, 0, 0, 0, 0, 0x77)))  # IFLA_BOND_SLAVE_PERM_HWADDR
    ports = (a_port(3, "eth1", 9, "bond", own), a_port(4, "eth2", 9, "bridge", own))

    bonds = _read(a_link(9, "bond0", "bond", BOND), *ports, name="eth1")
    bridges = _read(a_link(9, "br0", "bridge", BRIDGE), *ports, name="eth2")

    assert bonds.permanent_mac_address == "02:00:00:00:00:77"
    assert bridges.permanent_mac_address is None


def test_an_ignored_interface_has_its_base_interface() -> None:
    base = a_link(3, "eth1")
    ipvlan = a_link(4, "ipvl0", "ipvlan", b"", messages.word(IFLA_LINK, 3))
    vxlan = a_link(5, "vx0", "vxlan", messages.word(3, 3))  # IFLA_VXLAN_LINK

    assert _read(base, ipvlan, name="ipvl0").base == "eth1"
    assert _read(base, vxlan, name="vx0").base == "eth1"
    assert plain(_read(base, vxlan, name="vx0")) == {
        "name": "vx0",
        "type": "vxlan",
        "state": "ignore",
    }


def test_a_bridge_has_its_times_in_seconds_and_the_ports_of_others() -> None:
    ports = (
        a_port(3, "eth1", 9, "bridge", PORT),
        a_port(4, "vnet0", 9, "bridge", PORT),
    )

    bridge = plain(_read(a_link(9, "br0", "bridge", BRIDGE), *ports, name="br0"))["bridge"]

    assert bridge["options"] == {
        "stp": {
            "enabled": True,
            "forward-delay": 15,
            "hello-time": 2,
            "max-age": 20,
            "priority": 32768,
        },
        "mac-ageing-time": 300,
        "multicast-router": "auto",
        "vlan-protocol": "802.1q",
        "vlan-default-pvid": 1,
    }
    assert bridge["port"] == [
        {"name": name, "stp-hairpin-mode": True, "stp-path-cost": 100} for name in ("eth1", "vnet0")
    ]


@pytest.mark.parametrize(
    ("entries", "vlan"),
    [
        ((), None),
        ((PortVlans(1, 1, PVID | UNTAGGED),), {"mode": "access", "tag": 1}),
        ((PortVlans(10, 10, PVID | UNTAGGED),), {"mode": "access", "tag": 10}),
        (
            (PortVlans(1, 1, PVID | UNTAGGED), PortVlans(2, 4094, 0)),
            {
                "mode": "trunk",
                "trunk-tags": [{"id-range": {"min": 2, "max": 4094}}],
                "enable-native": False,
            },
        ),
        (
            (PortVlans(1, 1, UNTAGGED), PortVlans(20, 20, 0), PortVlans(40, 40, PVID | UNTAGGED)),
            {"mode": "trunk", "tag": 40, "trunk-tags": [{"id": 20}], "enable-native": True},
        ),
    ],
)
def test_a_port_of_a_bridge_takes_these_vlans(
    entries: tuple[PortVlans, ...], vlan: dict[str, object] | None
) -> None:
    port = a_port(3, "eth1", 9, "bridge", PORT)
    vlans = {3: entries}

    bridge = plain(_read(a_link(9, "br0", "bridge", BRIDGE), port, name="br0", vlans=vlans))

    assert bridge["bridge"]["port"][0].get("vlan") == vlan


VLAN = (
    messages.attribute(1, struct.pack("=H", 7))
    + messages.attribute(2, struct.pack("=II", 3, 0xFFFFFFFF))
    + messages.attribute(5, struct.pack(">H", 0x88A8))
)
UPON_ETH1 = messages.word(IFLA_LINK, 3)
ELSEWHERE = messages.word(IFLA_LINK_NETNSID, 0)


@pytest.mark.parametrize(("more", "base"), [((), "eth1"), ((ELSEWHERE,), None)])
def test_a_vlan_is_on_a_link_of_this_namespace_or_on_none(
    more: tuple[bytes, ...], base: str | None
) -> None:
    vlan = a_link(9, "eth1.7", "vlan", VLAN, UPON_ETH1, *more)

    section = plain(_read(a_link(3, "eth1"), vlan, name="eth1.7"))["vlan"]

    assert section.get("base-iface") == base
    assert section["id"] == 7
    assert section["protocol"] == "802.1ad"
    assert section["registration-protocol"] == "gvrp"
    assert (section["reorder-headers"], section["loose-binding"]) == (True, False)


@pytest.mark.parametrize(
    ("kind", "data", "section"),
    [
        (
            "macvlan",
            messages.word(1, 8) + messages.attribute(2, struct.pack("=H", 1)),
            {"mac-vlan": {"base-iface": "eth1", "mode": "passthru", "promiscuous": False}},
        ),
        ("vrf", messages.word(1, 77), {"vrf": {"port": [], "route-table-id": 77}}),
        ("veth", b"", {"veth": {"peer": "eth1"}}),
        ("dummy", b"", {}),
    ],
)
def test_a_link_upon_another_has_the_section_of_its_type(
    kind: str, data: bytes, section: dict[str, object]
) -> None:
    link = plain(_read(a_link(3, "eth1"), a_link(9, "x0", kind, data, UPON_ETH1), name="x0"))

    assert {key: link[key] for key in ("mac-vlan", "vrf", "veth") if key in link} == section


@pytest.mark.parametrize(
    ("kind", "type_"),
    [
        ("tun", "tun"),
        ("vxlan", "vxlan"),
        ("macvtap", "mac-vtap"),
        ("openvswitch", "ovs-interface"),
        ("ifb", "other"),
    ],
)
def test_an_interface_of_another_type_is_ignored(kind: str, type_: str) -> None:
    link = _read(a_link(9, "x0", kind), name="x0")

    assert plain(link) == {"name": "x0", "type": type_, "state": "ignore"}


@pytest.mark.parametrize(
    "odd",
    [
        a_link(9, "cali1", "veth", b"", ELSEWHERE),
        a_link(9, "a:b"),
        a_link(9, "a b"),
    ],
    ids=["a pod's veth", "colon", "space"],
)
def test_an_interface_that_no_document_can_name_is_left_out(odd: LinkMessage) -> None:
    with a_scene(a_link(3, "eth1"), odd) as scene:
        assert [row.name for row in scene.links.values()] == ["eth1"]


def test_addresses_for_a_time_are_from_dhcp_or_a_router() -> None:
    links = (a_link(10, "v0", "veth"), a_link(11, "v1", "veth"))

    v0 = plain(_read(*links, name="v0", is_recorded=True))
    v1 = plain(_read(*links, name="v1", is_recorded=True))

    assert v0["ipv4"]["dhcp"] is True
    assert [row.get("valid-life-time") for row in v0["ipv4"]["address"]] == [None, "3600sec"]
    assert v0["ipv4"]["address"][0] == {"ip": "192.0.2.9", "prefix-length": 24}
    assert (v0["ipv6"]["dhcp"], v0["ipv6"]["autoconf"]) == (False, False)
    assert (v1["ipv4"]["dhcp"], v1["ipv6"]["dhcp"]) == (False, True)


def test_a_link_without_addresses_and_routes_has_no_ipv4() -> None:
    assert plain(_read(a_link(3, "eth1"), name="eth1"))["ipv4"] == {"enabled": False}


@pytest.mark.parametrize("cut", range(0, 40, 3))
def test_attributes_that_are_cut_short_say_less(cut: int) -> None:
    link = _read(a_link(3, "eth1"), a_link(9, "br0", "bridge", BRIDGE[:cut]), name="br0")

    assert link.bridge
    assert link.bridge.port == ()
