"""Links of other namespaces on top of host links: a macvlan in a pod, the peer of a veth.

Only namespaces with an nsid of the host's are visible: those that a link was moved into, or that
have a veth to the host.
"""

import errno
from collections.abc import Collection

from sriovbond.kernel import messages, nsids
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.messages import (
    IFLA_EXT_MASK,
    IFLA_LINK,
    IFLA_LINK_NETNSID,
    RTEXT_FILTER_SKIP_STATS,
)
from sriovbond.kernel.netlink import NetlinkRequest
from sriovbond.kernel.netns import Namespace


def find_uppers(home: Namespace, indices: Collection[int]) -> dict[int, str]:
    """Return, by the index of a host link, the link on top of it in another namespace.

    Raises KernelError when a namespace cannot be read: then the uppers are unknown.
    """
    uppers: dict[int, str] = {}
    for nsid in nsids.every(home.netlink):
        with nl.passing_over(errno.EINVAL):  # the namespace has ended meanwhile
            uppers |= _in_namespace(home, nsid, indices)
    return uppers


def _in_namespace(home: Namespace, nsid: int, indices: Collection[int]) -> dict[int, str]:
    """Return the uppers in a namespace, of which all other links take no memory.

    A pod that creates and removes links without end makes all dumps inconsistent; an upper that
    remains is in one of them.
    """
    mask = messages.word(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)
    body = messages.link(0, messages.word(messages.IFLA_TARGET_NETNSID, nsid), mask)
    request = NetlinkRequest(nl.RTM_GETLINK, "list the links of another namespace", body)
    uppers: dict[tuple[int, int], str] = {}

    def note(answer: bytes) -> None:
        link = messages.read_link(answer)
        lower, netnsid = link.number(IFLA_LINK), link.attributes.get(IFLA_LINK_NETNSID, b"")
        if netnsid and lower in indices:
            uppers[lower, nsids.of_payload(netnsid)] = f"{link.kind} {link.name}"

    with nl.passing_over(errno.EINTR):
        home.netlink.dump_read(request, note)
    # the kernel numbers the host's own namespace when it reports such a link
    own = (
        nsids.find(home.netlink, home.descriptor, "the host's namespace") if uppers else nsids.NONE
    )
    return {lower: words for (lower, number), words in uppers.items() if number == own}
