"""What the watch follows: bonds, and a mirror of the links in their namespaces."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from sriovbond.bond.plan import BondPlan
from sriovbond.happenings.following import Heard
from sriovbond.happenings.happening import WatchedBond
from sriovbond.kernel.watch import LinkEvent
from sriovbond.subject import Subject

COMING_BACK_S: Final = 0.5  # udev may rename a link that appears


@dataclass(slots=True)
class WatchedAttachment:
    """A bond that is watched; `bond` is as it was told last, `refused` what was told of repairs.

    `announcements` are those still to be made, `taken` the devices that somebody took out of the
    pod, `sent_home` those that a failed repair did, of which the kernel has yet to tell; `wait_s`
    is how long a repair waits: longer each time that one is refused. `stirred` is when something
    last happened to a device that is lost, by the monotonic clock.
    """

    subject: Subject
    plan: BondPlan
    nsid: int
    bond: WatchedBond
    is_settled: bool = False
    refused: frozenset[str] = frozenset()
    announcements: int = 0
    taken: frozenset[str] = frozenset()
    sent_home: frozenset[str] = frozenset()
    wait_s: float = COMING_BACK_S
    stirred: dict[str, float] = field(default_factory=dict)

    @property
    def lost(self) -> frozenset[str]:
        """The devices of members that are gone, and that nobody took out."""
        gone = {member.device for member in self.bond.members if not member.is_in_bond}
        return frozenset(gone - self.taken - {""})

    def note_lost(self, at: float) -> None:
        """Take it that what is lost by now, and was not before, has stirred at that time."""
        self.stirred = {device: self.stirred.get(device, at) for device in self.lost}

    def note_stirred(self, device: str, at: float) -> None:
        """Take it that something happened to a lost device; before 5.14 none is told, so to all."""
        self.stirred |= dict.fromkeys(self.lost & {device} if device else self.lost, at)

    def unrest_s(self, at: float, rest_s: float) -> dict[str, float]:
        """Return the lost devices that are not at rest yet, and for how long each is not."""
        waits_s = {device: since + rest_s - at for device, since in self.stirred.items()}
        return {device: wait_s for device, wait_s in waits_s.items() if wait_s > 0}

    def note_moved(self, device: str) -> None:
        """Take it that the device was taken out of the pod, unless a repair sent it home."""
        if device not in self.sent_home:
            self.taken |= {device}
        self.sent_home -= {device}

    def note_sent_home(self, devices: frozenset[str]) -> None:
        """Take it that a repair sent these home; the kernel may have told of them already."""
        self.sent_home = devices - self.taken
        self.taken -= devices


@dataclass(slots=True)
class _Space:
    links: dict[int, Heard]
    keys: set[str] = field(default_factory=set)


class Spaces:
    """Namespaces by nsid: the links in each, and the keys of the attachments in it."""

    def __init__(self) -> None:
        self._spaces: Final[dict[int, _Space]] = {}

    def __contains__(self, nsid: object) -> bool:
        return nsid in self._spaces

    def __iter__(self) -> Iterator[int]:
        return iter(tuple(self._spaces))

    def join(self, key: str, nsid: int, links: Mapping[int, Heard]) -> None:
        """Have an attachment there, whose links were read just now."""
        self._spaces.setdefault(nsid, _Space({})).keys.add(key)
        self.replace(nsid, links)

    def replace(self, nsid: int, links: Mapping[int, Heard]) -> None:
        """Take these for the links of a namespace that is known."""
        matter = {index: link for index, link in links.items() if link.matters}
        self._spaces[nsid].links = matter

    def size(self, nsid: int) -> int:
        """Return how many links of the namespace are known."""
        return len(self._spaces[nsid].links) if nsid in self._spaces else 0

    def keys(self, nsid: int) -> tuple[str, ...]:
        """Return the keys of the attachments there."""
        return tuple(self._spaces[nsid].keys) if nsid in self._spaces else ()

    def names(self, nsid: int) -> frozenset[str]:
        """Return the names of the bonds there that are followed."""
        return frozenset(key.rpartition("@")[2] for key in self.keys(nsid))

    def leave(self, key: str, nsid: int) -> None:
        """Forget an attachment, and its namespace with the last one."""
        space = self._spaces.get(nsid)
        if space:
            space.keys.discard(key)
            if not space.keys:
                del self._spaces[nsid]

    def forget(self, nsid: int) -> set[str]:
        """Forget a namespace that is gone; return the keys of those that were there."""
        space = self._spaces.pop(nsid, None)
        return space.keys if space else set()

    def clear(self) -> None:
        """Forget all of them."""
        self._spaces.clear()

    def has(self, key: str, nsid: int) -> bool:
        """Tell whether the attachment is known to be there."""
        return nsid in self._spaces and key in self._spaces[nsid].keys

    def links(self, nsid: int) -> Mapping[int, Heard] | None:
        """Return the links there; None where nothing is known of it."""
        return self._spaces[nsid].links if nsid in self._spaces else None

    def change(self, nsid: int, event: LinkEvent) -> tuple[str, ...]:
        """Take an event into the mirror; return the keys of the attachments that it concerns."""
        space = self._spaces.get(nsid)
        if space is None:
            return ()
        is_known = space.links.pop(event.link.index, None) is not None
        if event.link.matters and not event.is_gone:
            space.links[event.link.index] = event.link
        return tuple(space.keys) if is_known or event.link.matters else ()
