"""GC: release what this network left behind of attachments that no longer exist."""

import logging
from functools import partial

from sriovbond import ipam, log, records, release
from sriovbond.cni.request import Attachment, CniRequest, valid_attachments
from sriovbond.host import Host
from sriovbond.records import Record


def gc(request: CniRequest, host: Host) -> None:
    """Release every record of this network that is not listed; go on past errors, report all.

    Raises CniError before anything is removed when the list is missing or malformed.
    """
    valid = valid_attachments(request.config)
    outcome = release.Outcome()
    standing, faults = records.read_all(host)
    for fault in faults:
        log.event(logging.ERROR, fault)
    for record in standing:
        listed = Attachment(record.container_id, record.ifname) in valid
        if record.network == request.network and not listed:
            outcome.attempt(partial(_release, host, record))
    if ipam.is_asked_for(request.config):
        outcome.attempt(partial(ipam.gc, request, host))
    outcome.finish()


def _release(host: Host, record: Record) -> None:
    log.event(logging.INFO, "releasing a stale attachment", stale=record.key)
    with records.locked(host, record.container_id, record.ifname):
        current = records.read(host, record.container_id, record.ifname)
        if current:
            release.release(host, current).finish()
