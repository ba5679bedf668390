"""Links: see them whole, find them by the device they are, move and change them."""

import array
import errno
import fcntl
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from sriovbond.bond.links import ALTNAME_MAX, NAME_MAX, NO_MAC, Link, VfSettings
from sriovbond.errors import KernelError
from sriovbond.kernel import carried, ports
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.netlink import Answer, Netlink, Request

IFF_UP: Final = 0x1
IFF_LOWER_UP: Final = 0x10000
RTEXT_FILTER_VF: Final = 1
RTEXT_FILTER_SKIP_STATS: Final = 8

_UNKNOWN: Final = 0xFFFFFFFF  # what rtnetlink says where the driver says nothing
_LINK_STATES: Final = {0: "auto", 1: "enable", 2: "disable"}
_VLAN_PROTOCOLS: Final = {0x8100: "802.1Q", 0x88A8: "802.1ad"}  # include/uapi/linux/if_ether.h
_ETHTOOL_GDRVINFO: Final = 0x3
_SIOCETHTOOL: Final = 0x8946
_BUS_INFO: Final = slice(4 + 32 * 3, 4 + 32 * 4)


def dump(netlink: Netlink, *, with_vfs: bool = False) -> list[Link]:
    """Return every link of the socket's namespace; with what PFs say of their VFs if asked."""
    mask = RTEXT_FILTER_SKIP_STATS | (RTEXT_FILTER_VF if with_vfs else 0)
    message = ifinfmsg()
    message["attrs"] = [("IFLA_EXT_MASK", mask)]
    answers = netlink.dump(message, nl.RTM_GETLINK, "list the links")
    uppers, masters = _uppers(answers), ports.masters(answers)
    found = [
        replace(
            _link(one),
            uppers=tuple(uppers.get(one.message["index"], ())),
            within=masters.get(one.attribute("IFLA_MASTER")),
        )
        for one in answers
    ]
    return _with_representors(_with_bus_addresses(netlink, found), ports.representors(answers))


def snapshot(netlink: Netlink) -> list[Link]:
    """Return every link with the addresses and routes that it carries."""
    found = dump(netlink)
    addresses = carried.addresses(netlink, {link.index: link.mac for link in found})
    standing = list(carried.unicast_routes(netlink))
    routes = carried.routes(standing)
    default = carried.default_route_carriers(standing)
    return [
        replace(
            link,
            addresses=tuple(addresses.get(link.index, ())),
            routes=tuple(routes.get(link.index, ())),
            has_default_route=link.index in default,
        )
        for link in found
    ]


def find(netlink: Netlink, name: str) -> Link | None:
    """Return the link of that name or altname, None where there is none."""
    size = len(name.encode())
    if size > ALTNAME_MAX:
        return None
    message = ifinfmsg()
    key = "IFLA_IFNAME" if size <= NAME_MAX else "IFLA_ALT_IFNAME"
    message["attrs"] = [(key, name), ("IFLA_EXT_MASK", RTEXT_FILTER_SKIP_STATS)]
    try:
        return _link(netlink.get(message, nl.RTM_GETLINK, f"look at {name}"))
    except KernelError as error:
        if error.errno == errno.ENODEV:
            return None
        raise


def find_again(links: Sequence[Link], wanted: Link) -> Link | None:
    """Return what `wanted` is now: the same device on its bus, else the same name and kind."""
    alike = [one for one in links if (one.device, one.kind) == (wanted.device, wanted.kind)]
    by_name = [one for one in alike if one.name == wanted.name]
    # a device may have several netdevs, such as representors or ports
    renamed = alike if wanted.device and len(alike) == 1 else []
    by_mac = [one for one in alike if wanted.device and one.mac == wanted.mac]
    return next(iter((*by_name, *by_mac, *renamed)), None)


def set_up(netlink: Netlink, link: Link) -> None:
    """Bring the link up."""
    _change(netlink, link, f"bring {link.name} up", flags=IFF_UP)


def set_down(netlink: Netlink, link: Link) -> None:
    """Bring the link down."""
    _change(netlink, link, f"bring {link.name} down", flags=0)


def set_mtu(netlink: Netlink, link: Link, mtu: int) -> None:
    """Set the MTU in bytes."""
    _change(netlink, link, f"set the MTU of {link.name} to {mtu}", ("IFLA_MTU", mtu))


def set_mac(netlink: Netlink, link: Link, mac: str) -> None:
    """Set the hardware address."""
    _change(netlink, link, f"set the MAC of {link.name} to {mac}", ("IFLA_ADDRESS", mac))


def rename(netlink: Netlink, link: Link, name: str) -> None:
    """Give the link another name; it must be down on kernels before 6.2."""
    _change(netlink, link, f"rename {link.name} to {name}", ("IFLA_IFNAME", name))


def move(netlink: Netlink, link: Link, descriptor: int, where: str) -> None:
    """Move the link into the namespace open at `descriptor`; it arrives down, with its name."""
    doing = f"move {link.name} to the {where}"
    _change(netlink, link, doing, ("IFLA_NET_NS_FD", descriptor))


def flush(netlink: Netlink, link: Link) -> None:
    """Take the addresses away that the snapshot shows; their routes go with them."""
    for address in link.addresses:
        body = bytes.fromhex(address.message)
        doing = f"remove {address.text} from {link.name}"
        with nl.passing_over(errno.EADDRNOTAVAIL):  # IPv6 ones went when the link went down
            netlink.send(Request(nl.RTM_DELADDR, doing, body))


def restore_vf(
    netlink: Netlink, pf: Link, now: VfSettings, wanted: VfSettings
) -> list[KernelError]:
    """Have the PF treat its VF as it did: MAC, VLAN, trust, spoof check; only what differs.

    Returns what was refused, as `restore`.
    """
    return _tried(
        partial(_set_vf, netlink, pf, now.number, setting, told)
        for setting, told in _vf_steps(now, wanted)
    )


def _vf_steps(now: VfSettings, wanted: VfSettings) -> Iterator[tuple[tuple[str, Any], str]]:
    vf = {"vf": now.number}
    if now.mac != wanted.mac:
        yield ("IFLA_VF_MAC", {**vf, "mac": wanted.mac}), f"the MAC {wanted.mac}"
    if (now.vlan, now.qos) != (wanted.vlan, wanted.qos):
        yield ("IFLA_VF_VLAN", {**vf, "vlan": wanted.vlan, "qos": wanted.qos}), wanted.tagging
    if wanted.trust is not None and wanted.trust != now.trust:
        yield ("IFLA_VF_TRUST", {**vf, "trust": int(wanted.trust)}), f"trust {wanted.trust}"
    if wanted.spoofchk is not None and wanted.spoofchk != now.spoofchk:
        told = f"spoofchk {wanted.spoofchk}"
        yield ("IFLA_VF_SPOOFCHK", {**vf, "spoofchk": int(wanted.spoofchk)}), told


def _set_vf(netlink: Netlink, pf: Link, number: int, setting: tuple[str, Any], told: str) -> None:
    listed = {"attrs": [("IFLA_VF_INFO", {"attrs": [setting]})]}
    doing = f"have {pf.name} give its VF {number} {told}"
    _change(netlink, pf, doing, ("IFLA_VFINFO_LIST", listed))


def restore(netlink: Netlink, found: Link, wanted: Link) -> list[KernelError]:
    """Make `found` what the snapshot shows: name, MAC, MTU, up or down, addresses, routes.

    Returns what the kernel refused, after all has been tried. Idempotent. Routes that need other
    links too are left to `restore_spanning`.
    """
    return _tried((*_steps_back(netlink, found, wanted), *_carried_back(netlink, found, wanted)))


def restore_spanning(netlink: Netlink, pairs: Sequence[tuple[Link, Link]]) -> list[KernelError]:
    """Set the routes over several links again, once these are restored; as `restore`.

    A pair is a link as it was found, and its snapshot.
    """
    indices = {wanted.index: found.index for found, wanted in pairs}
    spanning = {
        route: found.name
        for found, wanted in pairs
        for route in wanted.routes
        if carried.spans_links(route)
    }
    return _tried(
        partial(carried.put_route_back, netlink, name, indices, route)
        for route, name in spanning.items()
    )


def _tried(steps: Iterable[Callable[[], None]]) -> list[KernelError]:
    failures = []
    for step in steps:
        try:
            step()
        except KernelError as error:
            failures.append(error)
    return failures


def _steps_back(netlink: Netlink, found: Link, wanted: Link) -> Iterator[Callable[[], None]]:
    is_up = found.is_up
    if found.name != wanted.name:
        if is_up:
            yield partial(set_down, netlink, found)
            is_up = False
        yield partial(rename, netlink, found, wanted.name)
    if found.mac != wanted.mac:
        yield partial(set_mac, netlink, found, wanted.mac)
    if found.mtu != wanted.mtu:
        yield partial(set_mtu, netlink, found, wanted.mtu)
    if is_up != wanted.is_up:
        yield partial(set_up if wanted.is_up else set_down, netlink, found)


def _carried_back(netlink: Netlink, found: Link, wanted: Link) -> Iterator[Callable[[], None]]:
    for address in wanted.addresses:
        yield partial(carried.put_address_back, netlink, wanted.name, found.index, address)
    indices = {wanted.index: found.index}
    for route in wanted.routes:
        if not carried.spans_links(route):
            yield partial(carried.put_route_back, netlink, wanted.name, indices, route)


def _change(
    netlink: Netlink, link: Link, doing: str, *attrs: tuple[str, object], flags: int | None = None
) -> None:
    message = ifinfmsg()
    message["index"] = link.index
    message["attrs"] = list(attrs)
    if flags is not None:
        message["flags"], message["change"] = flags, IFF_UP
    netlink.change(message, nl.RTM_NEWLINK, doing)


def _link(answer: Answer) -> Link:
    message, attr = answer.message, answer.attribute
    return Link(
        index=message["index"],
        name=answer.text("IFLA_IFNAME"),
        mac=(attr("IFLA_ADDRESS") or NO_MAC).lower(),
        mtu=attr("IFLA_MTU") or 0,
        is_up=bool(message["flags"] & IFF_UP),
        has_carrier=bool(message["flags"] & IFF_LOWER_UP),
        type=message["ifi_type"],
        kind=attr("IFLA_LINKINFO", "IFLA_INFO_KIND") or "",
        master=attr("IFLA_MASTER") or 0,
        min_mtu=attr("IFLA_MIN_MTU") or 0,
        max_mtu=attr("IFLA_MAX_MTU") or 0,
        device=device_of(answer),
        alias=answer.text("IFLA_IFALIAS"),
        vfs=tuple(_vf(one) for one in _vf_list(answer)),
        altnames=tuple(_altnames(answer)),
    )


def device_of(answer: Answer) -> str:
    """Return the address of a link's device, empty where none is told.

    All ports of a simulated device (netdevsim) have one parent: the port's name tells them apart.
    """
    parent: str = answer.attribute("IFLA_PARENT_DEV_NAME") or ""
    port = answer.text("IFLA_PHYS_PORT_NAME")
    is_simulated = answer.attribute("IFLA_PARENT_DEV_BUS_NAME") == "netdevsim"
    return f"{parent}/{port}" if is_simulated and port else parent


def _altnames(answer: Answer) -> Iterator[str]:
    listed = answer.attribute("IFLA_PROP_LIST")
    yield from map(nl.text, listed.get_attrs("IFLA_ALT_IFNAME") if listed is not None else ())


def _uppers(answers: Sequence[Answer]) -> dict[int, list[str]]:
    """Return, by the lower link's index, the names of links upon it in the same namespace."""
    uppers: dict[int, list[str]] = {}
    for one in answers:
        lower = one.attribute("IFLA_LINK")
        is_veth = one.attribute("IFLA_LINKINFO", "IFLA_INFO_KIND") == "veth"
        is_here = one.attribute("IFLA_LINK_NETNSID") is None and lower != one.message["index"]
        if lower and is_here and not is_veth:
            uppers.setdefault(lower, []).append(one.text("IFLA_IFNAME"))
    return uppers


def _vf_list(answer: Answer) -> list[Any]:
    listed = answer.attribute("IFLA_VFINFO_LIST")
    return listed.get_attrs("IFLA_VF_INFO") if listed is not None else []


def _vf(info: Any) -> VfSettings:  # noqa: ANN401 - pyroute2's nla
    def told(name: str, field: str) -> int | None:
        found = info.get_attr(name)
        return None if found is None or found[field] == _UNKNOWN else int(found[field])

    def switch(name: str, field: str) -> bool | None:
        value = told(name, field)
        return None if value is None else bool(value)

    address = info.get_attr("IFLA_VF_MAC")
    vlans = info.get_attr("IFLA_VF_VLAN_LIST")
    vlan = vlans.get_attr("IFLA_VF_VLAN_INFO") if vlans is not None else None
    state = told("IFLA_VF_LINK_STATE", "link_state")
    return VfSettings(
        number=address["vf"],
        mac=address["mac"].lower(),
        trust=switch("IFLA_VF_TRUST", "trust"),
        spoofchk=switch("IFLA_VF_SPOOFCHK", "spoofchk"),
        link_state=None if state is None else _LINK_STATES.get(state),
        vlan=told("IFLA_VF_VLAN", "vlan") or 0,
        qos=told("IFLA_VF_VLAN", "qos") or 0,
        vlan_proto=None if vlan is None else _VLAN_PROTOCOLS.get(vlan["proto"]),
    )


def _with_bus_addresses(netlink: Netlink, links: list[Link]) -> list[Link]:
    """Ask drivers for their bus address where the kernel (before 5.14) does not tell it."""
    if any(link.device for link in links):
        return links
    return [
        replace(link, device=_bus_info(netlink, link)) if not link.kind else link for link in links
    ]


def _with_representors(links: list[Link], representors: set[int]) -> list[Link]:
    """Tell of each link whether others, of these indexes, stand for VFs of its device."""
    devices = {link.device for link in links if link.index in representors} - {""}
    return [
        replace(link, has_representors=True)
        if link.device in devices and link.index not in representors
        else link
        for link in links
    ]


def _bus_info(netlink: Netlink, link: Link) -> str:
    """Return ethtool's bus-info (ETHTOOL_GDRVINFO), empty for links without a device."""
    info = array.array("B", struct.pack("=I", _ETHTOOL_GDRVINFO) + bytes(192))
    address, _ = info.buffer_info()
    try:
        fcntl.ioctl(
            netlink.fileno(), _SIOCETHTOOL, struct.pack("16sP16x", link.name.encode(), address)
        )
    except OSError:
        return ""
    return bytes(info)[_BUS_INFO].split(b"\0")[0].decode("ascii", "replace")
