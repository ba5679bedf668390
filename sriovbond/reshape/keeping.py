"""What links lose while they are down, and get again: addresses, routes, and being up."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from sriovbond.bond.links import Link
from sriovbond.kernel import carried, links, snapshots
from sriovbond.kernel.messages import LinkMessage
from sriovbond.reshape.site import Site


@contextmanager
def kept(site: Site, name: str) -> Iterator[None]:
    """Restore a link, and those on top of it, after they were down; not their MAC and MTU.

    Raises KernelError with the first refusal, after trying all.
    """
    before = with_uppers(snapshots.take(site.netlink), name)
    yield
    _restore(site, before)


@contextmanager
def kept_uppers(site: Site, name: str) -> Iterator[Sequence[Link]]:
    """Restore what is on a link that was down, and is up again; as `kept`, but not the link."""
    before = [link for link in with_uppers(snapshots.take(site.netlink), name) if link.name != name]
    yield before
    if before and site.link(name).is_up:
        _restore(site, before)


def _restore(site: Site, before: Sequence[Link]) -> None:
    now = {link.name: link for link in links.read_related(site.netlink)}
    pairs = [
        (now[link.name], replace(link, mac=now[link.name].mac, mtu=now[link.name].mtu))
        for link in before
        if link.name in now
    ]
    failures = [row for pair in pairs for row in snapshots.restore(site.netlink, *pair)]
    failures += snapshots.restore_spanning(site.netlink, pairs)
    if failures:
        raise failures[0]


def with_uppers(present: Sequence[Link], name: str) -> list[Link]:
    """Return a link, and those on top of it (VLAN, macvlan), each after the one it is on."""
    by_name = {link.name: link for link in present}
    order = [name] if name in by_name else []
    for lower in order:
        order += [upper for upper in by_name[lower].uppers if upper not in order]
    return [by_name[upper] for upper in order if upper in by_name]


def strip(site: Site, link: LinkMessage) -> None:
    """Take the addresses off a link that becomes a port. Raises KernelError."""
    addresses = carried.addresses(site.netlink, {link.index: link.mac}).get(link.index, ())
    for address in addresses:
        message = bytes.fromhex(address.message)  # a secondary one goes with its network's first
        carried.remove_address(site.netlink, link.name, address.text, message)
