"""Whose the interfaces of a node are, and what a change of others' is refused by."""

import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from sriovbond.kernel.netns import Namespace
from sriovbond.nodenet import routes
from sriovbond.nodenet.checks import Complaint
from sriovbond.nodenet.difference import is_changed, is_resolver_new, link_difference
from sriovbond.nodenet.joined import Joined
from sriovbond.nodenet.model import NodeLink
from sriovbond.survey import managers, resolver
from sriovbond.survey.managers import Links, Owner

_MANAGERS: Final = (
    managers.netplan,
    managers.network_manager,
    managers.networkd,
    managers.ifupdown,
    managers.nmstate_service,
    managers.network_manager_by_default,
)
"""In the order of precedence: a program that writes the files of another comes before it."""
_RESOLVERS: Final[Mapping[str, str]] = {
    "systemd-resolved": "`systemctl disable --now systemd-resolved`, and a plain file in its place",
    "NetworkManager": (
        r"`printf '[main]\ndns=none\n' > /etc/NetworkManager/conf.d/90-sriovbond-dns.conf && "
        "systemctl restart NetworkManager`, and a plain file in its place"
    ),
}
_TAKE_IT: Final = "stop it, and put a plain file in its place"


def find(root: Path, links: Links) -> dict[str, Owner]:
    """Return who manages the interfaces, by their names; also of interfaces that are missing."""
    owners: dict[str, Owner] = {}
    for manager in _MANAGERS:
        for name, owner in manager(root, links):
            owners.setdefault(name, owner)
    return owners


def judge(joined: Joined, node: Namespace, root: Path) -> tuple[Complaint, ...]:
    """Return what of a change is another program's: interfaces, routes over them, the resolver.

    `joined` has the state of `node`, whose files are below `root`.
    """
    links = {name: index for index, name in node.run(socket.if_nameindex)}
    owners = find(root, links)
    return (
        *_of_links(joined, owners),
        *_of_functions(joined, root),
        *_of_routes(joined, owners),
        *_of_resolver(joined, root),
    )


def _of_links(joined: Joined, owners: Mapping[str, Owner]) -> Iterator[Complaint]:
    numbers = {link.label: n for n, link in enumerate(joined.desired.interfaces or ())}
    for pair in joined.pairs:
        if pair.name in owners and is_changed(pair, joined):
            path = ("interfaces", numbers[pair.name]) if pair.name in numbers else ("interfaces",)
            yield Complaint(path, _words(pair.name, owners[pair.name]))


def _of_functions(joined: Joined, root: Path) -> Iterator[Complaint]:
    """Yield the PFs whose VFs would be changed, and which the SR-IOV operator makes."""
    for number, link in enumerate(joined.desired.interfaces or ()):
        pair, now = joined.pair(link.label), joined.links.get(link.label) or NodeLink()
        change = link_difference(pair, joined) if pair and now.pci_address else None
        if change is None or change.ethernet is None or change.ethernet.sr_iov is None:
            continue
        if file := managers.sriov_operator(root, now.pci_address or ""):
            text = (
                f"the VFs of {link.label} are managed by the SR-IOV operator ({file}); to hand them"
                f" over: take {link.label} out of its SriovNetworkNodePolicies, or give these"
                " `externallyManaged: true`"
            )
            yield Complaint(("interfaces", number, "ethernet", "sr-iov"), text)


def _of_routes(joined: Joined, owners: Mapping[str, Owner]) -> Iterator[Complaint]:
    """Yield whose routes would be made or removed; not of one that goes with its interface."""
    leaving = [
        row for row in routes.leaving_routes(joined) if not routes.goes_by_itself(row, joined)
    ]
    rows = (*routes.lacking_routes(joined), *leaving)
    for name in sorted({row.next_hop_interface or "" for row in rows} & owners.keys()):
        yield Complaint(("routes", "config"), _words(name, owners[name]))


def _of_resolver(joined: Joined, root: Path) -> Iterator[Complaint]:
    owner = resolver.read(root).owner if is_resolver_new(joined) else ""
    if owner:
        remedy = _RESOLVERS.get(owner, _TAKE_IT)
        yield Complaint(
            ("dns-resolver",),
            f"/etc/resolv.conf is written by {owner}; to hand it over: {remedy}",
        )


def _words(name: str, owner: Owner) -> str:
    return f"{name} is managed by {owner.program} ({owner.file}); to hand it over: {owner.handover}"
