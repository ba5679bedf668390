"""Whose an interface is, by what Debian's systemd-networkd itself leaves; and it hands it over."""

import re
import socket
from collections.abc import Iterator

import pytest

from sriovbond.host import Host
from sriovbond.kernel import netns
from sriovbond.nodenet import document
from sriovbond.nodenet.joined import join
from sriovbond.survey import node as survey
from sriovbond.survey import owners
from tests.support.agents import wait_for
from tests.support.networkd import NetworkdNode, a_networkd_node

UPLINK = "[Match]\nName=eth1\n[Network]\nAddress=192.0.2.9/24\nGateway=192.0.2.1\n"
SERVER = "[Match]\\nName=eth2\\n[Network]\\nAddress=192.0.2.1/24\\nDHCPServer=yes\\n"
CLIENT = "[Match]\\nName=eth1\\n[Network]\\nDHCP=ipv4\\n"
DOCUMENT = """
interfaces:
- name: bond0
  type: bond
  link-aggregation: {mode: active-backup, port: [eth1]}
"""


@pytest.fixture
def node() -> Iterator[NetworkdNode]:
    with a_networkd_node() as made:
        made.run(
            "ip link add eth1 type veth peer eth2; ip link set eth2 up;"
            f"printf '{UPLINK!s}' > /run/systemd/network/50-uplink.network"
        )
        yield made


@pytest.fixture
def far(node: NetworkdNode) -> Iterator[NetworkdNode]:
    """Run a DHCP server, networkd's own, at the far end of the node's uplink."""
    with a_networkd_node() as made:
        node.run(
            f"ip link set eth2 netns {made.pid}; rm /run/systemd/network/*; ip link set eth1 up"
        )
        made.run(f"printf '{SERVER}' > /run/systemd/network/a.network; ip link set eth2 up")
        with made.networkd():
            yield made


def _owners(node: NetworkdNode) -> dict[str, str]:
    with netns.opened(node.namespace) as namespace:
        links = {name: index for index, name in namespace.run(socket.if_nameindex)}
    return {name: owner.program for name, owner in owners.find(node.root, links).items()}


def _refusals(node: NetworkdNode) -> list[str]:
    with netns.opened(node.namespace) as namespace:
        state = survey.read(namespace, Host(root=node.root))
        joined = join(document.unite(document.read(DOCUMENT)).state, state)
        return [row.text for row in owners.judge(joined, namespace, node.root)]


def _has_address(node: NetworkdNode) -> bool:
    return "192.0.2.9/24" in node.run("ip -o addr show eth1")


def test_an_interface_of_networkd_is_refused_and_the_command_hands_it_over(
    node: NetworkdNode,
) -> None:
    with node.networkd():
        wait_for(lambda: _has_address(node))
        (refusal,) = _refusals(node)

    assert "eth1 is managed by systemd-networkd (/run/systemd/network/50-uplink.network)" in refusal
    (command,) = re.findall(r"`(.*) && systemctl restart systemd-networkd`", refusal)
    node.run(command)
    with node.networkd():
        wait_for(lambda: not _owners(node))

        assert _refusals(node) == []
        assert _has_address(node)
        assert "default via 192.0.2.1" in node.run("ip route")
    assert _has_address(node)


def _handover(node: NetworkdNode) -> str:
    with netns.opened(node.namespace) as namespace:
        links = {name: index for index, name in namespace.run(socket.if_nameindex)}
    owner = owners.find(node.root, links).get("eth1")
    return owner.handover if owner else ""


def _leased(node: NetworkdNode) -> bool:
    return "dynamic" in node.run("ip -o -4 addr show eth1")


@pytest.mark.usefixtures("far")
def test_networkd_keeps_a_leased_address_when_the_refusals_command_has_run(
    node: NetworkdNode,
) -> None:
    node.run(f"printf '{CLIENT}' > /run/systemd/network/80-dhcp.network")
    with node.networkd():
        wait_for(lambda: _leased(node) and "DHCP lease" in _handover(node))
        words = _handover(node)
    assert not _leased(node)

    keep, hand_over = re.findall(r"`(.*?) && (?:networkctl reload|systemctl restart .*?)`", words)
    node.run(keep)
    with node.networkd():
        wait_for(lambda: _leased(node))
    assert _leased(node)
    node.run(hand_over)
    with node.networkd():
        wait_for(lambda: not _owners(node))
        assert _leased(node)
    assert _leased(node)
