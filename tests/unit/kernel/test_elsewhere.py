"""Links of other namespaces on top of a host link, where a pod churns its own without end."""

import struct

import pytest

from sriovbond.kernel import elsewhere, messages
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.messages import (
    IFLA_IFNAME,
    IFLA_INFO_KIND,
    IFLA_LINK,
    IFLA_LINK_NETNSID,
    IFLA_LINKINFO,
)
from sriovbond.kernel.netns import Namespace
from tests.support.dumps import Dumps

LENT, OWN, ANOTHER = 7, 0, 1


def an_upper(name: str, nsid: int) -> bytes:
    info = messages.attribute(IFLA_LINKINFO, messages.name(IFLA_INFO_KIND, "macvlan"))
    lower = messages.word(IFLA_LINK, LENT)
    number = messages.attribute(IFLA_LINK_NETNSID, struct.pack("=i", nsid))
    return messages.link(3, messages.name(IFLA_IFNAME, name), info, lower, number)


@pytest.mark.parametrize("flags", [0, nl.NLM_F_DUMP_INTR], ids=["quiet", "churning"])
def test_a_pod_that_churns_its_links_hides_no_upper_and_fails_no_bond_of_others(flags: int) -> None:
    number = bytes(4) + messages.attribute(1, struct.pack("=i", OWN))
    uppers = [an_upper("mv0", OWN), an_upper("mv1", ANOTHER)]
    kernel = Dumps({nl.RTM_GETNSID: [number], nl.RTM_GETLINK: uppers}, 0)
    churning = Dumps({nl.RTM_GETNSID: [number], nl.RTM_GETLINK: uppers}, flags)
    home = Namespace("/proc/self/ns/net", 0, (0, 0, 0), churning)

    quiet = elsewhere.find_uppers(Namespace(home.path, 0, home.identity, kernel), {LENT})

    assert quiet == elsewhere.find_uppers(home, {LENT}) == {LENT: "macvlan mv0"}
