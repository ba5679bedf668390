"""A node in a namespace of its own, on which steps of documents are carried out."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sriovbond.host import Host
from sriovbond.kernel import netlink as nl
from sriovbond.kernel import netns
from sriovbond.kernel.netlink import NetlinkRequest
from sriovbond.nodenet import document
from sriovbond.nodenet.joined import Joined, join
from sriovbond.nodenet.model import NetState
from sriovbond.nodenet.steps import plan
from sriovbond.nodenet.writer import to_yaml
from sriovbond.reshape import acting, limits
from sriovbond.reshape.site import Site
from sriovbond.survey import node as survey
from sriovbond.survey import shown
from tests.support.pods import Pod, a_pod, ip
from tests.support.worlds import World, world

WITHIN_S = 20.0


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for a condition, for a bounded time: what comes after it asserts."""
    deadline = time.monotonic() + WITHIN_S
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.1)


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
"""Addresses of both families on eth1, the second IPv4 one secondary."""
EVERY_KIND = """
interfaces:
- name: va
  type: veth
  veth: {peer: vb}
  mtu: 1400
  description: one end
  mac-address: 02:00:00:00:00:77
  ipv6: {enabled: true, autoconf: false, addr-gen-mode: stable-privacy}
- name: vb
  type: veth
  veth: {peer: va}
  alt-names: [{name: another-name-for-vb}]
  accept-all-mac-addresses: true
- name: eth1
  type: ethernet
  description: uplink
  ipv4:
    enabled: true
    dhcp: false
    prefix-route-metric: 300
    address: [{ip: 192.0.2.9, prefix-length: 24}]
  ipv6:
    enabled: true
    autoconf: false
    forwarding: true
    address: [{ip: "2001:db8::9", prefix-length: 64}]
- name: eth2
  type: ethernet
  ipv6: {enabled: true, autoconf: true, token: "::5"}
routes:
  config:
  - destination: 0.0.0.0/0
    next-hop-interface: eth1
    next-hop-address: 192.0.2.1
    advmss: 1200
    cwnd: 5
    source: 192.0.2.9
  - {destination: 198.51.100.0/24, next-hop-interface: eth1, metric: 5, table-id: 77}
  - {destination: "2001:db8:1::/48", next-hop-interface: eth1, next-hop-address: "2001:db8::1"}
  - {destination: 203.0.113.0/24, route-type: blackhole}
  - {destination: "2001:db8:9::/48", route-type: unreachable}
route-rules:
  config:
  - {ip-from: 198.51.100.0/24, priority: 900, route-table: 77}
  - {family: ipv6, priority: 901, route-table: 77, fwmark: "0x3", fwmask: "0xff", iif: lo}
  - {ip-to: "2001:db8:1::/48", priority: 902, action: prohibit}
  - {family: ipv4, priority: 903, route-table: 254, suppress-prefix-length: 0}
"""
"""A step of each kind but bonds and bridges: veths, addresses, routes, rules."""


@dataclass(frozen=True, slots=True)
class NodeUnderTest:
    """A namespace in the role of a node, with a root of its own."""

    pod: Pod
    site: Site
    host: Host
    sent: list[str] = field(default_factory=list)
    """The requests that change something, in words, since it was made."""

    def ip(self, *lines: str) -> None:
        self.pod.batch(*lines)

    def read(self) -> NetState:
        return survey.read(self.site.node, self.host)

    def show(self) -> str:
        """Return what `host show` prints."""
        return to_yaml(shown.show(self.read()))

    def join(self, text: str) -> Joined:
        state = self.read()
        wish = document.unite(document.read(text, state))
        assert not wish.unset
        return join(wish.state, state)

    def apply(self, text: str) -> list[str]:
        """Carry out a document's steps; return what is left to do then, as a change is verified."""
        joined = self.join(text)
        assert not [*joined.complaints, *limits.judge(joined)]
        for step in plan(joined):
            acting.carry_out(self.site, step)
        rest = plan(join(joined.desired, self.read()))
        return [line for step in rest for line in step.lines]

    def left(self, text: str) -> list[str]:
        return [line for step in plan(self.join(text)) for line in step.lines]

    def is_quiet_on_repeat(self, text: str) -> bool:
        """Return whether the same document again sends nothing that changes anything."""
        self.sent.clear()
        return self.apply(text) == [] and self.sent == []

    def assert_is(self, before: World) -> None:
        """Compare all of the node, when its own IPv6 addresses have settled."""
        wait_until(lambda: self.world() == before)
        now = self.world()
        changed = {key for key in now.keys() | before.keys() if now.get(key) != before.get(key)}
        assert not changed, {key: (before.get(key), now.get(key)) for key in changed}

    def settle(self) -> World:
        """Return all of the node, when its own IPv6 addresses have settled."""
        wait_until(lambda: "tentative" not in self.pod.run("ip", "address").stdout)
        return self.world()

    def world(self) -> World:
        """Return all of the node: links with their sysctls, addresses, routes, files."""
        return world({"node": self.pod.path}, [self.host.root])


@contextmanager
def a_node_with_wires(folder: Path) -> Iterator[NodeUnderTest]:
    """Make a node with two wires, eth1 and eth2, both up."""
    with a_node(folder) as made:
        made.ip(
            "link add eth1 address 02:00:00:00:00:01 type veth peer far1",
            "link add eth2 address 02:00:00:00:00:02 type veth peer far2",
            *(f"link set {name} up" for name in ("eth1", "eth2", "far1", "far2")),
        )
        yield made


@contextmanager
def a_node(folder: Path) -> Iterator[NodeUnderTest]:
    """Make a node without links, and with an empty resolv.conf."""
    with a_pod("node") as pod, a_node_in(pod, folder) as node:
        pod.ip("link set lo up")
        yield node


@contextmanager
def this_node(folder: Path) -> Iterator[NodeUnderTest]:
    """Take this network namespace for a node, with files of its own: only in the VM."""
    pod = Pod("this-node", "this-node")
    ip(f"netns attach {pod.name} {os.getpid()}")
    try:
        with a_node_in(pod, folder) as node:
            yield node
    finally:
        ip(f"netns del {pod.name}")


@contextmanager
def a_node_in(pod: Pod, folder: Path) -> Iterator[NodeUnderTest]:
    """Take a namespace for a node, with a root of its own and a resolv.conf in it."""
    (folder / "root/etc").mkdir(parents=True)
    (folder / "root/etc/resolv.conf").write_text("# by hand\n", encoding="ascii")
    host = Host(root=folder / "root", state=folder / "state", run=folder / "run")
    with netns.opened(pod.path) as namespace:
        node = NodeUnderTest(pod, Site(namespace, host.root, Path("/sys"), host), host)

        def note(request: NetlinkRequest) -> None:
            if request.changes:
                node.sent.append(str(request))

        nl.taps.append(note)
        try:
            yield node
        finally:
            nl.taps.remove(note)
