"""GC: release the attachments of this network that no longer exist."""

import logging
from dataclasses import dataclass, replace
from functools import partial

from sriovbond import ipam, log, records, release
from sriovbond.cni.request import Caller, CniRequest, valid_attachments
from sriovbond.commands import keeping
from sriovbond.errors import TryLaterError
from sriovbond.host import Host
from sriovbond.release import Keeper


def gc(request: CniRequest, host: Host, caller: Caller, keeper: Keeper | None = None) -> None:
    """Release every record of this network that is not listed; on errors continue, and report all.

    The list is as old as the call: attachments recorded since are not in it, and are kept.
    Raises CniError before anything is removed when the list is missing or malformed.
    """
    valid = valid_attachments(request.config)
    outcome = release.Outcome()
    faults: list[str] = []
    stale = [
        record.key
        for record in records.each(host, faults)
        if record.network == request.network and record.attachment not in valid
    ]
    for fault in faults:
        log.event(logging.ERROR, fault)
    later = replace(keeper, asks_first=False) if keeper else None
    collection = _Collection(host, caller, later)
    for key in stale:
        outcome.attempt(partial(collection.release, key))
    if ipam.is_asked_for(request.config):
        outcome.attempt(partial(collection.forward, request))
    outcome.finish()


@dataclass(frozen=True, slots=True)
class _Collection:
    host: Host
    caller: Caller
    keeper: Keeper | None

    def release(self, key: str) -> None:
        """Release a record that is not listed, unless it was written after the list."""
        with records.locked(self.host, key):
            current = records.read(self.host, key)
            if current is None:
                return
            if keeping.read_mtime(self.host, current) > self.caller.sent_at:
                log.event(logging.INFO, "left alone: it is newer than the list", kept=key)
                return
            log.event(logging.INFO, "releasing a stale attachment", stale=key)
            release.release(self.host, current, keeper=self.keeper).finish()

    def forward(self, request: CniRequest) -> None:
        """Run IPAM's GC too, if the list still holds."""
        if self.caller.has_gone():
            raise TryLaterError(
                "cannot have IPAM collect garbage: whoever sent the list does not wait any more; "
                "send it again"
            )
        ipam.gc(request, self.host, lambda: not self.caller.has_gone())
