"""What can be and may not be meant is a warning."""

import pytest

from sriovbond.nodenet import cautions
from tests.unit.nodenet.states import joined

NODE = """\
interfaces:
- {name: eth0, type: ethernet, state: up, ipv4: {enabled: true, dhcp: false, address: [
   {ip: 192.0.2.9, prefix-length: 24}]}}
- {name: eth1, type: ethernet, state: up}
- {name: eth2, type: ethernet, state: up, ipv4: {enabled: true, dhcp: true, address: [
   {ip: 198.51.100.9, prefix-length: 24, valid-life-time: 60sec}]}}
routes: {config: [{destination: 0.0.0.0/0, next-hop-interface: eth0, next-hop-address: 192.0.2.1}]}
"""
LEASED = NODE.replace("config:", "running:").replace("hop-interface: eth0", "hop-interface: eth2")
OF_A_DAEMON = LEASED.replace("hop-interface: eth2", "hop-interface: eth1")
ROUTED6 = """\
interfaces:
- {name: eth0, type: ethernet, state: up, ipv6: {enabled: true, dhcp: false, autoconf: true}}
- {name: br0, type: linux-bridge, state: down, ipv6: {enabled: true, dhcp: false, autoconf: true}}
routes: {running: [{destination: "::/0", next-hop-interface: eth0, next-hop-address: fe80::1}]}
"""
STATIC6 = ROUTED6.replace("running:", "config:")
WITHOUT6 = "interfaces: [{name: eth0, ipv6: {enabled: false}}]"
STATIC = NODE.replace("dhcp: true", "dhcp: false").replace(", valid-life-time: 60sec", "")
BOND = "{name: bond0, type: bond, bond: {mode: 1, port: [eth0, eth1]}%s}"
ADDRESS = ", ipv4: {enabled: true, address: [{ip: %s, prefix-length: %d}]}"
ROUTE = (
    "\nroutes: {config: [{destination: 0.0.0.0/0, next-hop-interface: bond0,"
    " next-hop-address: 192.0.2.1}]}"
)
BONDED = """\
interfaces:
- {name: eth3, type: ethernet, state: up, mtu: 1500, controller: bond1}
- {name: bond1, type: bond, state: up, mtu: 1500, bond: {mode: active-backup, port: [eth3]}}
"""
AT_A_BOOT = (
    "eth3 is to have the MTU 9000 until bond1 takes it in again, as at a boot: then it gets the"
    " bond's, 1500"
)
OF_A_PROFILE = (
    "eth1: profile-name uplink sets nothing here: profiles are NetworkManager's, for which "
    "`host render` writes it"
)
GONE = "192.0.2.9, which eth0 has, goes from the node"
CUT = "the node has no default route of IPv4 in its main table then"
CUT6 = CUT.replace("IPv4", "IPv6")


@pytest.mark.parametrize(
    ("document", "node", "texts"),
    [
        (f"interfaces: [{BOND % ''}]", STATIC, [GONE, CUT]),
        (f"interfaces: [{BOND % ''}]", NODE, [GONE]),
        (f"interfaces: [{BOND % (ADDRESS % ('192.0.2.9', 24))}]", STATIC, [CUT]),
        (f"interfaces: [{BOND % (ADDRESS % ('192.0.2.9', 24))}]{ROUTE}", STATIC, []),
        (
            f"interfaces: [{{name: eth1{ADDRESS % ('192.0.2.9', 24)}}}]",
            STATIC,
            ["192.0.2.9 of eth1 is an address of eth0, too"],
        ),
        (
            f"interfaces: [{{name: eth1{ADDRESS % ('10.0.0.0', 24)}}}]",
            STATIC,
            ["eth1: 10.0.0.0/24 is the network's own address"],
        ),
        (f"interfaces: [{{name: eth1{ADDRESS % ('10.0.0.1', 24)}}}]", STATIC, []),
        ("routes: {config: [{next-hop-interface: eth0, state: absent}]}", STATIC, [CUT]),
        (STATIC, STATIC, []),
        ("interfaces: [{name: eth2, ipv4: {enabled: true, dhcp: false}}]", LEASED, [CUT]),
        ("interfaces: [{name: eth2, ipv4: {enabled: true, dhcp: false}}]", OF_A_DAEMON, []),
        ("interfaces: [{name: eth2, mtu: 1400}]", LEASED, []),
        ("interfaces: [{name: eth2, state: down}]", LEASED, [CUT]),
        (f"interfaces: [{BOND.replace('eth0', 'eth2') % ''}]", LEASED, [CUT]),
        (WITHOUT6, ROUTED6, [CUT6]),
        (WITHOUT6, STATIC6, [CUT6]),
        ("interfaces: [{name: eth0, mtu: 1400}]", ROUTED6, []),
        (f"interfaces: [{BOND % ', ipv6: {enabled: true, autoconf: true}'}]", ROUTED6, []),
        ("interfaces: [{name: eth3, mtu: 9000}]", BONDED, [AT_A_BOOT]),
        ("interfaces: [{name: eth3, mtu: 9000}, {name: bond1, mtu: 9000}]", BONDED, []),
        ("interfaces: [{name: eth3, mtu: 9000, controller: ''}]", BONDED, []),
        ("interfaces: [{name: eth0, type: ethernet, state: absent}]", STATIC, [GONE, CUT]),
        ("interfaces: [{name: eth0, state: down}]", STATIC, [CUT]),
        ("interfaces: [{name: eth1, profile-name: uplink}]", NODE, [OF_A_PROFILE]),
    ],
)
def test_a_change_has_these_warnings(document: str, node: str, texts: list[str]) -> None:
    assert list(cautions.find(joined(document, node))) == texts


@pytest.mark.parametrize(
    ("wish", "texts"),
    [
        (
            "{running: new}",
            ["the host is called new then, no longer old: kubelet registers it by its name"],
        ),
        ("{running: old, config: old}", []),
        ("{config: ''}", []),
    ],
)
def test_another_name_of_the_host_is_a_warning(wish: str, texts: list[str]) -> None:
    both = joined(f"hostname: {wish}", "hostname: {running: old, config: ''}")

    assert list(cautions.find(both)) == texts
