"""DEL: release the attachment by its record; without one, delete IFNAME only if it is a bond."""

import logging
from contextlib import suppress
from dataclasses import replace
from functools import partial

from sriovbond import aside, homecoming, ipam, log, records, release
from sriovbond.bond.options import normal_key
from sriovbond.cni.request import CniRequest
from sriovbond.commands import keeping
from sriovbond.errors import ConfigError, MachineError
from sriovbond.host import Host
from sriovbond.kernel import bonding, links, netns
from sriovbond.kernel.netns import Namespace
from sriovbond.records import Record
from sriovbond.release import Keeper


def delete(request: CniRequest, host: Host, keeper: Keeper | None = None) -> None:
    """Release the attachment; succeed when nothing is left to release. Idempotent.

    Raises only what a later DEL could still succeed at: a bond that cannot be deleted, IPAM that
    fails, a record that cannot be read now. With a keeper, IPAM's failure is kept for later instead
    (other than SPEC section 4: the runtime would keep the pod for it).
    """
    for fault in request.faults:
        log.event(logging.WARNING, f"going on without it: {fault}")
    with records.locked(host, request.attachment.key):
        record = _record(request, host)
        if record:
            record = _with_path(record, request)
            outcome = release.release(host, record, request.netns, request.netns_descriptor, keeper)
        else:
            outcome = _without_record(request, host, keeper)
    outcome.finish()


def _record(request: CniRequest, host: Host) -> Record | None:
    try:
        return records.read(host, request.attachment.key)
    except records.DamagedRecordError as error:  # damaged; one that cannot be read now is raised
        log.event(logging.ERROR, error.message)
        with suppress(OSError):
            kept = aside.put(host, request.attachment.key, error)
            log.event(logging.ERROR, f"the record is kept as {str(kept)!r}")
        return None


def _with_path(record: Record, request: CniRequest) -> Record:
    """Look for the IPAM plugin in CNI_PATH of now, not that of the ADD."""
    path = request.environment.get("CNI_PATH")
    if record.ipam is None or not path:
        return record
    environment = {**record.ipam.environment, "CNI_PATH": path}
    return replace(record, ipam=replace(record.ipam, environment=environment))


def _without_record(request: CniRequest, host: Host, keeper: Keeper | None) -> release.Outcome:
    outcome = release.Outcome()
    is_first = ipam.needs_interface(request.config)
    ask = partial(_release_ipam, request, host, keeper, outcome)
    if is_first:
        outcome.attempt(ask)
    outcome.attempt(partial(_delete_bond, request, host, outcome))
    if ipam.is_asked_for(request.config) and not is_first:
        outcome.attempt(ask)
    return outcome


def _release_ipam(
    request: CniRequest, host: Host, keeper: Keeper | None, outcome: release.Outcome
) -> None:
    try:
        ipam.require(request, host)
    except (ConfigError, MachineError) as error:
        # an ADD that was refused for it has leased nothing, and nothing says that another has
        log.event(logging.WARNING, f"going on without IPAM: {error.message}")
        return
    if keeper is None:
        ipam.delete(request, host)
        return
    released = release.release(host, keeping.ipam_only(request, host), keeper=keeper)
    outcome.problems += released.problems
    outcome.notes += released.notes


def _delete_bond(request: CniRequest, host: Host, outcome: release.Outcome) -> None:
    """Delete IFNAME if it is a bond without an owner: bond-cni keeps no record."""
    if not request.netns:
        return
    try:
        with netns.opened(request.netns, request.netns_descriptor) as pod:
            link = links.find(pod.netlink, request.ifname)
            if link is None or not _is_deletable(host, pod, request.ifname, link.kind, outcome):
                return
            bonding.delete(pod.netlink, link)
            for name in _host_links(request):
                outcome.attempt(partial(homecoming.send, pod, name))
    except netns.NamespaceGoneError:
        outcome.notes.append(f"the namespace {request.netns} is gone")


def _is_deletable(
    host: Host, pod: Namespace, ifname: str, kind: str, outcome: release.Outcome
) -> bool:
    if kind != "bond":
        outcome.notes.append(
            f"{ifname} is left alone: it is no bond, and no record says it is ours"
        )
        return False
    with netns.own() as home:
        if pod.identity == home.identity:
            outcome.notes.append(f"{ifname} is left alone: it is the host's own")
            return False
    boot_id = host.boot_id()  # the kernel reuses the inode numbers of namespaces
    owners = [
        record.container_id
        for record in records.every(host)
        if (record.namespace, record.ifname, record.boot_id) == (pod.identity, ifname, boot_id)
    ]
    if owners:
        outcome.notes.append(f"{ifname} is left alone: it belongs to container {owners[0]}")
    return not owners


def _host_links(request: CniRequest) -> list[str]:
    """Return the links that bond-cni moved here from the host, if its configuration says so.

    Parsed leniently: a DEL must not fail for a fault elsewhere in the configuration. Without
    linksInContainer none: a dying namespace returns physical devices to the host by itself.
    """
    config = {normal_key(key): value for key, value in request.config.items()}
    links_ = config.get("links")
    if config.get("linksincontainer") is not False or not isinstance(links_, list):
        return []
    names = [link.get("name") for link in links_ if isinstance(link, dict)]
    return [name for name in names if isinstance(name, str)]
