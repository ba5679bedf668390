"""Each kind of hostile input: what judges it, and samples to begin with."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sriovbond.kernel import messages
from sriovbond.shim import wire
from sriovbond.shim.wire import Request
from tests.fuzz import calls, files, wires
from tests.fuzz.world import CONTAINER, World, a_configuration
from tests.support import samples
from tests.support.dhcp_packets import ACK, OFFER

Judge = Callable[[World, bytes], None]


@dataclass(frozen=True, slots=True)
class Target:
    """`judge` raises where the input does what none may; `what` is the input in a few words.

    `weight` is its share of the inputs: one that is quickly judged has more of them.
    """

    name: str
    what: str
    weight: int
    judge: Judge
    samples: tuple[bytes, ...]


def _file(*parts: str) -> bytes:
    return samples.NODE.root.joinpath(*parts).read_bytes()


def _stdins() -> tuple[bytes, ...]:
    logs = ("../../outside/canary", "/var/log/x", "leads-out/canary", "link.log")
    networks = (
        a_configuration(),
        *(a_configuration(logFile=log) for log in logs),
        a_configuration(cniVersion="0.4.0", links=["net1", "net2"], ipam={}),
        a_configuration(mode="802.3ad", lacp_rate="fast", linksInContainer=False, mtu=9000),
        a_configuration(arp_interval=100, arp_ip_target=["192.0.2.1"], miimon=0),
        a_configuration(**{"cni.dev/valid-attachments": [{"containerID": "a", "ifname": "b"}]}),
    )
    return tuple(
        bytes([number]) + network for network in networks for number in range(len(calls.COMMANDS))
    )


def _environments() -> tuple[bytes, ...]:
    heads = (
        wire.encode_request(Request(calls.variables(command), b"")) for command in calls.COMMANDS
    )
    return tuple(head[wire.HEAD_BYTES + 4 :] for head in heads)


RESULT: Final = (
    b'{"cniVersion": "1.1.0", "interfaces": [{"name": "bond0", "mac": "02:00:00:00:00:01",'
    b' "sandbox": "/run/netns/of-no-pod"}], "ips": [{"address": "192.0.2.5/24", "gateway":'
    b' "192.0.2.1", "interface": 0}], "routes": [{"dst": "0.0.0.0/0"}], "dns": {}}'
)
_LINK: Final = bytes.fromhex(_file("..", "kernel", "igb-pf.hex").decode())
_ADDRESS: Final = messages.address(
    2, 24, 2, messages.attribute(messages.IFA_LOCAL, bytes([192, 0, 2, 1]))
)
_ROUTE: Final = messages.route(2, 24, messages.attribute(1, bytes(4)), type=1)
_EVENT: Final = (len(_LINK) + 16).to_bytes(4, "little") + bytes([16, 0, 2, 0, 1]) + bytes(7) + _LINK
_NAMES: Final = tuple(
    name.encode()
    for name in (
        f"default-sriov-a-{CONTAINER}_net1\0default-net-{CONTAINER}-1_net1",
        "rig.io/pf0\x000000:01:10.0\0rig.io/../../../etc\0passwd\0../\0..",
    )
)

TARGETS: Final = (
    Target("stdin", "a network configuration, in each command", 80, calls.stdin, _stdins()),
    Target("environment", "the CNI_* variables", 50, calls.environment, _environments()),
    Target(
        "arguments",
        "CNI_ARGS",
        30,
        calls.arguments,
        (b"IgnoreUnknown=true;K8S_POD_NAME=nf1", b"K8S_POD_UID=a;K8S_POD_NAMESPACE=default;MAC=02"),
    ),
    Target("prevresult", "prevResult", 20, calls.previous_result, (RESULT, b"{}", b"[]")),
    Target("record", "a record", 10, calls.record, tuple(calls.records_of_adds())),
    Target("queue", "a queued DEL", 10, calls.queued, (calls.a_queued_del(),)),
    Target(
        "frame",
        "frames on the agent's socket",
        160,
        wires.frame,
        (calls.a_queued_del(), b"SBq1\0\0\0\4"),
    ),
    Target(
        "netlink",
        "netlink answers and events",
        240,
        wires.netlink,
        (
            b"\0" + _LINK,
            b"\1" + _LINK[200:],
            b"\2" + _ROUTE,
            b"\3" + _ADDRESS,
            b"\4" + _EVENT,
            b"\5" + _EVENT,
        ),
    ),
    Target(
        "cache",
        "files of kubelet, Multus, libcni, SR-IOV CNI and device-info",
        8,
        files.cache,
        tuple(bytes([number]) + path.read_bytes() for number, path in enumerate(files.CACHES)),
    ),
    Target(
        "link",
        "links in place of such a file and of a record",
        2,
        files.link,
        tuple(bytes([number]) for number in range(len(files.CACHES))),
    ),
    Target("names", "names of device-info files, resources and devices", 10, files.names, _NAMES),
    Target(
        "kubelet",
        "kubelet's answers",
        150,
        wires.kubelet,
        (_file("wire", "podresources-List.bin"), _file("wire", "podresources-Get.bin")),
    ),
    Target(
        "dhcp",
        "a DHCP server's packets to the node's own client",
        150,
        wires.dhcp,
        (b"\0" + OFFER, b"\0" + ACK, b"\1" + OFFER[28:], b"\1" + ACK[28:]),
    ),
    Target("lease", "what an IPAM plugin prints", 150, wires.lease, (b"\0" + RESULT, b"\1{}")),
    Target(
        "api",
        "pods, networks and annotations of the API server",
        80,
        wires.api,
        (
            _file("objects", "pod.json"),
            _file("objects", "net-attach-defs.json"),
            b"default/sriov-a@net1,sriov-b",
            b'[{"name": "sriov-a", "interface": "net1"}]',
        ),
    ),
)
BY_NAME: Final = {target.name: target for target in TARGETS}
