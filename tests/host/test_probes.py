"""What answered before a change must answer after it: a gateway of the main table, a DNS server."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from sriovbond.kernel import netns
from sriovbond.trial.transaction import ChangeOutcome, RevertedError
from tests.support.background import repeated
from tests.support.changes import Changes
from tests.support.pods import Pod, a_pod
from tests.support.sites import a_node

SOON_S = 30.0
ROUTE = "routes: {config: [{destination: %s, next-hop-interface: eth1, next-hop-address: %s%s}]}"
GONE = "routes: {config: [{destination: 0.0.0.0/0, state: absent}]}"
BRIDGE = """
interfaces:
- name: br0
  type: linux-bridge
  ipv4: {enabled: true, dhcp: false, address: [{ip: 192.0.2.9, prefix-length: 24}]}
  bridge: {options: {stp: {enabled: false}}, port: [{name: eth1}]}
routes: {config: [{destination: 0.0.0.0/0, next-hop-interface: br0, next-hop-address: %s}]}
"""


@contextmanager
def a_dns_server(far: Pod) -> Iterator[None]:
    """Answer every question to 192.0.2.1 with its own bytes."""
    with netns.opened(far.path) as namespace:
        server = namespace.run(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    server.bind(("192.0.2.1", 53))
    server.settimeout(0.2)

    def serve() -> None:
        with suppress(TimeoutError):
            server.sendto(*server.recvfrom(512))

    with server, repeated(serve):
        yield


@contextmanager
def an_api_server(far: Pod) -> Iterator[int]:
    """Listen at 192.0.2.1; yields the port."""
    with netns.opened(far.path) as namespace:
        server = namespace.run(lambda: socket.create_server(("192.0.2.1", 0)))
    with server:
        yield server.getsockname()[1]


@pytest.fixture
def far() -> Iterator[Pod]:
    with a_pod("far") as made:
        yield made


@pytest.fixture
def changes(tmp_path: Path, far: Pod) -> Iterator[Changes]:
    """A node with a gateway and a DNS server at 192.0.2.1 beyond eth1 and a switch.

    A veth whose other end is elsewhere would be a pod's, and not the node's own.
    """
    with a_node(tmp_path) as node:
        node.ip(
            "link add eth1 type veth peer port1",
            "link add switch type bridge",
            f"link add port2 type veth peer far1 netns {far.name}",
            *(f"link set {name} master switch up" for name in ("port1", "port2")),
            "link set switch up",
            "link set eth1 up",
            "address add 192.0.2.9/24 dev eth1",
        )
        far.batch("link set lo up", "link set far1 up", "address add 192.0.2.1/24 dev far1")
        node.ip("route add default via 192.0.2.1")
        (node.host.root / "etc/resolv.conf").write_text("nameserver 192.0.2.1\n")
        with a_dns_server(far):
            yield Changes(node, [])


def test_the_uplink_moves_into_a_bridge_and_the_gateway_answers(changes: Changes) -> None:
    assert changes.apply(BRIDGE % "192.0.2.1") is ChangeOutcome.COMMITTED


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BRIDGE % "192.0.2.77", r"no IPv4 gateway answers \(gateway 192\.0\.2\.77 on br0\)"),
        ("dns-resolver: {config: {server: [192.0.2.78]}}", r"no DNS answers \(DNS 192\.0\.2\.78\)"),
        (GONE, r"no IPv4 gateway answers \(there is none\)"),
    ],
)
def test_a_change_after_which_nothing_answers_is_reverted(
    changes: Changes, text: str, words: str
) -> None:
    before = changes.node.settle()

    with pytest.raises(RevertedError, match=words):
        changes.apply(text, SOON_S)

    changes.node.assert_is(before)
    assert re.search(words + ".*; asking on", "\n".join(changes.said))


def test_a_gateway_of_another_table_does_not_count(changes: Changes) -> None:
    text = ROUTE % ("0.0.0.0/0", "192.0.2.77", ", table-id: 77")

    assert changes.apply(text) is ChangeOutcome.COMMITTED


def test_an_api_server_that_answered_before_has_to_answer_after(changes: Changes, far: Pod) -> None:
    with an_api_server(far) as port:
        folder = changes.node.host.root / "etc/kubernetes"
        folder.mkdir(mode=0o700)
        server = f"{{server: 'https://192.0.2.1:{port}'}}"
        (folder / "kubelet.conf").write_text(f"clusters: [{{name: a, cluster: {server}}}]")
        lost = ROUTE % ("192.0.2.1/32", "192.0.2.66", "")

        with pytest.raises(
            RevertedError, match=rf"no API server answers \(API server 192.*port {port}"
        ):
            changes.apply(lost, SOON_S)

        assert changes.apply(ROUTE % ("10.0.0.0/8", "192.0.2.1", "")) is ChangeOutcome.COMMITTED


def test_a_host_silent_before_a_change_need_not_answer_after_it(changes: Changes) -> None:
    changes.node.ip("route replace default via 192.0.2.66")
    (changes.node.host.root / "etc/resolv.conf").write_text("nameserver 192.0.2.66\n")
    text = ROUTE % ("10.0.0.0/8", "192.0.2.1", "")

    assert changes.apply(text) is ChangeOutcome.COMMITTED


@pytest.mark.parametrize("mute", [0, 1], ids=["ping", "ARP alone"])
def test_a_gateway_that_was_reachable_before_the_change_has_to_answer_anew(
    changes: Changes, far: Pod, mute: int
) -> None:
    (changes.node.host.root / "etc/resolv.conf").write_text("")
    far.run("sysctl", "-w", f"net.ipv4.icmp_echo_ignore_all={mute}")
    text = "interfaces: [{name: %s, type: linux-bridge, mtu: 1400%s}]"

    assert changes.apply(text % ("switch", "")) is ChangeOutcome.COMMITTED
    with pytest.raises(RevertedError, match="no IPv4 gateway answers"):
        changes.apply(text % ("switch", ", state: down"), SOON_S)


def test_an_ipv6_address_that_another_host_has_is_found_before_the_change_is_kept(
    changes: Changes, far: Pod
) -> None:
    far.batch("address add 2001:db8::1/64 dev far1 nodad")
    before = changes.node.settle()
    text = "{enabled: true, dhcp: false, address: [{ip: '2001:db8::%d', prefix-length: 64}]}"
    link = "interfaces: [{name: eth1, type: ethernet, ipv6: %s}]"

    with pytest.raises(RevertedError, match="another host has the address 2001:db8::1"):
        changes.apply(link % (text % 1))

    changes.node.assert_is(before)
    assert changes.apply(link % (text % 2)) is ChangeOutcome.COMMITTED
    assert "tentative" not in changes.node.pod.run("ip", "-6", "address", "show", "eth1").stdout
