"""An interface's addresses and its sysctls of IPv4 and IPv6."""

import errno
import hashlib
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Address, IPv6Interface, ip_interface
from typing import Final

from sriovbond.errors import MachineError
from sriovbond.kernel import carried, messages, secondaries
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.messages import (
    IFA_F_DADFAILED,
    IFA_F_PERMANENT,
    IFA_F_TENTATIVE,
    IFA_FLAGS,
    IFA_RT_PRIORITY,
    IFLA_AF_SPEC,
    AddressMessage,
    LinkMessage,
)
from sriovbond.kernel.netlink import NetlinkRequest
from sriovbond.kernel.netns import NAMES_OF_ALL
from sriovbond.nodenet.model import Ipv4, Ipv6
from sriovbond.nodenet.normal import static_addresses
from sriovbond.nodenet.values import family_of, is_link_local
from sriovbond.reshape.site import Site
from sriovbond.survey import stacks

_IFLA_INET6_TOKEN, _IFLA_INET6_ADDR_GEN_MODE = 7, 8
_STABLE: Final = "stable-privacy"
_ADDR_GEN_MODES: Final = {"eui64": 0, "none": 1, _STABLE: 2, "random": 3}
_SALT: Final = "sriovbond stable-privacy"  # machine-id(5): what is made of it does not disclose it
_CREATE_OR_REPLACE: Final = nl.NLM_F_CREATE | nl.NLM_F_REPLACE
_EVERY_ROUTE: Final = "128"  # accept_ra_rt_info_max_plen: the longest prefix
_DAD_S: Final = 5.0
_WITHOUT: Final = {"disable_ipv6": "1"}
"""What a sysctl amounts to where the link has none; for others that is 0."""

Address = IPv4Interface | IPv6Interface


@dataclass(frozen=True, slots=True)
class _Wish:
    """Which addresses of a family a link shall have; `metric` is that of their networks' routes."""

    family: int
    addresses: tuple[Address, ...]
    metric: int | None
    keeps_dynamic: bool


def set_ip(site: Site, name: str, change: Ipv4 | Ipv6, target: Ipv4 | Ipv6) -> None:
    """Give an interface its addresses of one family. Raises KernelError, MachineError."""
    ends_slaac = isinstance(change, Ipv6) and change.autoconf is False
    if isinstance(target, Ipv6):
        _switch_ipv6(site, name, target)
    else:
        _set_sysctls(site, name, "ipv4", _forwarding(target))
    if ends_slaac:
        _remove_routes_of_routers(site, name)
    is_address_changed = change.address is not None or change.prefix_route_metric is not None
    # a list that the lasting ones meet already: those for a time are no longer to be there
    is_ended = (ends_slaac or change.dhcp is False) and target.address is not None
    if target.enabled is False or is_address_changed or is_ended:
        _set_addresses(site, site.link(name), _wish(target))


def await_source(site: Site, address: str | None) -> None:
    """Wait while the kernel asks whether another host has an IPv6 address: it is no source before.

    That takes 1 to 2 s; where the link has no carrier it does not begin, and 5 s are waited. For
    no address, and one of IPv4, it does not wait.
    """
    if not address or family_of(address) == 4:  # noqa: PLR2004 - IPv4
        return
    end = min(time.monotonic() + _DAD_S, site.deadline_s)
    while _is_asked_for(site, address) and time.monotonic() < end:
        time.sleep(nl.PAUSE_S)


def _is_asked_for(site: Site, address: str) -> bool:
    rows = (row for row in carried.all_addresses(site.netlink) if row.address == address)
    flags = [messages.whole(row.attributes.get(IFA_FLAGS, b"")) for row in rows]
    return any(row & IFA_F_TENTATIVE and not row & IFA_F_DADFAILED for row in flags)


def _wish(ip: Ipv4 | Ipv6) -> _Wish:
    family = socket.AF_INET6 if isinstance(ip, Ipv6) else socket.AF_INET
    texts = static_addresses(ip) if ip.enabled else ()
    return _Wish(family, tuple(map(ip_interface, texts)), ip.prefix_route_metric, ip.is_auto)


def _set_addresses(site: Site, link: LinkMessage, wish: _Wish) -> None:
    """Add what is missing, then remove the rest: a secondary one may go with its primary."""
    present = list(_present(site, link, wish.family))
    _add_missing(site, link, wish, present)
    surplus = [row for row in present if not _is_kept(row, wish)]
    if surplus:
        secondaries.remove_addresses(site.netlink, link, surplus)
        _add_missing(site, link, wish, _present(site, link, wish.family))


def _add_missing(
    site: Site, link: LinkMessage, wish: _Wish, present: Iterable[AddressMessage]
) -> None:
    lasting = {_interface(row): _metric(row) for row in present if _is_permanent(row)}
    for address in wish.addresses:
        is_as_wished = address in lasting and wish.metric in (None, lasting[address])
        if not is_as_wished:
            _add(site, link, address, wish.metric)


def _add(site: Site, link: LinkMessage, address: Address, metric: int | None) -> None:
    further = () if metric is None else (messages.word(IFA_RT_PRIORITY, metric),)
    body = messages.own_address(link.index, address, *further)
    doing = f"put the address {address} on {link.name}"
    site.netlink.send(NetlinkRequest(nl.RTM_NEWADDR, doing, body, _CREATE_OR_REPLACE))


def _present(site: Site, link: LinkMessage, family: int) -> Iterator[AddressMessage]:
    """Yield the addresses of a family, without those that each IPv6 link makes for itself."""
    for row in carried.all_addresses(site.netlink):
        if (row.index, row.family) == (link.index, family) and not is_link_local(row.address):
            yield row


def _is_kept(row: AddressMessage, wish: _Wish) -> bool:
    is_dynamic_one = not _is_permanent(row)
    return _interface(row) in wish.addresses or (wish.keeps_dynamic and is_dynamic_one)


def _interface(row: AddressMessage) -> Address:
    return ip_interface(f"{row.address}/{row.prefix}")


def _is_permanent(row: AddressMessage) -> bool:
    return bool(messages.whole(row.attributes.get(IFA_FLAGS, b"")) & IFA_F_PERMANENT)


def _metric(row: AddressMessage) -> int | None:
    return messages.whole(row.attributes.get(IFA_RT_PRIORITY, b"")) or None


def _switch_ipv6(site: Site, name: str, target: Ipv6) -> None:
    """Set whether a link has IPv6, and what it makes of routers."""
    if target.enabled is not None:
        values = {"disable_ipv6": "0" if target.enabled else "1"}
        _set_sysctls(site, name, "ipv6", values.items())
    if not target.enabled:
        return
    _set_sysctls(site, name, "ipv6", _forwarding(target))
    if target.autoconf is not None:
        accepts = ("2" if _forwards(site, name, target) else "1") if target.autoconf else "0"
        values = {"accept_ra": accepts, "autoconf": str(int(target.autoconf))}
        _set_sysctls(site, name, "ipv6", values.items())
    if target.autoconf:
        _set_routers(site, name, target)
    _set_interface_id(site, name, target)


def _set_routers(site: Site, name: str, target: Ipv6) -> None:
    """Set what of a router's word is taken beside addresses; what was taken goes."""
    values = (
        None if target.auto_gateway is None else str(int(target.auto_gateway)),
        None if target.auto_routes is None else _EVERY_ROUTE if target.auto_routes else "0",
        None if target.auto_route_metric is None else str(target.auto_route_metric),
    )
    rows = zip(stacks.OF_ROUTERS, values, strict=True)
    _set_sysctls(site, name, "ipv6", [(key, value) for key, value in rows if value is not None])
    _remove_routes_of_routers(
        site,
        name,
        has_gateway=target.auto_gateway is not False,
        has_routes=target.auto_routes is not False,
    )


def _remove_routes_of_routers(
    site: Site, name: str, *, has_gateway: bool = False, has_routes: bool = False
) -> None:
    """Remove what was taken of a router's word, which would go when its time is over."""
    index = site.link(name).index
    for route in carried.unicast_routes(site.netlink, over=[index]):
        stays = has_routes if route.prefix else has_gateway
        if route.protocol == carried.OF_ROUTER and not stays:
            doing = f"remove a route of a router over {name}"
            with nl.passing_over(errno.ESRCH):
                site.netlink.send(NetlinkRequest(nl.RTM_DELROUTE, doing, route.body))


def _forwards(site: Site, name: str, target: Ipv6) -> bool:
    """Return whether an interface forwards: then the kernel hears routers by accept_ra 2 only."""
    if target.forwarding is not None:
        return target.forwarding
    return site.node.sysctl(f"ipv6/conf/{name}/forwarding") == "1"


def _set_interface_id(site: Site, name: str, target: Ipv6) -> None:
    parts = []
    if target.addr_gen_mode == _STABLE:
        _set_secret(site, name)
    if target.addr_gen_mode in _ADDR_GEN_MODES:
        mode = bytes([_ADDR_GEN_MODES[target.addr_gen_mode]])
        parts.append(messages.attribute(_IFLA_INET6_ADDR_GEN_MODE, mode))
    if target.token is not None:
        packed = IPv6Address(target.token).packed
        parts.append(messages.attribute(_IFLA_INET6_TOKEN, packed))
    for part in parts:
        spec = messages.attribute(IFLA_AF_SPEC, messages.attribute(socket.AF_INET6, part))
        site.change(site.link(name), f"set how {name} makes its IPv6 addresses", spec)


def _set_secret(site: Site, name: str) -> None:
    """Give an interface the secret that stable-privacy needs, unless it has one.

    It is of the machine and the name, the same at each boot, as systemd-networkd makes it; without
    one the kernel refuses the mode (check_addr_gen_mode()).
    """
    path = f"ipv6/conf/{name}/stable_secret"
    if name not in NAMES_OF_ALL and site.node.sysctl(path) is None:
        seed = f"{_SALT} {site.machine_id() or site.link(name).mac} {name}"
        secret = IPv6Address(hashlib.sha256(seed.encode()).digest()[:16])
        site.node.set_sysctls({path: secret.exploded})


def _forwarding(ip: Ipv4 | Ipv6) -> Iterable[tuple[str, str]]:
    return () if ip.forwarding is None else (("forwarding", str(int(ip.forwarding))),)


def _set_sysctls(site: Site, name: str, family: str, values: Iterable[tuple[str, str]]) -> None:
    """Write those that differ. Raises MachineError for one that cannot be what it shall be."""
    for key, value in values:
        path = f"{family}/conf/{name}/{key}"
        present = None if name in NAMES_OF_ALL else site.node.sysctl(path)
        if present is None and value not in _WITHOUT.get(key, "0"):
            raise MachineError(f"cannot set net/{path} to {value}: the kernel does not have it")
        if present not in (None, value):
            site.node.set_sysctls({path: value})
