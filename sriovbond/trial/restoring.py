"""Takes a node back to what it was before a change, where it was changed, as far as that goes."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from ipaddress import ip_interface
from typing import Final

from sriovbond import errors, hostname, resolvconf
from sriovbond.bond.links import Carried
from sriovbond.dhcp import resolving
from sriovbond.errors import SriovbondError
from sriovbond.host import Host
from sriovbond.kernel import carried
from sriovbond.kernel.messages import RTA_PREFSRC, RouteMessage
from sriovbond.nodenet import steps
from sriovbond.nodenet.acts import Step
from sriovbond.nodenet.document import read_state
from sriovbond.nodenet.joined import join
from sriovbond.nodenet.model import NetState
from sriovbond.nodenet.routing import NodeRoute
from sriovbond.reshape import acting, addressing, functions
from sriovbond.reshape.site import Site
from sriovbond.survey import node
from sriovbond.trial import clients, formers, ownroutes, store
from sriovbond.trial.checkpoint import (
    Checkpoint,
    Former,
    Journal,
    Load,
    address_identity,
    message_of,
    route_identity,
    route_place,
    settle,
)
from sriovbond.trial.footprints import closure, with_sourced
from sriovbond.trial.reversal import missing_nics, names_of_functions, reversal

_PASSES: Final = 3
"""A pass may bring about what a later one needs: a link that is up again, a base that is back."""
_WAITS_S: Final = 60.0
"""How long all passes may wait for VFs that come late."""


def restore(site: Site, host: Host, checkpoint: Checkpoint) -> Checkpoint:
    """Revert what the checkpoint says was begun; return it with what could not be, in words.

    Goes on after each refusal. Idempotent; nothing is sent where all is as it was. resolv.conf is
    restored last, and hinders nothing else.
    """
    failures: list[str] = []
    site = replace(site, deadline_s=time.monotonic() + _WAITS_S)
    for _ in range(_PASSES):
        ended = clients.stop_begun(site, checkpoint)
        # a route that the change added is none that its last step took: this comes before it goes
        settled = settle(checkpoint.journal, formers.loads(site))
        checkpoint = _written(host, replace(checkpoint, journal=settled))
        # what the change added must not be kept for links that are down meanwhile
        failures = [*ended, *_carry_out(site, host, read_state(settled.ways))]
        checkpoint = _noted(site, host, checkpoint)
        failures += _restore_network(site, host, checkpoint)
        if not failures:
            break
    failures += [*_restore_resolver(site, checkpoint), *_restore_name(site, checkpoint)]
    failures += clients.restart(site, checkpoint)
    return replace(checkpoint, problems=tuple(failures))


def restore_files(site: Site, checkpoint: Checkpoint) -> Checkpoint:
    """Restore what outlives a boot: resolv.conf, the host's name, what clients of DHCP are to do.

    Returns it with what could not be, in words.
    """
    failures = [*clients.restore_files(site.host, checkpoint), *_restore_resolver(site, checkpoint)]
    failures += _restore_name(site, checkpoint)
    return replace(checkpoint, problems=tuple(failures))


def _noted(site: Site, host: Host, checkpoint: Checkpoint) -> Checkpoint:
    """Return it with what links have now and may lose on this way, and note that on disk.

    So it is not lost where this process is killed.
    """
    present = formers.loads(site)
    journal = settle(checkpoint.journal, present)
    names = with_sourced([row.name for row in _in_order(checkpoint)], present)
    pending = tuple(load for load in _staying(journal, present) if load.name in names)
    return _written(host, replace(checkpoint, journal=replace(journal, pending=pending)))


def _written(host: Host, checkpoint: Checkpoint) -> Checkpoint:
    """Write it, and return it; a full disk must not keep the network from being restored."""
    with suppress(SriovbondError):
        store.write(host, checkpoint)
    return checkpoint


def _restore_network(site: Site, host: Host, checkpoint: Checkpoint) -> list[str]:
    before, back = read_state(checkpoint.before), read_state(checkpoint.back)
    failures = _attempt(_revert_functions(site, before, checkpoint))
    document = reversal(before, back, checkpoint.journal, node.read(site.node, host))
    failures += _carry_out(site, host, document)
    former_rows = _in_order(checkpoint)
    failures += formers.restore(site, former_rows)
    journal = settle(checkpoint.journal, formers.loads(site))
    failures += _restore_loads(site, journal, former_rows, ownroutes.unconfigured(before))
    return failures or _left(site, host, checkpoint)


def _carry_out(site: Site, host: Host, document: NetState) -> list[str]:
    """Bring about a document, after each refusal too; return what was refused, in words."""
    planned = _steps(document, node.read(site.node, host))
    return _attempt(partial(acting.carry_out, site, step) for step in planned)


def _left(site: Site, host: Host, checkpoint: Checkpoint) -> list[str]:
    """Return what is not as it was although nothing was refused."""
    before, back = read_state(checkpoint.before), read_state(checkpoint.back)
    now = node.read(site.node, host)
    left = _steps(reversal(before, back, checkpoint.journal, now), now)
    lines = [f"not as before: {line}" for step in left for line in step.lines]
    lost = missing_nics(before, checkpoint.journal, now)
    return [*lines, *(f"not as before: {name} is missing" for name in lost)]


def _revert_functions(
    site: Site, before: NetState, checkpoint: Checkpoint
) -> Iterator[Callable[[], None]]:
    """Yield what makes VFs as they were, each by its PF and number: names come after that."""
    settings = {row.name: row.functions for row in checkpoint.formers}
    names = names_of_functions(before, checkpoint.journal)
    for pf in before.interfaces or ():
        section = pf.ethernet.sr_iov if pf.ethernet else None
        if section and pf.label in checkpoint.journal.touched:
            had, rows = names.get(pf.label, {}), settings.get(pf.label, ())
            yield partial(functions.revert, site, pf.label, section, had, rows)


def _steps(document: NetState, now: NetState) -> tuple[Step, ...]:
    return steps.plan(join(document, now))


def _in_order(checkpoint: Checkpoint) -> list[Former]:
    """Return what the touched links were, each after those that it is on."""
    before = read_state(checkpoint.before)
    links = {link.label: link for link in before.interfaces or ()}
    names = closure(checkpoint.journal.touched, links)
    by_name = {row.name: row for row in checkpoint.formers}
    return [by_name[name] for name in names if name in by_name]


def _attempt(acts: Iterable[Callable[[], None]]) -> list[str]:
    failures: list[str] = []
    for act in acts:
        with errors.collected(failures):
            act()
    return failures


def _restore_loads(
    site: Site, journal: Journal, former_rows: Iterable[Former], own: Collection[NodeRoute]
) -> list[str]:
    """Restore addresses and routes, also those that the kernel removes with an added address."""
    present = formers.loads(site)
    failures = _attempt(_remove_addresses(site, journal))
    failures += _attempt(_restore_addresses(site, journal))
    failures += _attempt(_restore_order(site, former_rows))
    journal = settle(replace(journal, pending=_staying(journal, present)), formers.loads(site))
    failures += _attempt(_restore_addresses(site, journal))
    came = ownroutes.came(site, journal, former_rows, own)
    failures += _attempt(_restore_routes(site, journal, came))
    came = ownroutes.came(site, journal, former_rows, own)
    return failures + _attempt(partial(ownroutes.remove, site, row) for row in came)


def _staying(journal: Journal, present: Mapping[str, Load]) -> tuple[Load, ...]:
    """Return what links have, without the addresses that were added."""
    added = set(journal.added)
    return tuple(
        replace(
            load,
            addresses=tuple(row for row in load.addresses if (load.name, row.text) not in added),
        )
        for load in present.values()
    )


def _remove_addresses(site: Site, journal: Journal) -> Iterator[Callable[[], None]]:
    """Yield what removes the addresses that were added; one that is gone already is none."""
    added = set(journal.added)
    for load in formers.loads(site).values():
        for address in load.addresses:
            if (load.name, address.text) in added:
                yield partial(_remove_address, site, load.name, address)


def _remove_address(site: Site, name: str, address: Carried) -> None:
    message = bytes.fromhex(address.message)
    carried.remove_address(site.netlink, name, address.text, message)


def _restore_addresses(site: Site, journal: Journal) -> Iterator[Callable[[], None]]:
    """Yield what restores the addresses that were taken or changed; others left by themselves."""
    for load, now in _pairs(journal, formers.loads(site)):
        by_text = {row.text: row for row in now.addresses}
        for address in load.addresses:
            other = by_text.get(address.text)
            if other and address_identity(other) == address_identity(address):
                continue
            if other:
                yield partial(_remove_address, site, load.name, other)
            yield partial(carried.put_address_back, site.netlink, load.name, now.index, address)


def _restore_order(site: Site, former_rows: Iterable[Former]) -> Iterator[Callable[[], None]]:
    """Yield what restores the order of IPv4 addresses: packets of a network have its first one.

    Those behind the first that is out of its place are put on again.
    """
    present = formers.loads(site)
    for former in former_rows:
        now = present.get(former.name)
        if now is None:
            continue
        places = {text: number for number, text in enumerate(former.addresses)}
        put_back = partial(carried.put_address_back, site.netlink, former.name, now.index)
        for rows in _by_network(now.addresses):
            order = sorted(rows, key=lambda row: places.get(row.text, len(places)))
            late = next((n for n, row in enumerate(order) if row is not rows[n]), len(order))
            yield from (partial(_remove_address, site, former.name, row) for row in order[late:])
            yield from (partial(put_back, row) for row in order[late:])


def _by_network(addresses: Iterable[Carried]) -> list[list[Carried]]:
    """Return the IPv4 addresses of each network, in the kernel's order."""
    networks: dict[object, list[Carried]] = {}
    for row in addresses:
        interface = ip_interface(row.text)
        if interface.version == 4:  # noqa: PLR2004 - IPv4
            networks.setdefault(interface.network, []).append(row)
    return list(networks.values())


def _restore_routes(
    site: Site, journal: Journal, came: Iterable[RouteMessage]
) -> Iterator[Callable[[], None]]:
    """Yield what restores routes; one takes the place of the kernel's that came with an address."""
    present = formers.loads(site)
    indices = {load.index: now.index for load, now in _pairs(journal, present)}
    rows = [row for load in present.values() for row in load.routes]
    restored = {route_identity(row) for row in rows}
    taken = {route_place(message_of(row)) for row in rows if carried.spans_links(row)}
    taken |= {*map(route_place, came)}
    for load, _ in _pairs(journal, present):
        for route in load.routes:
            if route_identity(route) not in restored:
                restored.add(route_identity(route))
                # there the change has its own ways of it, which no document takes away by name
                is_replacing = carried.spans_links(route) or route_place(message_of(route)) in taken
                put_back = partial(_put_route_back, is_replacing=is_replacing)
                yield partial(put_back, site, load.name, indices, route)


def _put_route_back(
    site: Site, name: str, indices: Mapping[int, int], route: Carried, *, is_replacing: bool
) -> None:
    """Restore a route, when its source is one again."""
    addressing.await_source(site, message_of(route).address(RTA_PREFSRC))
    carried.put_route_back(site.netlink, name, indices, route, is_replacing=is_replacing)


def _pairs(journal: Journal, present: Mapping[str, Load]) -> Iterator[tuple[Load, Load]]:
    """Yield what each link lost, with what it has now; links that are missing are left out."""
    for load in journal.taken:
        if load.name in present:
            yield load, present[load.name]


def _restore_resolver(site: Site, checkpoint: Checkpoint) -> list[str]:
    """Restore resolv.conf where it is what the change has made of it, whole or as far as it came.

    What another program has written meanwhile, as a boot does, is that program's.
    """
    if checkpoint.journal.resolver is None:
        return []
    before = None if checkpoint.resolver is None else bytes.fromhex(checkpoint.resolver)
    written = bytes.fromhex(checkpoint.journal.resolver)

    def restore_resolver() -> None:
        resolving.withdraw(site.host)
        now = resolvconf.read(site.root)
        if now is None or written.startswith(now):
            resolvconf.write(site.root, before)
        resolving.refresh(site.host)

    return _attempt([restore_resolver])


def _restore_name(site: Site, checkpoint: Checkpoint) -> list[str]:
    """Call the host what it was called, where it is called what the change has made of it."""
    before, written = checkpoint.hostname, checkpoint.journal.hostname
    if before is None or written is None:
        return []

    def restore_file() -> None:
        now, file = hostname.read(site.root), before.file
        if written.file != file and (now and now.hex()) == written.file:
            hostname.write(site.root, None if file is None else bytes.fromhex(file))

    def restore_running() -> None:
        if written.running and hostname.running() == written.running != before.running:
            hostname.run_as(before.running)

    return _attempt([restore_file, restore_running])
