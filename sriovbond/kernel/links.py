"""Links: read them, find them by their device, move and change them."""

import errno
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

from sriovbond.bond.links import ALTNAME_MAX, NAME_MAX, Link, Master
from sriovbond.errors import KernelError
from sriovbond.kernel import carried, ioctls, messages, ports, vfs
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.messages import (
    IFF_UP,
    IFLA_ADDRESS,
    IFLA_ALT_IFNAME,
    IFLA_EXT_MASK,
    IFLA_IFALIAS,
    IFLA_IFNAME,
    IFLA_LINK,
    IFLA_LINK_NETNSID,
    IFLA_MASTER,
    IFLA_MAX_MTU,
    IFLA_MIN_MTU,
    IFLA_MTU,
    IFLA_NET_NS_FD,
    IFLA_PROP_LIST,
    IFLA_VFINFO_LIST,
    RTEXT_FILTER_SKIP_STATS,
    RTEXT_FILTER_VF,
    LinkMessage,
)
from sriovbond.kernel.netlink import Netlink, NetlinkRequest

_NESTED: Final = 0x8000  # NLA_F_NESTED
_MOST_BONDED: Final = 4096


def dump(netlink: Netlink, *, with_vfs: bool = False) -> list[Link]:
    """Return every link of the socket's namespace except the loopback, without relations.

    Uppers and masters are read by `read_related`; a PF's settings of its VFs, if requested.
    """
    link_messages = read_all_with_vfs(netlink) if with_vfs else read_all(netlink, "list the links")
    link_messages = [
        message for message in link_messages if message.type != messages.ARPHRD_LOOPBACK
    ]
    return _with_bus_addresses(netlink, [_link(message) for message in link_messages])


def read_related(netlink: Netlink, most: int | None = None) -> list[Link]:
    """Return every link of the socket's namespace, with its uppers and its master.

    Raises KernelError, E2BIG for more than `most`: then the socket must be closed.
    """
    request = _request("list the links", 0)
    return _relate(netlink, netlink.dump_read(request, messages.read_link, most))


def _relate(
    netlink: Netlink,
    link_messages: Sequence[LinkMessage],
    vfs_wanted: Collection[int] | None = None,
) -> list[Link]:
    uppers, masters = _uppers(link_messages), ports.masters(link_messages)
    links = []
    for message in link_messages:
        upon, within = (
            tuple(uppers.get(message.index, ())),
            masters.get(message.number(IFLA_MASTER)),
        )
        links.append(_link(message, upon, within, vfs_wanted))
    return _with_representors(
        _with_bus_addresses(netlink, links), ports.representors(link_messages)
    )


def of_devices(
    netlink: Netlink, names: Mapping[str, Sequence[str]], vfs_wanted: Collection[int]
) -> dict[str, Link]:
    """Return the links of devices, by device, with their settings of the VFs of these numbers.

    `names` are those of each device's links, if known: a node has hundreds of others, which are
    read only to find other members of a bond, or representors.
    """
    all_names = [name for link_names in names.values() for name in link_names]
    link_messages = [message for name in all_names if (message := _with_vfs(netlink, name))]
    if any(len(link_names) != 1 for link_names in names.values()) or any(
        map(_is_lower, link_messages)
    ):
        link_messages = read_all_with_vfs(netlink)
    links = _relate(netlink, _pfs_last(link_messages), vfs_wanted)
    return {link.device: link for link in links if link.device in names}


def _pfs_last(link_messages: Sequence[LinkMessage]) -> list[LinkMessage]:
    """Put links with VFs behind the others, and representors first: they have a PF's address."""
    representors = ports.representors(link_messages)
    return sorted(
        link_messages,
        key=lambda message: (
            message.index not in representors,
            IFLA_VFINFO_LIST in message.attributes,
        ),
    )


def _is_lower(message: LinkMessage) -> bool:
    return IFLA_MASTER in message.attributes


def read_all(netlink: Netlink, doing: str, mask: int = 0) -> list[LinkMessage]:
    """Return the kernel's messages about all links, without statistics."""
    return [messages.read_link(body) for body in _dump_bodies(netlink, doing, mask)]


def read_bonded(netlink: Netlink, name: str) -> list[LinkMessage]:
    """Return the kernel's messages about the link of that name, and about all that have a master.

    Others take no memory: a pod may have any number. Raises KernelError, E2BIG for too many: then
    the socket must be closed.
    """
    own_name = f"{name}\0".encode()

    def read(body: bytes) -> LinkMessage | None:
        if messages.is_loopback(body):  # which is in no bond
            return None
        message = messages.read_link(body)
        attributes = message.attributes
        is_meant = IFLA_MASTER in attributes or attributes.get(IFLA_IFNAME) == own_name
        return message if is_meant else None

    return netlink.dump_read(_request(f"look at {name}", 0), read, _MOST_BONDED)


def dump_like(netlink: Netlink, snapshots: Collection[Link]) -> list[Link]:
    """Return the links among which `find_again` finds these; without relations.

    Others take no memory: a pod may have any number, but of hardware only what it was given.
    """
    devices = {link.device for link in snapshots if link.device}
    names = {(link.kind, link.name) for link in snapshots}
    indices = {(link.kind, link.index) for link in snapshots}

    def read(body: bytes) -> LinkMessage | None:
        message = messages.read_link(body)
        kind = message.kind
        is_alike = (kind, message.name) in names or (kind, message.index) in indices
        return message if is_alike or not kind or message.device in devices else None

    alike = netlink.dump_read(_request("list the links", 0), read)
    present = [_link(message) for message in alike if message.type != messages.ARPHRD_LOOPBACK]
    return _with_bus_addresses(netlink, present)


def _with_vfs(netlink: Netlink, name: str) -> LinkMessage | None:
    """Read a link with its VFs, or without if these cannot be read or are incomplete.

    The kernel returns EMSGSIZE when it allocated too little room (IPoIB with many VFs).
    """
    try:
        body = _body(netlink, name, RTEXT_FILTER_VF)
    except KernelError as error:
        if error.errno != errno.EMSGSIZE:
            raise
        return read(netlink, name)
    message = messages.read_link(body) if body else None
    return (
        message if message is None or messages.are_vfs_whole(message, body) else read(netlink, name)
    )


def read_all_with_vfs(netlink: Netlink) -> list[LinkMessage]:
    """Return the kernel's messages about all links, with a PF's VFs if they are complete."""
    doing = "list the links"
    try:
        bodies = _dump_bodies(netlink, doing, RTEXT_FILTER_VF)
    except KernelError as error:
        if error.errno != errno.EMSGSIZE:
            raise
        return read_all(netlink, doing)
    link_messages = [messages.read_link(body) for body in bodies]
    torn = {
        message.index
        for message, body in zip(link_messages, bodies, strict=True)
        if not messages.are_vfs_whole(message, body)
    }
    if not torn:
        return link_messages
    reread = {
        message.index: message for message in read_all(netlink, doing) if message.index in torn
    }
    return [
        reread.get(message.index, message)
        for message in link_messages
        if message.index not in torn - reread.keys()
    ]


def _dump_bodies(netlink: Netlink, doing: str, mask: int) -> list[bytes]:
    return netlink.dump(_request(doing, mask))


def _request(doing: str, mask: int) -> NetlinkRequest:
    body = messages.link(0, messages.word(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS | mask))
    return NetlinkRequest(nl.RTM_GETLINK, doing, body)


def read(netlink: Netlink, name: str, mask: int = 0) -> LinkMessage | None:
    """Return the kernel's message about the link of that name or altname; None if missing."""
    body = _body(netlink, name, mask)
    return messages.read_link(body) if body else None


def _body(netlink: Netlink, name: str, mask: int) -> bytes:
    """Return the body of the message about the link of that name or altname, empty if missing."""
    size = len(name.encode())
    if size > ALTNAME_MAX:
        return b""
    key = messages.name(IFLA_IFNAME if size <= NAME_MAX else IFLA_ALT_IFNAME, name)
    body = messages.link(0, key, messages.word(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS | mask))
    try:
        return netlink.get(NetlinkRequest(nl.RTM_GETLINK, f"look at {name}", body))
    except KernelError as error:
        if error.errno == errno.ENODEV:
            return b""
        raise


def find(netlink: Netlink, name: str) -> Link | None:
    """Return the link of that name or altname, None if there is none."""
    message = read(netlink, name)
    return _link(message) if message else None


def find_again(links: Sequence[Link], before: Link) -> Link | None:
    """Return the current link of the snapshot: with the same device, else same name and kind."""
    alike = [link for link in links if (link.device, link.kind) == (before.device, before.kind)]
    by_name = [link for link in alike if link.name == before.name]
    # a device may have several netdevs, such as representors or ports
    renamed = alike if before.device and len(alike) == 1 else []
    by_mac = [link for link in alike if before.device and link.mac == before.mac]
    return next(iter((*by_name, *by_mac, *renamed)), None)


def set_up(netlink: Netlink, link: Link) -> None:
    """Bring the link up."""
    _change(netlink, link, f"bring {link.name} up", flags=IFF_UP)


def set_down(netlink: Netlink, link: Link) -> None:
    """Bring the link down."""
    _change(netlink, link, f"bring {link.name} down", flags=0)


def set_mtu(netlink: Netlink, link: Link, mtu: int) -> None:
    """Set the MTU in bytes."""
    _change(netlink, link, f"set the MTU of {link.name} to {mtu}", messages.word(IFLA_MTU, mtu))


def set_mac(netlink: Netlink, link: Link, mac: str) -> None:
    """Set the hardware address."""
    address = messages.attribute(IFLA_ADDRESS, bytes.fromhex(mac.replace(":", "")))
    _change(netlink, link, f"set the MAC of {link.name} to {mac}", address)


def set_alias(netlink: Netlink, link: Link, alias: str) -> None:
    """Set the alias (ip link set alias), which the kernel only stores; an empty one removes it."""
    text = messages.attribute(IFLA_IFALIAS, alias.encode())
    _change(netlink, link, f"set the alias of {link.name} to {alias!r}", text)


def rename(netlink: Netlink, link: Link, name: str) -> None:
    """Rename the link, also to one of its altnames; it must be down on kernels before 6.2."""
    free_names(netlink, link, (name,))  # the kernel refuses a link's own altname, too: EEXIST
    _change(netlink, link, f"rename {link.name} to {name}", messages.name(IFLA_IFNAME, name))


def add_altname(netlink: Netlink, link: Link, name: str) -> None:
    """Add an altname to the link."""
    doing = f"give {link.name} the altname {name}"
    netlink.send(NetlinkRequest(nl.RTM_NEWLINKPROP, doing, _altname(link, name)))


def remove_altname(netlink: Netlink, link: Link, name: str) -> None:
    """Remove an altname from the link.

    Before 6.6 a link that moves leaves its altnames in the namespace where it was: it reports them
    still, but its new namespace does not know them (ENOENT), and other links may have them.
    """
    doing = f"take the altname {name} from {link.name}"
    with nl.passing_over(errno.ENOENT):
        netlink.send(NetlinkRequest(nl.RTM_DELLINKPROP, doing, _altname(link, name)))


def names(netlink: Netlink) -> set[str]:
    """Return all names and altnames in use in the namespace."""
    return {name for link in dump(netlink) for name in link.names}


def free_names(netlink: Netlink, link: Link, needed: Collection[str]) -> None:
    """Remove altnames of the link that are in use by others, or that it needs as its name."""
    for name in link.altnames:
        if name in needed:
            remove_altname(netlink, link, name)


def _altname(link: Link, name: str) -> bytes:
    prop_list = messages.attribute(IFLA_PROP_LIST | _NESTED, messages.name(IFLA_ALT_IFNAME, name))
    return messages.link(link.index, prop_list)


def leave(netlink: Netlink, link: Link) -> None:
    """Remove the link from its bond or bridge."""
    _change(netlink, link, f"take {link.name} out of its master", messages.word(IFLA_MASTER, 0))


def move(netlink: Netlink, link: Link, descriptor: int, where: str, name: str = "") -> None:
    """Move the link into the namespace open at `descriptor`; it arrives down, without a master.

    It arrives as `name` if given, even if its present name is in use there, else as its own.
    """
    target = messages.word(IFLA_NET_NS_FD, descriptor)
    named = [messages.name(IFLA_IFNAME, name)] if name and name != link.name else []
    _change(netlink, link, f"move {link.name} to the {where}", target, *named)


def flush(netlink: Netlink, link: Link) -> None:
    """Remove the addresses in the snapshot; their routes are removed with them."""
    for address in link.addresses:
        # IPv6 ones go when the link is set down
        carried.remove_address(netlink, link.name, address.text, bytes.fromhex(address.message))


def _change(
    netlink: Netlink, link: Link, doing: str, *attributes: bytes, flags: int | None = None
) -> None:
    """Change the link; retry while the device is busy with an earlier change."""
    change = 0 if flags is None else IFF_UP
    body = messages.link(link.index, *attributes, flags=flags or 0, change=change)
    nl.send_patiently(netlink, NetlinkRequest(nl.RTM_NEWLINK, doing, body))


def _link(
    message: LinkMessage,
    uppers: tuple[str, ...] = (),
    within: Master | None = None,
    vfs_wanted: Collection[int] | None = None,
) -> Link:
    """Convert the kernel's message; of the VFs those of these numbers, all if None."""
    vf_list = message.attributes.get(IFLA_VFINFO_LIST)
    return Link(
        index=message.index,
        name=message.name,
        mac=message.mac,
        mtu=message.number(IFLA_MTU),
        is_up=message.is_up,
        has_carrier=message.has_carrier,
        type=message.type,
        kind=message.kind,
        master=message.number(IFLA_MASTER),
        within=within,
        min_mtu=message.number(IFLA_MIN_MTU),
        max_mtu=message.number(IFLA_MAX_MTU),
        device=message.device,
        alias=message.text(IFLA_IFALIAS),
        uppers=uppers,
        vfs=tuple(vfs.read(vf_list, vfs_wanted)) if vf_list else (),
        altnames=message.altnames,
    )


def _uppers(link_messages: Sequence[LinkMessage]) -> dict[int, list[str]]:
    """Return, by the lower link's index, the names of its uppers in the same namespace."""
    uppers: dict[int, list[str]] = {}
    for message in link_messages:
        if IFLA_LINK not in message.attributes or IFLA_LINK_NETNSID in message.attributes:
            continue
        lower = message.number(IFLA_LINK)
        if lower not in (0, message.index) and not message.has_peer:
            uppers.setdefault(lower, []).append(message.name)
    return uppers


def _with_bus_addresses(netlink: Netlink, links: list[Link]) -> list[Link]:
    """Read bus addresses from drivers if the kernel (before 5.14) does not report them."""
    if any(link.device for link in links):
        return links
    return [
        replace(link, device=ioctls.bus_info(netlink, link.name)) if not link.kind else link
        for link in links
    ]


def _with_representors(links: list[Link], representors: set[int]) -> list[Link]:
    """Mark each link whose device has representors of VFs, which have these indices."""
    devices = {link.device for link in links if link.index in representors} - {""}
    if not devices:
        return links
    return [
        replace(link, has_representors=True)
        if link.device in devices and link.index not in representors
        else link
        for link in links
    ]
