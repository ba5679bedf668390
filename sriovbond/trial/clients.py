"""The clients of DHCP in a change: a lease is awaited, and reverted they are as they were."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from math import inf
from typing import Final

from sriovbond import errors
from sriovbond.dhcp import files, holding, resolving, service
from sriovbond.dhcp.files import ClientFiles, ClientStatus
from sriovbond.errors import MachineError
from sriovbond.host import Host
from sriovbond.kernel.messages import LinkMessage
from sriovbond.reshape.site import Site
from sriovbond.trial import store
from sriovbond.trial.checkpoint import Checkpoint

_PAUSE_S: Final = 0.05
_UNKNOWN: Final = ClientStatus("starting", note="its client has not begun")


def read(host: Host) -> tuple[ClientFiles, ...]:
    """Return the clients, with their leases. Raises MachineError."""
    return files.read_all(host)


def await_leases(
    site: Site,
    names: Iterable[str],
    left_s: Callable[[], float],
    lease_s: float,
    say: Callable[[str], None],
) -> None:
    """Wait for the leases of interfaces, `lease_s` in all; where that is finite go on without them.

    Raises MachineError where a lease is needed and none is there within `left_s`.
    """
    end_s = time.monotonic() + lease_s
    for name in names:
        try:
            words = await_lease(site, name, lambda: min(left_s(), end_s - time.monotonic()))
        except MachineError as error:
            if lease_s == inf:
                raise
            words = f"{error.message}; its client goes on asking"
        say(f"   {words}")


def await_lease(site: Site, name: str, left_s: Callable[[], float]) -> str:
    """Wait until a server has confirmed the interface's lease; return it, in words.

    Raises MachineError with what was sent and what came, where the time is over before.
    """
    began = time.monotonic()
    while not (status := files.read_status(site.host, name) or _UNKNOWN).is_leased:
        if left_s() <= 0:
            raise MachineError(words(site.host, name, status, time.monotonic() - began))
        time.sleep(_PAUSE_S)
    return status.note


def words(host: Host, name: str, status: ClientStatus, waited_s: float) -> str:
    """Return why an interface has no lease: what was sent, and what was answered."""
    client = files.read(host, name)
    id_ = bytes.fromhex(client.wish.client_id).hex(":") if client else "?"
    counts = f"{status.sent} requests with the client id {id_}"
    answers = f"{status.offers} offers and {status.refusals} refusals came"
    if status.malformed:
        answers += f", and {status.malformed} malformed answers"
    carrier = "" if status.has_carrier else "; it has no carrier"
    note = f"; {status.note}" if status.note else ""
    return f"no lease of DHCP on {name} in {waited_s:.0f} s: {counts}, {answers}{carrier}{note}"


def stop_begun(site: Site, checkpoint: Checkpoint) -> list[str]:
    """Stop the clients that the change began or changed, and take off what they have.

    Returns what failed, after trying all. Idempotent.
    """
    before = {client.name: client.wish for client in checkpoint.clients}
    failures: list[str] = []
    for name in sorted({*files.names(site.host)} & {*checkpoint.journal.touched}):
        with errors.collected(failures):
            now = files.read(site.host, name)
            if now and now.wish != before.get(name):
                _end(site, name)
    return failures


def restart(site: Site, checkpoint: Checkpoint) -> list[str]:
    """Start the clients again that the change stopped, with the leases that they had.

    Returns what failed, after trying all. Idempotent.
    """
    failures: list[str] = []
    for client in checkpoint.clients:
        with errors.collected(failures):
            link = site.find(client.name)
            if client.name in checkpoint.journal.touched and link:
                _begin(site, _on(link, client))
    return failures


def restore_files(host: Host, checkpoint: Checkpoint) -> list[str]:
    """Restore what is on disk of the clients that the change touched: a boot has ended them.

    Returns what failed, after trying all. Idempotent.
    """
    before = {client.name: client for client in checkpoint.clients}
    failures: list[str] = []
    for name in sorted({*files.names(host), *before} & {*checkpoint.journal.touched}):
        with errors.collected(failures):
            if name in before:
                files.write(host, replace(_as_before(host, before[name]), before=None))
            else:
                files.remove(host, name)
    return failures


def remove(host: Host) -> Iterator[str]:
    """Stop and remove all clients, and their unit; yield what becomes of each lease, in words.

    Addresses and routes stay until the kernel ends them with the lease. Raises MachineError.
    """
    now_s = store.now_s()
    leases = {client.name: client.lease for client in read(host)}
    for name in files.names(host):
        service.stop(host, name)
        files.remove(host, name)
        former = leases.get(name)
        lease = former and former.of_boot(host.boot_id(), now_s, time.time())
        if lease and (left_s := lease.left_s(now_s)) > 0:
            yield f"{name}: its address {lease.text} is not renewed, {left_s:.0f} s left"
    service.uninstall(host)
    resolving.forget(host)


def _end(site: Site, name: str) -> None:
    service.stop(site.host, name)
    if link := site.find(name):
        holding.take_off(site.netlink, link)
        holding.restore(site.netlink, link, files.read_before(site.host, name))
    files.remove(site.host, name)
    resolving.refresh(site.host)


def _begin(site: Site, client: ClientFiles) -> None:
    now = files.read(site.host, client.name)
    is_as_before = now is not None and now.wish == client.wish
    if is_as_before and files.is_running(site.host, client.name):
        return
    files.write(site.host, _as_before(site.host, client))
    service.start(site.host, client.name)
    resolving.refresh(site.host)


def _on(link: LinkMessage, client: ClientFiles) -> ClientFiles:
    """Return a client for its link, which may be made anew: as it was with the lease."""
    before = client.before and replace(client.before, index=link.index)
    return replace(client, before=before)


def _as_before(host: Host, client: ClientFiles) -> ClientFiles:
    """Return a client as the checkpoint has it; with its lease of now, which it has renewed."""
    with suppress(MachineError):
        now = files.read(host, client.name)
        if now and now.wish.client_id == client.wish.client_id:
            return replace(client, lease=now.lease)
    return client
