"""An interface made, changed in what all types have, and removed."""

import errno
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from sriovbond.errors import KernelError
from sriovbond.kernel import messages
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.messages import (
    IFLA_ADDRESS,
    IFLA_ALT_IFNAME,
    IFLA_IFALIAS,
    IFLA_IFNAME,
    IFLA_MTU,
    IFLA_PROP_LIST,
    LinkMessage,
)
from sriovbond.kernel.netlink import NetlinkRequest
from sriovbond.nodenet.acts import is_nic
from sriovbond.nodenet.model import BOND, BRIDGE, ETHERNET, NodeLink
from sriovbond.nodenet.routing import ABSENT
from sriovbond.reshape import bonds, bridges, functions, stacked
from sriovbond.reshape.keeping import kept
from sriovbond.reshape.site import Site

_NEW: Final = nl.NLM_F_CREATE | nl.NLM_F_EXCL
_NESTED: Final = 0x8000  # NLA_F_NESTED
_IFF_PROMISC: Final = 0x100


def make(site: Site, link: NodeLink, mac_of: str) -> None:
    """Make an interface, which is down; a bond with the MAC of the port `mac_of`.

    A veth that came with its peer is changed instead. Raises KernelError, also for a NIC.
    """
    if is_nic(link):
        raise KernelError(f"cannot make {link.label}: a NIC comes by itself", errno.ENODEV)
    if link.veth and site.find(link.label):
        _set_common(site, link.label, link)
        return
    parts = list(_parts(site, link, mac_of))
    if link.type == BOND:
        bonds.make(site, link, *parts)
    else:
        body = messages.link(
            0, messages.name(IFLA_IFNAME, link.label), *parts, *stacked.attributes(site, link)
        )
        doing = f"make the {link.type} {link.label}"
        site.netlink.send(NetlinkRequest(nl.RTM_NEWLINK, doing, body, _NEW))
    if link.type == BRIDGE and link.mtu is not None:
        _set_mtu(site, link.label, link.mtu)
    _set_further(site, link)


def change(site: Site, change: NodeLink, current: NodeLink) -> None:
    """Change an interface in place; addresses, ports and its state are steps of their own.

    Raises KernelError, MachineError.
    """
    name, bond = current.label, change.link_aggregation if _has_options(change) else None
    _set_common(site, name, replace(change, mac_address=None) if bond else change)
    if bond:
        bonds.change(site, bond, current)
        if change.mac_address:  # with the fail_over_mac that it had the kernel may have set none
            _set_mac(site, name, change.mac_address)
    if change.bridge and change.bridge.options:
        bridges.change(site, name, change.bridge.options)
    for attribute in stacked.changes(change):
        site.change(site.link(name), f"change the {current.type} {name}", attribute)


def remove(site: Site, current: NodeLink) -> None:
    """Remove an interface; one that is gone already is none. Raises KernelError."""
    link = site.find(current.label)
    if link is not None:
        doing = f"remove {current.label}"
        with nl.passing_over(errno.ENODEV):
            body = messages.link(link.index)
            site.netlink.send(NetlinkRequest(nl.RTM_DELLINK, doing, body))


def _set_common(site: Site, name: str, change: NodeLink) -> None:
    """Set what every type has: MTU, MAC, and what `_set_further` does."""
    if change.mtu is not None:
        _set_mtu(site, name, change.mtu)
    if change.mac_address:
        _set_mac(site, name, change.mac_address)
    _set_further(site, change)


def _set_mtu(site: Site, name: str, mtu: int) -> None:
    words = f"set the MTU of {name} to {mtu}"
    site.change(site.link(name), words, messages.word(IFLA_MTU, mtu))


def _has_options(change: NodeLink) -> bool:
    bond = change.link_aggregation
    return bond is not None and (bond.mode is not None or bond.options is not None)


def _parts(site: Site, link: NodeLink, mac_of: str) -> Iterator[bytes]:
    if link.mtu is not None:
        # a bridge keeps one that differed when it was set (br_change_mtu()), else follows its ports
        yield messages.word(IFLA_MTU, link.mtu ^ 1 if link.type == BRIDGE else link.mtu)
    octets = _octets(link.mac_address) if link.mac_address else b""
    if mac_of and not octets:
        octets = bonds.mac_of(site, mac_of)
    if octets:
        yield messages.attribute(IFLA_ADDRESS, octets)


def _octets(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def _set_mac(site: Site, name: str, mac: str) -> None:
    """Set the MAC; an interface that takes it only while it is down is down meanwhile.

    A VF whose PF has fixed its MAC may refuse this one, too (igb).
    """
    link = site.link(name)
    if link.mac == mac.lower():
        return
    doing = f"set the MAC of {name} to {mac}"
    attribute = messages.attribute(IFLA_ADDRESS, _octets(mac))
    body = messages.link(link.index, attribute)
    try:
        site.netlink.send(NetlinkRequest(nl.RTM_NEWLINK, doing, body))
    except KernelError as error:
        if error.errno != errno.EBUSY or not link.is_up:
            raise
        with kept(site, name):
            site.set_down(link)
            site.change(link, doing, attribute)


def _set_further(site: Site, link: NodeLink) -> None:
    """Set what a new interface is not made with: description, altnames, promiscuity, VFs."""
    name = link.label
    if link.description is not None:
        alias = messages.attribute(IFLA_IFALIAS, link.description.encode())
        site.change(site.link(name), f"describe {name} as {link.description!r}", alias)
    for alt in link.alt_names or ():
        _set_altname(site, name, alt.name or "", is_absent=alt.state == ABSENT)
    if link.accept_all_mac_addresses is not None:
        words = f"set accept-all-mac-addresses of {name}"
        is_set = link.accept_all_mac_addresses
        site.set_flag(site.link(name), words, _IFF_PROMISC, is_set=is_set)
    if link.ethernet and link.ethernet.sr_iov and link.type in {None, ETHERNET}:
        functions.change(site, name, link.ethernet.sr_iov)


def _set_altname(site: Site, name: str, altname: str, *, is_absent: bool) -> None:
    link = site.link(name)
    if (altname in link.altnames) != is_absent:
        return
    verb = "take from" if is_absent else "give"
    type_ = nl.RTM_DELLINKPROP if is_absent else nl.RTM_NEWLINKPROP
    doing = f"{verb} {name} the altname {altname}"
    site.netlink.send(NetlinkRequest(type_, doing, _altname(link, altname)))


def _altname(link: LinkMessage, altname: str) -> bytes:
    names = messages.attribute(IFLA_PROP_LIST | _NESTED, messages.name(IFLA_ALT_IFNAME, altname))
    return messages.link(link.index, names)
