"""A node with a client of DHCP, a far side to serve it, and what its client sends."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from sriovbond.dhcp import files, packet, service
from sriovbond.dhcp.files import ClientFiles, ClientStatus
from sriovbond.dhcp.packet import DhcpMessage, MalformedError
from sriovbond.dhcp.wish import DhcpWish, make_id
from sriovbond.kernel import netns
from tests.support.pods import Pod, a_pod
from tests.support.sites import NodeUnderTest, a_node

WITHIN_S = 60.0
_LINKS = ("eth1", "eth2", "wire1", "wire2", "uplink", "switch")
MAC = bytes.fromhex("020000000001")
OPTIONS = (
    "option dns 192.0.2.53",
    "option search corp.example.org x.example.org",
    "option mtu 1400",
    "option staticroutes 10.0.0.0/8 192.0.2.7, 0.0.0.0/0 192.0.2.9",
)


@dataclass(frozen=True, slots=True)
class LeasedNode:
    """A node with eth1 and eth2 on a switch, and with `far` behind it, where a server may be.

    The switch is in the node's own namespace: a veth with an end elsewhere is a pod's.
    """

    node: NodeUnderTest
    far: Pod

    def start(self, wish: DhcpWish | None = None, name: str = "eth1") -> None:
        wish = wish or DhcpWish(make_id(None, name, MAC, "").hex())
        found = files.read(self.node.host, name)
        client = replace(found, wish=wish) if found else ClientFiles(name, wish)
        files.write(self.node.host, client)
        self.node.site.node.run(lambda: service.start(self.node.host, name))

    def stop(self, name: str = "eth1") -> None:
        service.stop(self.node.host, name)

    def status(self, name: str = "eth1") -> ClientStatus:
        return files.read_status(self.node.host, name) or ClientStatus("missing")

    def await_status(
        self, holds: Callable[[ClientStatus], bool], name: str = "eth1", within_s: float = WITHIN_S
    ) -> ClientStatus:
        deadline = time.monotonic() + within_s
        while not holds(self.status(name)):
            assert time.monotonic() < deadline, self.status(name)
            time.sleep(0.05)
        return self.status(name)

    def await_lease(self, name: str = "eth1", within_s: float = WITHIN_S) -> ClientStatus:
        return self.await_status(lambda one: one.is_confirmed and one.is_holding, name, within_s)

    def addresses(self, name: str = "eth1") -> list[str]:
        rows = self.node.pod.ip(f"-j -4 address show dev {name}")
        return (
            [f"{row['local']}/{row['prefixlen']}" for row in rows[0]["addr_info"]] if rows else []
        )

    def routes(self, table: str = "main") -> dict[str, str]:
        """Return the gateway of each route of DHCP, by its network."""
        rows = self.node.pod.ip(f"-j -4 route show table {table} proto dhcp")
        return {row["dst"]: row.get("gateway", "") for row in rows}

    def await_requests(self, requests: Callable[[], list[DhcpMessage]]) -> list[DhcpMessage]:
        """Wait for what the client sends next, and return it."""
        deadline = time.monotonic() + WITHIN_S
        while not (sent := requests()):
            assert time.monotonic() < deadline, "the client sends nothing"
            time.sleep(0.1)
        return sent

    @property
    def resolv_conf(self) -> str:
        return (self.node.host.root / "etc/resolv.conf").read_text(encoding="ascii")


@contextmanager
def a_leased_node(folder: Path) -> Iterator[LeasedNode]:
    """Make the node; all of its clients are stopped at the end."""
    with a_pod("far") as far, a_node(folder) as node:
        a_switch(node.pod, far)
        try:
            yield LeasedNode(node, far)
        finally:
            for name in files.names(node.host):
                service.stop(node.host, name)


def a_switch(pod: Pod, far: Pod) -> None:
    """Put eth1 and eth2 into a namespace, a switch behind them, and far1 of `far` behind that."""
    pod.batch(
        f"link add eth1 address {MAC.hex(':')} type veth peer wire1",
        "link add eth2 address 02:00:00:00:00:02 type veth peer wire2",
        "link add switch type bridge forward_delay 0",
        f"link add uplink type veth peer far1 netns {far.name}",
        *(f"link set {name} master switch" for name in ("wire1", "wire2", "uplink")),
        *(f"link set {name} up" for name in _LINKS),
    )
    far.batch("address add 192.0.2.1/24 dev far1", "link set far1 up")


@contextmanager
def requests_to(far: Pod, interface: str) -> Iterator[Callable[[], list[DhcpMessage]]]:
    """Have what clients send to an interface of the far side, since the last call."""
    kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
    with netns.opened(far.path) as namespace:
        packets = namespace.run(lambda: socket.socket(socket.AF_PACKET, kind, socket.htons(0x0800)))
    with packets:
        packets.bind((interface, 0x0800))
        yield lambda: list(_requests(packets))


def _requests(packets: socket.socket) -> Iterator[DhcpMessage]:
    while True:
        try:
            data = packets.recv(packet.MOST_BYTES)
        except BlockingIOError:
            return
        is_to_server = data[9:10] == bytes([socket.IPPROTO_UDP]) and data[22:24] == b"\0\x43"
        with suppress(MalformedError):
            if is_to_server:
                yield packet.decode(data[28:])
