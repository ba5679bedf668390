"""The bonds that are watched, and which of them miss a member."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from sriovbond.agent.watch.mirror import Spaces
from sriovbond.backoff import lengthen
from sriovbond.bond.plan import BondPlan
from sriovbond.happenings.following import Heard
from sriovbond.happenings.happening import WatchedBond
from sriovbond.subject import Subject

COMING_BACK_S: Final = 0.5  # udev may rename a link that appears


@dataclass(slots=True)
class WatchedAttachment:
    """A bond that is watched; `bond` is as last reported, `refused` why repairs were refused.

    `announcements` are those still to be made, `taken` the devices that were taken out of the
    pod, `sent_home` those that a failed repair did, which the kernel has yet to report; `wait_s`
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
        """The devices of members that are missing, unless they were taken out of the pod."""
        gone = {member.device for member in self.bond.members if not member.is_in_bond}
        return frozenset(gone - self.taken - {""})

    def note_lost(self, at: float) -> None:
        """Take it that what is lost by now, and was not before, has stirred at that time."""
        self.stirred = {device: self.stirred.get(device, at) for device in self.lost}

    def note_stirred(self, device: str, at: float) -> None:
        """Take it that something happened to a lost device.

        Before 5.14 events have no device: then to all.
        """
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
        """Take it that a repair sent these home; the kernel may have reported them already."""
        self.sent_home = devices - self.taken
        self.taken -= devices

    def note_refused(self, refused: frozenset[str], longest_s: float) -> None:
        """Take it that an examination refused this, and have the next one wait longer if it did."""
        self.refused = refused
        self.wait_s = lengthen(self.wait_s if refused else 0.0, COMING_BACK_S, longest_s)


class Watched:
    """Attachments by key, of one thread; `spaces` are the namespaces that they are in.

    Times are the monotonic clock's.
    """

    def __init__(self, spaces: Spaces) -> None:
        self.spaces: Final = spaces
        self._attachments: Final[dict[str, WatchedAttachment]] = {}
        self._lacking: Final[dict[str, None]] = {}  # few of hundreds, in order

    def __contains__(self, key: object) -> bool:
        return key in self._attachments

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._attachments))

    def __getitem__(self, key: str) -> WatchedAttachment:
        return self._attachments[key]

    def get(self, key: str) -> WatchedAttachment | None:
        """Return the attachment, None where it is not watched."""
        return self._attachments.get(key)

    def bonds(self) -> Sequence[WatchedBond]:
        """Return the bonds as they were last seen; any thread may ask."""
        return [attachment.bond for attachment in list(self._attachments.values())]

    def add(self, key: str, attachment: WatchedAttachment, at: float) -> None:
        """Watch it from now on."""
        self._attachments[key] = attachment
        self.note_lack(key, at)

    def remove(self, key: str) -> None:
        """Watch it no more."""
        attachment = self._attachments.pop(key, None)
        if attachment:
            self.spaces.leave(key, attachment.nsid)
        self._lacking.pop(key, None)

    def is_heard(self, key: str) -> bool:
        """Tell whether the links of its namespace are known, too."""
        attachment = self._attachments.get(key)
        return attachment is not None and self.spaces.has(key, attachment.nsid)

    @property
    def lacking(self) -> tuple[str, ...]:
        """The keys of those that miss a member."""
        return tuple(self._lacking)

    def note_lack(self, key: str, at: float) -> None:
        """Take note of what the attachment misses by now."""
        attachment = self._attachments.get(key)
        if attachment:
            attachment.note_lost(at)
        if attachment and attachment.lost:
            self._lacking.setdefault(key)
        else:
            self._lacking.pop(key, None)

    def note_back(self, link: Heard, at: float) -> list[str]:
        """Return the keys of those that miss this link of the host, to which something happened."""
        lost = {device: key for key in self._lacking for device in self._attachments[key].lost}
        keys = {lost[link.device]} if link.device in lost else set()
        if not (link.device or link.kind):  # before 5.14 events have no device
            keys = set(lost.values())
        for key in keys:
            self._attachments[key].note_stirred(link.device, at)
        return sorted(keys)
