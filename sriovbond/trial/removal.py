"""What of ours is on a node beside its network goes: documents, units, clients of DHCP."""

from collections.abc import Iterator
from typing import Final

from sriovbond.host import Host
from sriovbond.reshape.site import Site
from sriovbond.trial import clients, enactments, ending, persisted, store, unit

_LOCK_S: Final = 60.0


def remove(site: Site, host: Host) -> Iterator[str]:
    """Remove documents, units and clients; yield what became of them, in words.

    No change is at work meanwhile, and none waits: its way back would bring them again. Raises
    TryLaterError, StuckError, MachineError.
    """
    with store.locked(host, _LOCK_S):
        if ending.clear_the_way(site, host):
            yield "a change that was left in the middle is reverted"
        unit.uninstall(host)
        yield from clients.remove(host)
        enactments.remove(host)
        yield f"removed {persisted.remove(host)} documents; the network stays as it is"
