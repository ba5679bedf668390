"""Each kind of step, carried out on a node: what a document asks for is there, and asked once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sriovbond.errors import KernelError
from sriovbond.nodenet.difference import revert
from sriovbond.nodenet.writer import to_yaml
from tests.support.sites import ADDRESSES, EVERY_KIND, NodeUnderTest, a_node_with_wires

BY_A_ROUTE = """
interfaces:
- name: eth1
  type: ethernet
  ipv4: {enabled: true, dhcp: false, address: [{ip: 192.0.2.9, prefix-length: 32}]}
  ipv6: {enabled: true, autoconf: false, address: [{ip: "2001:db8::9", prefix-length: 128}]}
routes:
  config:
  - {destination: 0.0.0.0/0, next-hop-interface: eth1, next-hop-address: 198.51.100.1, advmss: 0}
  - {destination: "::/0", next-hop-interface: eth1, next-hop-address: "2001:db8:1::1"}
  - {destination: 198.51.100.1/32, next-hop-interface: eth1, next-hop-address: 0.0.0.0}
  - {destination: "2001:db8:1::1/128", next-hop-interface: eth1, next-hop-address: "::"}
  - {destination: "2001:db8:2::/64", next-hop-interface: eth1, next-hop-address: "fe80::1%eth1"}
route-rules:
  config: [{family: ipv4, priority: 905, route-table: 77, fwmark: 0}]
"""
NOTHING = """
interfaces:
- name: eth1
  type: ethernet
  ipv4: {enabled: true, dhcp: false, address: []}
  ipv6: {enabled: false, forwarding: true, token: "::5", addr-gen-mode: none}
  lldp: {enabled: false}
  ethernet: {auto-negotiation: false, sr-iov: {total-vfs: 0, vfs: []}}
- name: eth2
  type: ethernet
  ipv4: {enabled: true, prefix-route-metric: 0}
  ipv6: {enabled: true, autoconf: true, auto-route-table-id: 0, dhcp-send-hostname: true}
routes:
  config: [{destination: 203.0.113.0/24, route-type: blackhole, next-hop-interface: lo}]
route-rules:
  config: [{ip-to: 203.0.113.0/24, priority: 906, action: prohibit, route-table: 5}]
"""
FLUSHED = """
route-rules:
  config:
  - {state: absent, route-table: 77}
  - {state: absent, ip-from: 192.0.2.0/24}
  - {ip-from: 192.0.2.0/24, priority: 907, route-table: 77}
  - {ip-from: 198.51.100.0/24, route-table: 77}
"""


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeUnderTest]:
    with a_node_with_wires(tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    "text",
    [ADDRESSES, EVERY_KIND, BY_A_ROUTE, NOTHING, FLUSHED],
    ids=("addresses", "all", "by a route", "words for nothing", "rules of a table anew"),
)
def test_a_document_is_applied_once_and_quiet_on_repeat(node: NodeUnderTest, text: str) -> None:
    assert node.apply(text) == []
    assert node.is_quiet_on_repeat(text)
    assert node.is_quiet_on_repeat(node.show())


WITH_A_VLAN = (
    "link add link eth1 name v7 type vlan id 7",
    "link set v7 up",
    "address add 203.0.113.1/24 dev v7",
    "address add 2001:db8:7::1/64 dev v7 nodad",
    "route add 10.0.0.0/8 via 203.0.113.2 proto static",
    "route add 2001:db8:9::/48 via 2001:db8:7::2 proto static",
)


@pytest.mark.parametrize("more", [(), WITH_A_VLAN], ids=("alone", "with a vlan"))
def test_a_nic_that_goes_down_is_as_it_was_by_the_document_that_reverts_it(
    node: NodeUnderTest, more: tuple[str, ...]
) -> None:
    node.ip(
        "address add 192.0.2.9/24 dev eth1",
        "address add 2001:db8::9/64 dev eth1 nodad",
        "route add default via 192.0.2.1 proto static",
        "route add 2001:db8:8::/48 via 2001:db8::1 proto static",
        *more,
    )
    before, down = node.settle(), "interfaces: [{name: eth1, state: down}]"
    back = to_yaml(revert(node.join(down)))

    assert node.apply(down) == []
    assert node.is_quiet_on_repeat(down)

    assert node.apply(back) == []
    node.assert_is(before)


ON_THE_DEFAULT_GATEWAY = """
capture:
  default-gw: routes.running.destination=="0.0.0.0/0"
  base-iface: interfaces.name==capture.default-gw.routes.running.0.next-hop-interface
  its-routes: routes.running.next-hop-interface==capture.base-iface.interfaces.0.name
  bridge-routes: capture.its-routes | routes.running.next-hop-interface:="br1"
desired:
  interfaces:
  - name: br1
    type: linux-bridge
    state: up
    ipv4: "{{ capture.base-iface.interfaces.0.ipv4 }}"
    bridge:
      options: {stp: {enabled: false}}
      port: [{name: "{{ capture.base-iface.interfaces.0.name }}"}]
  routes: {config: "{{ capture.bridge-routes.routes.running }}"}
"""


def test_routes_that_are_captured_move_with_their_addresses(node: NodeUnderTest) -> None:
    """A bridge on the default gateway, as in kubernetes-nmstate's user guide (102)."""
    node.ip(
        "address add 192.0.2.9/24 dev eth1",
        "route add default via 192.0.2.1 proto static",
        "route add 10.0.0.0/8 via 192.0.2.2 metric 100",
        "route add 10.7.0.0/16 via 192.0.2.3 proto bird",
    )
    document = to_yaml(node.join(ON_THE_DEFAULT_GATEWAY).desired)

    assert node.apply(document) == []

    assert node.is_quiet_on_repeat(document)
    routes = node.pod.run("ip", "-4", "route").stdout.splitlines()
    assert [row.partition(" dev br1")[0] for row in routes] == [
        "default via 192.0.2.1",
        "10.0.0.0/8 via 192.0.2.2",
        "192.0.2.0/24",
    ]


def test_the_secret_of_stable_addresses_is_the_same_at_each_boot(node: NodeUnderTest) -> None:
    (node.host.root / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    secrets = []

    for _ in range(2):
        assert node.apply(EVERY_KIND) == []
        secrets.append(node.site.node.sysctl("ipv6/conf/va/stable_secret"))
        assert node.apply("interfaces: [{name: va, type: veth, state: absent}]") == []

    assert secrets == ["e796:7467:a06f:842f:e093:f1c5:123e:ac90"] * 2


def test_the_first_address_of_a_network_is_replaced_without_losing_the_others(
    node: NodeUnderTest,
) -> None:
    node.apply(ADDRESSES)
    text = ADDRESSES.replace("{ip: 192.0.2.8, prefix-length: 24}, ", "")

    assert node.apply(text) == []
    assert "192.0.2.9/24" in node.pod.run("ip", "-o", "address").stdout


def test_ipv6_that_is_disabled_and_enabled_again_has_its_addresses(node: NodeUnderTest) -> None:
    node.apply(ADDRESSES)

    assert node.apply("interfaces: [{name: eth1, ipv6: {enabled: false}}]") == []
    without = node.pod.run("ip", "-6", "address", "show", "eth1").stdout
    assert node.apply(ADDRESSES) == []

    assert without == ""
    assert "2001:db8::9/64" in node.pod.run("ip", "-6", "address", "show", "eth1").stdout


def test_a_route_is_replaced_in_one_request(node: NodeUnderTest) -> None:
    node.apply(ADDRESSES)
    route = "{destination: 0.0.0.0/0, next-hop-interface: eth1, next-hop-address: 192.0.2.%s%s}"
    node.apply(f"routes: {{config: [{route % (1, '')}]}}")
    node.sent.clear()
    gone = route % (1, ", state: absent")

    assert node.apply(f"routes: {{config: [{gone}, {route % (2, '')}]}}") == []
    assert len(node.sent) == 1


def test_resolv_conf_is_written_whole_and_keeps_other_lines(node: NodeUnderTest) -> None:
    text = "dns-resolver: {config: {server: [192.0.2.53, 192.0.2.54], search: [example.org]}}"
    file = node.host.root / "etc/resolv.conf"

    assert node.apply(text) == []
    assert file.read_text() == (
        "# by hand\nnameserver 192.0.2.53\nnameserver 192.0.2.54\nsearch example.org\n"
    )
    assert node.apply("dns-resolver: {config: {}}") == []
    assert file.read_text() == "# by hand\n"


def test_a_refusal_names_the_step_and_the_kernels_error(node: NodeUnderTest) -> None:
    text = "{destination: 10.0.0.0/8, next-hop-interface: eth1, source: 198.18.0.1}"

    with pytest.raises(KernelError, match=r"cannot add the route .*10\.0\.0\.0/8.*EINVAL"):
        node.apply(f"routes: {{config: [{text}]}}\ninterfaces: [{{name: eth1, {V4}}}]")


V4 = "ipv4: {enabled: true, dhcp: false, address: [{ip: 192.0.2.9, prefix-length: 24}]}"
