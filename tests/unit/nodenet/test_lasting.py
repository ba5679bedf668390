"""What a document leaves as it is has to be in it where a boot begins without it."""

import pytest

from sriovbond.nodenet import lasting
from sriovbond.nodenet.document import read_state
from sriovbond.nodenet.joined import join
from sriovbond.nodenet.writer import plain, to_yaml
from tests.unit.nodenet.states import joined, steps

LEASED = """\
interfaces:
- {name: eth1, type: ethernet, state: up, mac-address: 02:00:00:00:00:01,
   ipv4: {enabled: true, dhcp: true, address: [
    {ip: 192.0.2.9, prefix-length: 24, valid-life-time: 60sec, preferred-life-time: 60sec}]},
   ipv6: {enabled: true, autoconf: true, address: [{ip: 'fe80::1', prefix-length: 64},
    {ip: '2001:db8::9', prefix-length: 64, valid-life-time: 60sec}]}}
"""
STATIC = """\
interfaces:
- {name: eth1, type: ethernet, state: up, mac-address: 02:00:00:00:00:01,
   ipv4: {enabled: true, dhcp: false, address: [{ip: 192.0.2.9, prefix-length: 24}]},
   ipv6: {enabled: true, autoconf: false, address: [{ip: 'fe80::1', prefix-length: 64},
    {ip: '2001:db8::9', prefix-length: 64}]}}
"""
FRESH = "interfaces: [{name: eth1, type: ethernet, state: down, ipv4: {enabled: false}}]"
ETH1 = "interfaces: [{name: eth1, %s}]"
FOR_A_TIME = "address: [{ip: 192.0.2.9, prefix-length: 24, valid-life-time: 60sec}]"
BONDS = """\
interfaces:
- {name: bond0, type: bond, state: up, mac-address: 02:00:00:00:00:01,
   link-aggregation: {mode: active-backup, options: {fail_over_mac: none}, port: [eth1, eth2]}}
- {name: eth1, type: ethernet, state: up, controller: bond0,
   mac-address: 02:00:00:00:00:01, permanent-mac-address: 02:00:00:00:00:01}
- {name: eth2, type: ethernet, state: up, controller: bond0,
   mac-address: 02:00:00:00:00:01, permanent-mac-address: 02:00:00:00:00:02}
- {name: eth3, type: ethernet, state: up, mac-address: 02:00:00:00:00:03}
"""


@pytest.mark.parametrize("state", [LEASED, STATIC], ids=("leased", "static"))
@pytest.mark.parametrize("more", ["", f", {FOR_A_TIME}"])
def test_an_address_that_stays_without_dhcp_is_kept(state: str, more: str) -> None:
    both = joined(ETH1 % f"ipv4: {{enabled: true, dhcp: false{more}}}", state)

    (link,) = plain(lasting.document(both))["interfaces"]

    assert link["ipv4"]["address"] == [{"ip": "192.0.2.9", "prefix-length": 24}]
    assert join(lasting.document(both), read_state(FRESH)).complaints == ()


@pytest.mark.parametrize("state", [LEASED, STATIC], ids=("leased", "static"))
def test_an_address_that_stays_without_routers_is_kept(state: str) -> None:
    both = joined(ETH1 % "ipv6: {enabled: true, autoconf: false}", state)

    (link,) = plain(lasting.document(both))["interfaces"]

    assert link["ipv6"]["address"] == [{"ip": "2001:db8::9", "prefix-length": 64}]


def test_dhcp_that_goes_on_unmentioned_is_kept() -> None:
    """The document may be in the place of the one that began it."""
    more = joined(
        ETH1 % "ipv4: {enabled: true, address: [{ip: 192.0.2.7, prefix-length: 24}]}", LEASED
    )

    (link,) = plain(lasting.document(more))["interfaces"]

    assert link["ipv4"]["dhcp"] is True


@pytest.mark.parametrize("more", ["address: [{ip: 192.0.2.7, prefix-length: 24}]", "dhcp: true"])
def test_a_family_that_is_enabled_already_is_enabled_at_a_boot_too(more: str) -> None:
    both = joined(ETH1 % f"ipv4: {{{more}}}", STATIC)

    assert both.complaints == ()
    assert join(lasting.document(both), read_state(FRESH)).complaints == ()


@pytest.mark.parametrize(
    ("ports", "more", "mac"),
    [
        ("[eth1, eth2]", "", None),
        ("[eth2, eth3]", "", "02:00:00:00:00:01"),
        ("[eth2, eth3]", ", copy-mac-from: eth3", None),
        ("[eth2, eth3]", ", mac-address: 02:00:00:00:00:09", "02:00:00:00:00:09"),
    ],
)
def test_a_bond_whose_ports_change_has_its_mac_after_a_boot_too(
    ports: str, more: str, mac: str | None
) -> None:
    wish = f"interfaces: [{{name: bond0, type: bond, bond: {{port: {ports}}}{more}}}]"

    kept = lasting.document(joined(wish, BONDS))

    assert (kept.interfaces or ())[0].mac_address == mac


def test_a_port_that_is_shown_with_its_bonds_mac_is_not_given_it_at_a_boot() -> None:
    """`host show` prints the MAC that a port has now: each would come up with that of the bond."""
    kept = lasting.document(joined(BONDS, BONDS))

    assert [link.mac_address for link in kept.interfaces or ()] == [
        "02:00:00:00:00:01",
        "02:00:00:00:00:01",
        None,
        "02:00:00:00:00:03",
    ]


def test_a_bond_that_has_its_active_ports_mac_is_given_none() -> None:
    follows = BONDS.replace("fail_over_mac: none", "fail_over_mac: active")
    wish = "interfaces: [{name: bond0, type: bond, bond: {port: [eth2, eth3]}}]"

    assert (lasting.document(joined(wish, follows)).interfaces or ())[0].mac_address is None


@pytest.mark.parametrize(
    "text",
    [
        ETH1 % "ipv4: {enabled: true, dhcp: false, address: []}",
        ETH1 % "ipv4: {enabled: true, dhcp: true}",
        ETH1 % "ipv4: {enabled: false}",
        ETH1 % "mtu: 1400",
        "routes: {config: []}",
        "interfaces: [{name: eth1, state: absent}]",
        "interfaces: [{name: d0, type: dummy, ipv4: {enabled: true, dhcp: false}}]",
    ],
)
def test_a_wish_of_the_document_is_as_it_was(text: str) -> None:
    both = joined(text, STATIC)

    assert lasting.document(both) == both.desired


def test_addresses_for_a_time_alone_are_no_wish_where_dhcp_is_off() -> None:
    assert steps(ETH1 % f"ipv4: {{enabled: true, dhcp: false, {FOR_A_TIME}}}", STATIC) == []


VETHS = """\
interfaces:
- {name: va, type: veth, state: up, mac-address: 02:00:00:00:00:0a, veth: {peer: vb}}
- {name: vb, type: veth, state: up, mac-address: 02:00:00:00:00:0b, veth: {peer: va}}
"""


def test_a_pair_of_veths_that_is_there_is_kept_with_both_macs() -> None:
    document = "interfaces: [{name: va, type: veth, mtu: 1400, veth: {peer: vb}}]"

    kept = plain(lasting.document(joined(document, VETHS)))["interfaces"]

    assert {row["name"]: row["mac-address"] for row in kept} == {
        "va": "02:00:00:00:00:0A",
        "vb": "02:00:00:00:00:0B",
    }
    assert kept[1]["veth"] == {"peer": "va"}
    assert plain(lasting.document(joined(document, FRESH)))["interfaces"] == [
        {"name": "va", "type": "veth", "mtu": 1400, "veth": {"peer": "vb"}}
    ]


def test_a_veth_whose_other_end_is_not_mentioned_is_kept_alone() -> None:
    kept = plain(lasting.document(joined("interfaces: [{name: va, mtu: 1400}]", VETHS)))

    assert kept["interfaces"] == [{"name": "va", "type": "veth", "mtu": 1400}]


BOND0 = (
    "- {name: bond0, type: bond, state: up, mac-address: 02:00:00:00:00:01,"
    " link-aggregation: {mode: active-backup, port: [va]}}\n"
)
IN_BOND0 = "controller: bond0, permanent-mac-address: 02:00:00:00:00:0a"
BONDED = VETHS.replace("00:0a", "00:01").replace("{peer: vb}", "{peer: vb}, " + IN_BOND0) + BOND0
WITHOUT_PORTS = BOND0.replace("[va]", "[]")
ETH0 = "- {name: eth0, mac-address: 02:00:00:00:00:0a}\n"
IN_BR0 = VETHS.replace("{peer: va}", "{peer: va}, controller: br0")
VB_DOWN = VETHS.replace("vb, type: veth, state: up", "vb, type: veth, state: down")
BR0 = "- {name: br0, type: linux-bridge, state: up, bridge: {port: [{name: vb}]}}\n"
V7 = "- {name: v7, type: vlan, state: up, vlan: {base-iface: vb, id: 7}}\n"
VA = "interfaces:\n- {name: va, type: veth, veth: {peer: vb}%s}\n"


@pytest.mark.parametrize(
    ("document", "before", "after"),
    [
        (VA % ", controller: ''", BONDED, VETHS + WITHOUT_PORTS),
        (VA % "" + BR0, VB_DOWN, IN_BR0 + BR0),
        (VA % "" + V7, VB_DOWN, VETHS + V7),
        (VA % ", copy-mac-from: eth0", VETHS + ETH0, VETHS + ETH0),
    ],
    ids=("leaves a bond", "the other end joins a bridge", "a vlan on it", "a copied mac"),
)
def test_the_kept_document_of_a_veth_can_be_read_and_is_met_by_the_change(
    document: str, before: str, after: str
) -> None:
    kept = lasting.document(joined(document, before))

    assert steps(to_yaml(kept), after) == []
