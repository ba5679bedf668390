"""IPv4 and IPv6 of an interface: addresses with lifetimes, and what the kernel makes of routers."""

import socket
import struct
from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

from sriovbond.kernel.messages import (
    IFA_F_PERMANENT,
    IFA_FLAGS,
    IFA_RT_PRIORITY,
    AddressMessage,
    LinkMessage,
    ip,
    whole,
)
from sriovbond.kernel.netns import NAMES_OF_ALL
from sriovbond.nodenet.model import IpAddress4, IpAddress6, Ipv4, Ipv6
from sriovbond.survey.answers import IFLA_INET6_ADDR_GEN_MODE
from sriovbond.survey.fitting import fit
from sriovbond.survey.scene import Scene

# include/uapi/linux/if_addr.h and if_link.h
_IFA_CACHEINFO: Final = 6
_CACHE: Final = struct.Struct("=II")  # ifa_cacheinfo: preferred, valid, in seconds
_FOREVER: Final = 2**32 - 1
_IFLA_INET6_TOKEN: Final = 7
_ADDR_GEN_MODES: Final = {0: "eui64", 1: "none", 2: "stable-privacy", 3: "random"}
_SCOPE_LINK: Final = 253
OF_ROUTERS: Final = ("accept_ra_defrtr", "accept_ra_rt_info_max_plen", "ra_defrtr_metric")
"""The sysctls of the default gateway that a router is, its routes, and that gateway's metric."""
_USUAL_METRIC: Final = "1024"  # IP6_RT_PRIO_USER
_HOST_PREFIX: Final = 128

Address = TypeVar("Address", IpAddress4, IpAddress6)


def ipv4(message: LinkMessage, scene: Scene, routed: Iterable[int]) -> Ipv4:
    """Return an interface's IPv4, enabled where it has an address or a route.

    `routed` are the links with IPv4 routes of the configuration. DHCP is what gives addresses for a
    time.
    """
    addresses = _addresses(message, scene, socket.AF_INET)
    is_enabled = bool(addresses) or message.index in routed
    return fit(
        Ipv4,
        enabled=is_enabled,
        dhcp=any(map(_is_temporary, addresses)) if is_enabled else None,
        address=_write(IpAddress4, addresses) if is_enabled else None,
        forwarding=_setting(message, scene, "ipv4", "forwarding"),
        prefix_route_metric=_metric(addresses),
    )


def ipv6(message: LinkMessage, scene: Scene, routed: Iterable[int]) -> Ipv6:
    """Return an interface's IPv6, enabled where the kernel has it so.

    A port's is enabled where it has an address other than of fe80::/10, or a route. `autoconf` is
    what the kernel does with a router's word, or what a daemon in its place has done: an address
    for a time; one of a single host is from DHCPv6.
    """
    addresses = _addresses(message, scene, socket.AF_INET6)
    is_used = any(row.scope != _SCOPE_LINK for row in addresses) or message.index in routed
    is_off = _setting(message, scene, "ipv6", "disable_ipv6") != "0"
    is_enabled = is_used if scene.is_bound(message) else not is_off or is_used
    temporary = [row for row in addresses if _is_temporary(row)]
    of_routers = [row for row in temporary if row.prefix != _HOST_PREFIX]
    inet6 = message.of_family(socket.AF_INET6) or {}
    return fit(
        Ipv6,
        enabled=is_enabled,
        dhcp=len(temporary) > len(of_routers) if is_enabled else None,
        autoconf=(bool(of_routers) or _hears_routers(message, scene)) if is_enabled else None,
        address=_write(IpAddress6, addresses) if is_enabled else None,
        **(_of_routers(message, scene) if is_enabled else {}),
        addr_gen_mode=_ADDR_GEN_MODES.get(whole(inet6.get(IFLA_INET6_ADDR_GEN_MODE, b"\xff"))),
        token=ip(socket.AF_INET6, inet6.get(_IFLA_INET6_TOKEN, b"")) or None,
        forwarding=_setting(message, scene, "ipv6", "forwarding"),
        prefix_route_metric=_metric(addresses),
    )


def _addresses(message: LinkMessage, scene: Scene, family: int) -> list[AddressMessage]:
    return [
        row for row in scene.answers.addresses if (row.index, row.family) == (message.index, family)
    ]


def _write(of: type[Address], addresses: Iterable[AddressMessage]) -> tuple[Address, ...]:
    return tuple(
        fit(
            of,
            ip=row.address,
            prefix_length=row.prefix,
            valid_life_time=_life_time(row, 1),
            preferred_life_time=_life_time(row, 0),
        )
        for row in addresses
    )


def _is_temporary(address: AddressMessage) -> bool:
    return _seconds(address, 1) != _FOREVER


def _life_time(address: AddressMessage, place: int) -> str | None:
    """Return it as nmstate writes it, None where neither ends."""
    if not _is_temporary(address):
        return None
    seconds = _seconds(address, place)
    return "forever" if seconds == _FOREVER else f"{seconds}sec"


def _seconds(address: AddressMessage, place: int) -> int:
    cache = address.attributes.get(_IFA_CACHEINFO, b"")
    is_permanent = whole(address.attributes.get(IFA_FLAGS, b"")) & IFA_F_PERMANENT
    if is_permanent or len(cache) < _CACHE.size:
        return _FOREVER
    seconds: int = _CACHE.unpack_from(cache)[place]
    return seconds


def _metric(addresses: Iterable[AddressMessage]) -> int | None:
    """Return the metric of the networks' routes, None by default."""
    metrics = [whole(row.attributes.get(IFA_RT_PRIORITY, b"")) for row in addresses]
    return next((metric for metric in metrics if metric), None)


def _of_routers(message: LinkMessage, scene: Scene) -> Mapping[str, bool | int | None]:
    """Return what of a router's word the kernel takes, beside addresses; None for what is usual."""
    if not _hears_routers(message, scene):
        return {}
    gateway, longest, metric = (_setting(message, scene, "ipv6", key) for key in OF_ROUTERS)
    return {
        "auto_gateway": False if gateway == "0" else None,
        "auto_routes": None if longest in (None, "0") else True,
        "auto_route_metric": None if metric in (None, _USUAL_METRIC) else int(metric),
    }


def _hears_routers(message: LinkMessage, scene: Scene) -> bool:
    """Return whether the kernel makes addresses of a router's prefixes (ipv6_accept_ra())."""
    accepts, forwards, makes = (
        _setting(message, scene, "ipv6", key) for key in ("accept_ra", "forwarding", "autoconf")
    )
    return makes == "1" and (accepts == "2" or (accepts == "1" and forwards == "0"))


def _setting(message: LinkMessage, scene: Scene, family: str, key: str) -> str | None:
    """Return a sysctl of the link, None where it has none."""
    if message.name in NAMES_OF_ALL:
        return None
    return scene.node.sysctl(f"{family}/conf/{message.name}/{key}")
