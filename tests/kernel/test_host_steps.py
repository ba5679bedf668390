"""Each kind of step, carried out on a node: what a document asks for is there, and asked once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sriovbond.errors import KernelError
from tests.support.sites import NodeUnderTest, a_node

ADDRESSES = """
interfaces:
- name: eth1
  type: ethernet
  ipv4:
    enabled: true
    dhcp: false
    forwarding: true
    address: [{ip: 192.0.2.8, prefix-length: 24}, {ip: 192.0.2.9, prefix-length: 24}]
  ipv6:
    enabled: true
    autoconf: false
    addr-gen-mode: none
    address: [{ip: "2001:db8::9", prefix-length: 64}]
"""


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeUnderTest]:
    """A node with two wires, eth1 and eth2, both up."""
    with a_node(tmp_path) as made:
        made.ip(
            "link add eth1 address 02:00:00:00:00:01 type veth peer far1",
            "link add eth2 address 02:00:00:00:00:02 type veth peer far2",
            *(f"link set {name} up" for name in ("eth1", "eth2", "far1", "far2")),
        )
        yield made


def is_quiet_on_repeat(node: NodeUnderTest, text: str) -> bool:
    """Return whether the same document again sends nothing that changes anything."""
    node.sent.clear()
    return node.apply(text) == [] and node.sent == []


def test_what_a_document_asks_for_is_there_and_asked_once(node: NodeUnderTest) -> None:
    assert node.apply(ADDRESSES) == []
    assert is_quiet_on_repeat(node, ADDRESSES)


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
    assert node.apply(ADDRESSES) == []


def test_a_route_is_replaced_in_one_request(node: NodeUnderTest) -> None:
    node.apply(ADDRESSES)
    route = "{destination: 0.0.0.0/0, next-hop-interface: eth1, next-hop-address: 192.0.2.%s%s}"
    node.apply(f"routes: {{config: [{route % (1, '')}]}}")
    node.sent.clear()
    gone = route % (1, ", state: absent")

    assert node.apply(f"routes: {{config: [{gone}, {route % (2, '')}]}}") == []
    assert len(node.sent) == 1


def test_resolv_conf_is_written_whole_and_keeps_what_is_not_ours(node: NodeUnderTest) -> None:
    text = "dns-resolver: {config: {server: [192.0.2.53, 192.0.2.54], search: [example.org]}}"
    file = node.host.root / "etc/resolv.conf"

    assert node.apply(text) == []
    assert file.read_text() == (
        "# by hand\nnameserver 192.0.2.53\nnameserver 192.0.2.54\nsearch example.org\n"
    )
    assert node.apply("dns-resolver: {config: {}}") == []
    assert file.read_text() == "# by hand\n"


def test_a_refusal_names_the_step_and_what_the_kernel_said(node: NodeUnderTest) -> None:
    text = "{destination: 10.0.0.0/8, next-hop-interface: eth1, next-hop-address: 198.18.0.1}"

    with pytest.raises(KernelError, match=r"cannot add the route .*10\.0\.0\.0/8.*ENETUNREACH"):
        node.apply(f"routes: {{config: [{text}]}}\ninterfaces: [{{name: eth1, {V4}}}]")


V4 = "ipv4: {enabled: true, dhcp: false, address: [{ip: 192.0.2.9, prefix-length: 24}]}"
