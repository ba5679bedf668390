"""The watched bonds, and which of them have missing members."""

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
    """A watched bond; `bond` is as last reported, `refused` why repairs were refused.

    `refused_devices` are of the members concerned; `put_off` is why repairs wait: what another
    operator does to the node's VFs. `plan` is only the outline of the record's; `announcements` is
    the number still to be made; `taken` the devices that were taken out of the pod; `sent_home`
    those returned by a failed repair, which the kernel has yet to report; `wait_s` the pause before
    a repair, growing with each refusal; `stirred` the time of the last event of each lost device,
    by the monotonic clock.
    """

    subject: Subject
    plan: BondPlan
    nsid: int
    bond: WatchedBond
    is_settled: bool = False
    refused: frozenset[str] = frozenset()
    refused_devices: frozenset[str] = frozenset()
    put_off: frozenset[str] = frozenset()
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
        """Record devices that are lost since the last call, with that time.

        The long pause of a member that was refused is not that of another one.
        """
        if self.lost - self.stirred.keys() - self.refused_devices:
            self.wait_s = COMING_BACK_S
        self.stirred = {device: self.stirred.get(device, at) for device in self.lost}

    def note_stirred(self, device: str, at: float) -> None:
        """Record an event of a lost device.

        Before 5.14 events have no device: then of all.
        """
        self.stirred |= dict.fromkeys(self.lost & {device} if device else self.lost, at)

    def unrest_s(self, at: float, rest_s: float) -> dict[str, float]:
        """Return the lost devices that are not quiet yet, and the remaining time of each."""
        waits_s = {device: since + rest_s - at for device, since in self.stirred.items()}
        return {device: wait_s for device, wait_s in waits_s.items() if wait_s > 0}

    def is_at_rest(self, device: str, at: float, rest_s: float) -> bool:
        """Return whether the device is lost, and quiet for `rest_s`; thread-safe."""
        since = self.stirred.get(device, at)
        return device in self.lost and since + rest_s <= at

    def has_in_bond(self, devices: frozenset[str]) -> bool:
        """Return whether one of the devices is in the bond, as last reported."""
        return any(member.device in devices for member in self.bond.members if member.is_in_bond)

    def device_of(self, link: Heard) -> str:
        """Return the device of a link that was in the pod.

        Before 5.14 events have no device: then it is that of the member of the link's name.
        """
        if link.device or link.kind:
            return link.device
        members = (member for member in self.bond.members if member.name == link.name)
        return next((member.device for member in members), "")

    def note_moved(self, device: str) -> None:
        """Record that the device was taken out of the pod, unless a repair sent it home."""
        if device not in self.sent_home:
            self.taken |= {device}
        self.sent_home -= {device}

    def note_sent_home(self, devices: frozenset[str]) -> None:
        """Record that a repair sent these home; the kernel may have reported them already."""
        self.sent_home = devices - self.taken
        self.taken -= devices

    def note_refused(
        self, refused: frozenset[str], longest_s: float, devices: frozenset[str] = frozenset()
    ) -> None:
        """Record what an examination refused; lengthen the pause before the next if anything."""
        self.refused, self.refused_devices = refused, devices
        self.wait_s = lengthen(self.wait_s if refused else 0.0, COMING_BACK_S, longest_s)


class Watched:
    """Attachments by key, for one thread; `spaces` are their namespaces.

    Times are the monotonic clock's.
    """

    def __init__(self, spaces: Spaces) -> None:
        self.spaces: Final = spaces
        self._attachments: Final[dict[str, WatchedAttachment]] = {}
        self._lacking: Final[dict[str, None]] = {}  # few of hundreds, ordered

    def __contains__(self, key: object) -> bool:
        return key in self._attachments

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._attachments))

    def __getitem__(self, key: str) -> WatchedAttachment:
        return self._attachments[key]

    def get(self, key: str) -> WatchedAttachment | None:
        """Return the attachment, None if it is not watched."""
        return self._attachments.get(key)

    def bonds(self) -> Sequence[WatchedBond]:
        """Return the bonds as last read; thread-safe."""
        return [attachment.bond for attachment in list(self._attachments.values())]

    def add(self, key: str, attachment: WatchedAttachment, at: float) -> None:
        """Start watching it."""
        self._attachments[key] = attachment
        self.note_lack(key, at)

    def remove(self, key: str) -> None:
        """Stop watching it."""
        attachment = self._attachments.pop(key, None)
        if attachment:
            self.spaces.leave(key, attachment.nsid)
        self._lacking.pop(key, None)

    def is_heard(self, key: str) -> bool:
        """Return whether the links of its namespace are known, too."""
        attachment = self._attachments.get(key)
        return attachment is not None and self.spaces.has(key, attachment.nsid)

    @property
    def lacking(self) -> tuple[str, ...]:
        """The keys of attachments with missing members."""
        return tuple(self._lacking)

    def note_lack(self, key: str, at: float) -> None:
        """Update whether the attachment has missing members."""
        attachment = self._attachments.get(key)
        if attachment:
            attachment.note_lost(at)
        if attachment and attachment.lost:
            self._lacking.setdefault(key)
        else:
            self._lacking.pop(key, None)

    def note_back(self, link: Heard, at: float) -> list[str]:
        """Return the keys of attachments that miss this host link, which had an event."""
        lost = {device: key for key in self._lacking for device in self._attachments[key].lost}
        keys = {lost[link.device]} if link.device in lost else set()
        if not (link.device or link.kind):  # before 5.14 events have no device
            keys = set(lost.values())
        for key in keys:
            self._attachments[key].note_stirred(link.device, at)
        return sorted(keys)
