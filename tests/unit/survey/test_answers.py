"""What is asked of the kernel, and asked again where an older kernel leaves some of it out."""

import socket
from typing import cast

from sriovbond.kernel import messages
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.messages import IFLA_AF_SPEC, IFLA_IFNAME
from sriovbond.kernel.netlink import Netlink, NetlinkRequest
from sriovbond.survey import answers
from sriovbond.survey.answers import IFLA_INET6_ADDR_GEN_MODE

STABLE = messages.attribute(IFLA_INET6_ADDR_GEN_MODE, b"\x02")


class OldKernel:
    """As Linux 5.10: with RTEXT_FILTER_SKIP_STATS it ends AF_INET6 before what it ends with."""

    def __init__(self) -> None:
        self.dumps = 0

    def dump(self, request: NetlinkRequest) -> list[bytes]:
        if request.type != nl.RTM_GETLINK or request.body[0] != socket.AF_UNSPEC:
            return []
        self.dumps += 1
        is_brief = len(request.body) > messages.LINK_BYTES
        return [_link(2, "eth0", b"" if is_brief else STABLE), _link(3, "eth1")]

    def dump_at_most(self, *_: object) -> list[bytes]:
        return []

    dump_read = dump_at_most


def _link(index: int, name: str, inet6: bytes | None = None) -> bytes:
    families = b"" if inet6 is None else messages.attribute(socket.AF_INET6, inet6)
    return messages.link(
        index, messages.name(IFLA_IFNAME, name), messages.attribute(IFLA_AF_SPEC, families)
    )


def test_how_ipv6_addresses_are_made_is_read_where_the_kernel_leaves_it_out_at_first() -> None:
    kernel = OldKernel()

    eth0, eth1 = answers.ask(cast("Netlink", kernel)).links

    assert messages.attribute(socket.AF_INET6, STABLE) == eth0.attributes[IFLA_AF_SPEC]
    assert (eth1.name, eth1.attributes[IFLA_AF_SPEC]) == ("eth1", b"")
    assert kernel.dumps == 2
