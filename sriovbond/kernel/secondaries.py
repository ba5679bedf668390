"""IPv4 addresses beside the first of their network, which the kernel removes with that one.

A link with promote_secondaries keeps them; it is read and set by the link's index, in a message.
"""

import socket
from collections.abc import Sequence
from typing import Final

from sriovbond.kernel import carried, links, messages
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.messages import IFLA_AF_SPEC, AddressMessage, LinkMessage
from sriovbond.kernel.netlink import Netlink, NetlinkRequest

_IFLA_INET_CONF: Final = 1  # include/uapi/linux/if_link.h
_PROMOTE: Final = 20  # IPV4_DEVCONF_PROMOTE_SECONDARIES, include/uapi/linux/ip.h
_WORD: Final = 4


def are_kept(link: LinkMessage) -> bool:
    """Return whether a link keeps IPv4 addresses whose network's first one goes."""
    values = (link.of_family(socket.AF_INET) or {}).get(_IFLA_INET_CONF, b"")
    return messages.whole(values[_WORD * (_PROMOTE - 1) : _WORD * _PROMOTE]) != 0


def set_kept(netlink: Netlink, link: LinkMessage, *, is_on: bool) -> None:
    """Set whether a link keeps IPv4 addresses whose network's first one goes.

    Without it the kernel removes them all with that one. Raises KernelError.
    """
    value = messages.attribute(_IFLA_INET_CONF, messages.word(_PROMOTE, int(is_on)))
    family = messages.attribute(IFLA_AF_SPEC, messages.attribute(socket.AF_INET, value))
    doing = f"set promote_secondaries of {link.name} to {int(is_on)}"
    netlink.send(NetlinkRequest(nl.RTM_NEWLINK, doing, messages.link(link.index, family)))


def remove_addresses(netlink: Netlink, link: LinkMessage, rows: Sequence[AddressMessage]) -> None:
    """Remove addresses from a link, and no others; it is as before after that.

    Raises KernelError.
    """
    is_first_possible = any(row.family == socket.AF_INET for row in rows)
    now = links.read(netlink, link.name) if is_first_possible else None
    is_off = now is not None and now.index == link.index and not are_kept(now)
    if is_off:
        set_kept(netlink, link, is_on=True)
    try:
        for row in rows:
            carried.remove_address(netlink, link.name, f"{row.address}/{row.prefix}", row.body)
    finally:
        if is_off:
            set_kept(netlink, link, is_on=False)
