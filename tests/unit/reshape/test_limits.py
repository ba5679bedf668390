"""What nothing here can carry out is refused by name, and the nearest that can be is not."""

import pytest

from sriovbond.nodenet.document import read, read_state
from sriovbond.nodenet.joined import join
from sriovbond.reshape import limits

STATE = read_state("""
interfaces:
- {name: eth1, type: ethernet, state: up, mtu: 1500}
- {name: v9, type: vlan, state: up, vlan: {base-iface: eth1, id: 9, protocol: 802.1q}}
- {name: red, type: vrf, state: up, vrf: {route-table-id: 7, port: []}}
- {name: mv1, type: mac-vlan, state: up, mac-vlan: {base-iface: eth1, mode: vepa}}
""")
PF = """
interfaces:
- name: pf0
  type: ethernet
  state: up
  ethernet:
    sr-iov: {total-vfs: 3, vfs: [{id: 0, iface-name: v0}, {id: 1, iface-name: v1}, {id: 2}]}
- {name: v0, type: ethernet, state: up%s}
- {name: v1, type: ethernet, state: up, ipv6: {enabled: true, dhcp: false, autoconf: false,
   address: [{ip: 'fe80::1', prefix-length: 64}]}}
%s"""
VFS = "interfaces: [{name: pf0, type: ethernet, ethernet: {sr-iov: {total-vfs: %d}}}]"
LINK = """interfaces:
- {name: eth1, type: ethernet, state: up, ipv4: {enabled: true, dhcp: false,
   address: [{ip: 192.0.2.9, prefix-length: 24}]}}
"""
ROUTE = "{destination: 10.0.0.0/8, next-hop-interface: eth1, next-hop-address: 192.0.2.1%s}"


def refusals(text: str) -> list[str]:
    (document,) = read(text)
    return [row.text for row in limits.judge(join(document.state, STATE))]


@pytest.mark.parametrize(
    ("link", "mac"),
    [
        ("{name: eth1, mac-address: '%s'}", "01:00:5E:00:00:01"),
        ("{name: eth1, mac-address: '%s'}", "00:00:00:00:00:00"),
        ("{name: d, type: dummy, mac-address: '%s'}", "11:22:33:44:55:66"),
    ],
)
def test_a_mac_that_no_interface_can_have_is_refused_where_it_would_be_set(
    link: str, mac: str
) -> None:
    assert refusals(f"interfaces: [{link % mac}]") == [
        f"{mac} is the address of no interface: it is a group's, or zero"
    ]
    assert refusals("interfaces: [{name: v9, mac-address: '00:00:00:00:00:00'}]") == []


@pytest.mark.parametrize(
    ("link", "words"),
    [
        (
            "{name: eth1, ipv4: {enabled: true, dhcp: true, dhcp-custom-hostname: 'a b'}}",
            "dhcp-custom-hostname 'a b' is no name of a host",
        ),
        (
            "{name: eth1, ipv4: {enabled: true, dhcp: true, dhcp-client-id: '%s'}}" % ("x" * 255),
            "dhcp-client-id has 256 bytes",
        ),
        (
            "{name: a+b, type: dummy, ipv4: {enabled: true, dhcp: true}}",
            "DHCP needs a name of letters, digits and -_.: alone",
        ),
        ("{name: v9, type: vlan, vlan: {base-iface: gone, id: 9}}", "its base-iface gone is missi"),
        ("{name: red, type: vrf, vrf: {route-table-id: 8}}", "route-table-id of an interface"),
        ("{name: mv1, mac-vlan: {mode: passthru}}", "a MACVLAN is made with mode passthru, or"),
        ("{name: eth1, ethernet: {sr-iov: {total-vfs: 2}}}", "it has no SR-IOV"),
        ("{name: eth1, ethernet: {sr-iov: {vfs: [{id: 0, trust: true}]}}}", "it has no SR-IOV"),
        (
            "{name: eth1, ipv6: {enabled: true, autoconf: true, auto-route-table-id: 9}}",
            "auto-route-table-id is for DHCP: the kernel has routers' routes in the main table",
        ),
    ],
)
def test_a_refusal_names_the_interface_and_the_remedy(link: str, words: str) -> None:
    name = link.removeprefix("{name: ").partition(",")[0]

    (text,) = refusals(f"interfaces: [{link}]")

    assert text.startswith(f"{name}: ")
    assert words in text


@pytest.mark.parametrize(
    "link",
    [
        "{name: eth1, ipv4: {enabled: true, dhcp: false}}",
        "{name: eth1, state: down}",
        "{name: 'a+b', type: dummy, ipv4: {enabled: true, dhcp: false}}",
        "{name: eth1, ethernet: {}}",
        "{name: eth1, ethernet: {sr-iov: {}}}",
        "{name: eth1, state: absent}",
        "{name: eth1, profile-name: uplink}",
        "{name: eth1, wait-ip: any}",
        "{name: eth1, wait-ip: ipv4+ipv6}",
        "{name: v9, type: vlan, vlan: {base-iface: eth1, id: 9}}",
        "{name: v8, type: vlan, vlan: {base-iface: eth1, id: 8}}",
        "{name: v9, type: vlan, vlan: {base-iface: eth1, id: 8}}",
        "{name: v9, state: absent}",
        "{name: eth1, ipv6: {enabled: true, autoconf: true}}",
        "{name: eth1, ipv6: {enabled: true, autoconf: true, auto-dns: false}}",
        "{name: eth1, ipv6: {enabled: true, autoconf: true, auto-gateway: false}}",
        "{name: eth1, ipv6: {enabled: true, autoconf: true, auto-routes: false}}",
        "{name: eth1, ipv6: {enabled: true, autoconf: true, auto-route-metric: 50}}",
        "{name: eth1, ipv6: {enabled: true, autoconf: true, auto-route-table-id: 0}}",
        "{name: eth1, ipv4: {enabled: true, dhcp: false, allow-extra-address: false}}",
        "{name: eth1, ipv4: {enabled: true, dhcp: false, allow-extra-address: true}}",
        "{name: eth1, ipv4: {dhcp: true, enabled: 1, allow-extra-address: true, address: []}}",
    ],
)
def test_a_change_that_can_be_carried_out_is_not_refused(link: str) -> None:
    assert refusals(f"interfaces: [{link}]") == []


def test_a_weight_is_for_a_route_of_several_ways() -> None:
    single = ROUTE % ", weight: 2"
    other = single.replace("192.0.2.1", "192.0.2.2")

    assert refusals(f"routes: {{config: [{single}]}}") == [
        "weight is for a route of several ways: leave it out, or name the others"
    ]
    assert refusals(f"routes: {{config: [{single}, {other}]}}") == []
    assert refusals(f"routes: {{config: [{ROUTE % ', metric: 2'}]}}") == []


def test_a_way_of_two_is_removed_with_the_weight_that_it_has() -> None:
    ways = [ROUTE % ", weight: 2", ROUTE.replace("0.2.1", "0.2.2") % ", weight: 3"]
    state = read_state(f"{LINK}routes: {{config: [{', '.join(ways)}]}}")
    (document,) = read(f"routes: {{config: [{ways[0].replace('{', '{state: absent, ')}]}}")

    assert list(limits.judge(join(document.state, state))) == []


def refusals_of_functions(count: int, address: str, upper: str = "") -> list[str]:
    (document,) = read(VFS % count)
    state = read_state(PF % (address, upper))
    return [row.text for row in limits.judge(join(document.state, state))]


@pytest.mark.parametrize(
    ("address", "upper", "words"),
    [
        (
            ", ipv4: {enabled: true, dhcp: false, address: [{ip: 192.0.2.9, prefix-length: 24}]}",
            "",
            "has the address 192.0.2.9",
        ),
        (
            "",
            "- {name: b, type: bond, state: up, bond: {mode: 1, port: [v0]}}",
            "is a port of b",
        ),
        (
            "",
            "- {name: q, type: vlan, state: up, vlan: {base-iface: v0, id: 5}}",
            "is what q is on",
        ),
    ],
)
def test_a_vf_that_the_node_uses_keeps_the_number_of_vfs(
    address: str, upper: str, words: str
) -> None:
    (text,) = refusals_of_functions(4, address, upper)

    assert text.startswith(f"pf0: its VF v0 {words}, and the kernel removes all VFs")
    assert refusals_of_functions(3, address, upper) == []


def test_a_nic_whose_other_settings_are_known_has_no_sr_iov() -> None:
    nic = "interfaces: [{name: pf0, type: ethernet, state: up, ethernet: {auto-negotiation: true}}]"
    (document,) = read(VFS % 2)

    (refusal,) = limits.judge(join(document.state, read_state(nic)))

    assert "it has no SR-IOV" in refusal.text


def test_a_vf_beyond_the_number_of_vfs_is_refused() -> None:
    text = "interfaces: [{name: pf0, ethernet: {sr-iov: {vfs: [{id: 2}, {id: 3, trust: true}]}}}]"
    (document,) = read(text)

    (refusal,) = limits.judge(join(document.state, read_state(PF % ("", ""))))

    assert refusal.text == "pf0: its VF 3 is none of 3: they are numbered from 0"


def test_a_pf_without_vfs_may_have_some() -> None:
    pf = "interfaces: [{name: pf0, type: ethernet, state: up, ethernet: {sr-iov: {total-vfs: 0}}}]"
    (document,) = read(VFS % 2)

    assert list(limits.judge(join(document.state, read_state(pf)))) == []


def test_vfs_that_are_only_up_may_go() -> None:
    assert refusals_of_functions(0, "") == []


def test_two_routes_for_one_place_of_the_kernel_are_refused() -> None:
    dead_end = "{destination: 10.0.0.0/8, route-type: blackhole}"
    other = "{destination: 10.0.0.0/8, next-hop-interface: eth1, metric: 5}"

    (text,) = refusals(f"routes: {{config: [{ROUTE % ''}, {dead_end}, {other}]}}")

    assert text == "another route has its network, table and metric: give it another metric"
    assert refusals(f"routes: {{config: [{ROUTE % ''}, {other}, {ROUTE % ''}]}}") == []
