"""The states of a client (RFC 2131, figure 5): what it sends, and when. No I/O, no clock."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface
from typing import Final

from sriovbond.backoff import lengthen
from sriovbond.dhcp import lease as leases
from sriovbond.dhcp import values
from sriovbond.dhcp.lease import DhcpLease, Moment
from sriovbond.dhcp.packet import DhcpMessage, DhcpOption, MalformedError, MessageKind

_FIRST_S, _MOST_S = 1.0, 64.0
_ADDRESS_BYTES: Final = 4
_MOST_DOUBLINGS: Final = 6
_SPREAD: Final = 0.1
_MOST_REQUESTS: Final = 4
_MOST_REBOOTS: Final = 3
_RENEWAL_PAUSE_S: Final = 60.0  # RFC 2131, 4.4.5
_LOYAL_S: Final = 60.0
"""How long a lease's own server may be silent before another network's address is taken."""
_SHORT_LEASE_S: Final = 600
_PACKET_BYTES: Final = 1400
_PARAMETERS: Final = bytes(
    (
        DhcpOption.ROUTES,  # before ROUTER (RFC 3442)
        DhcpOption.MASK,
        DhcpOption.ROUTER,
        DhcpOption.SERVERS,
        DhcpOption.DOMAIN,
        DhcpOption.SEARCH,
        DhcpOption.MTU,
        DhcpOption.LEASE_TIME,
        DhcpOption.RENEWAL_TIME,
        DhcpOption.REBINDING_TIME,
    )
)


class DhcpStage(StrEnum):
    """Where a client is."""

    PAUSING = "pausing"
    SELECTING = "selecting"
    REQUESTING = "requesting"
    REBOOTING = "rebooting"
    BOUND = "bound"
    RENEWING = "renewing"
    REBINDING = "rebinding"


_HOLDING: Final = frozenset({DhcpStage.BOUND, DhcpStage.RENEWING, DhcpStage.REBINDING})
"""Stages in which a lease is in use that a server has confirmed."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The client: its id, which stays, the host's name or none, the address that it had before."""

    client_id: bytes
    hostname: str = ""
    former: str = ""


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message, to one server where `to` is its address, else to all."""

    message: DhcpMessage
    to: str = ""


@dataclass(frozen=True, slots=True)
class Bind:
    """Use a lease, or use it for longer; `is_confirmed` where a server has just said so."""

    lease: DhcpLease
    is_confirmed: bool = True


@dataclass(frozen=True, slots=True)
class Unbind:
    """End the use of the lease."""

    why: str


Action = Send | Bind | Unbind


@dataclass(slots=True)
class Tally:
    """What was sent and came since the last lease."""

    sent: int = 0
    offers: int = 0
    refusals: int = 0
    malformed: int = 0


class Machine:
    """A client's states; each method returns what is to be done, in its order."""

    def __init__(self, identity: Identity, mac: bytes, lease: DhcpLease | None = None) -> None:
        self.mac = mac
        self.stage = DhcpStage.PAUSING
        self.lease = lease
        self.wake_s = 0.0
        self.is_confirmed = False
        self.counts: Final = Tally()
        self._identity = identity
        self._is_used = False
        self._refusal = ""
        self._offer: DhcpLease | None = None
        self._began_s = 0.0
        self._sent_s = 0.0
        self._sought_s = 0.0
        self._xid = 0
        self._tries = 0
        self._pause_s = 0.0

    def begin(self, moment: Moment) -> list[Action]:
        """Ask for the lease of before where it has not ended, else for any.

        So at the start, and when a carrier is back: the network may be another one. A lease that
        was in use stays so meanwhile: the kernel has dropped its routes with the link.
        """
        lease = self.lease if self.lease and self.lease.left_s(moment.now_s) > 0 else None
        self._pause_s, self._sought_s = 0.0, moment.now_s
        self._enter(DhcpStage.REBOOTING if lease else DhcpStage.SELECTING, moment)
        again = [Bind(lease, is_confirmed=False)] if lease and self._is_used else []
        return [*again, *self._repeat(moment)]

    def wake(self, moment: Moment) -> list[Action]:
        """Do what is due by now."""
        if self.lease and self.lease.left_s(moment.now_s) <= 0:
            self._enter(DhcpStage.SELECTING, moment)
            unbind = self._unbind("it has ended", self.lease.address)
            return [unbind, *self._repeat(moment)]
        if moment.now_s < self.wake_s:
            return []
        return _DUE[self.stage](self, moment)

    def hear(self, message: DhcpMessage, moment: Moment) -> list[Action]:
        """Take a server's message; those of other exchanges are ignored."""
        if not message.is_reply or (message.xid, message.mac) != (self._xid, self.mac):
            return []
        heed = _HEEDED.get((self.stage, message.kind))
        try:
            return heed(self, message, moment) if heed else []
        except MalformedError:
            self.counts.malformed += 1
            return []

    def _enter(self, stage: DhcpStage, moment: Moment) -> None:
        """Begin an exchange; an offer's request is part of that of the offer."""
        if stage is not DhcpStage.REQUESTING:
            self._offer = None
            self._xid = random.SystemRandom().getrandbits(32)
            self._began_s = moment.now_s
        self.stage = stage
        self._tries = 0
        self._refusal = ""

    def _repeat(self, moment: Moment) -> list[Action]:
        """Send the stage's message, once more with a longer pause behind it."""
        self._tries += 1
        self.counts.sent += 1
        if self._tries == 1 and self.stage is not DhcpStage.SELECTING:
            self._pause_s = 0.0
        self._pause_s = lengthen(self._pause_s, _FIRST_S, _MOST_S)
        spread = random.uniform(1 - _SPREAD, 1 + _SPREAD)  # noqa: S311 - against clients in step
        self.wake_s = moment.now_s + self._pause_s * spread
        self._sent_s = moment.now_s
        return [self._message(self.stage, moment), *self._renewal(moment)]

    def _renewal(self, moment: Moment) -> list[Action]:
        """Return what renews a lease whose time for that has come while any server is sought."""
        lease = self.lease if self.stage is DhcpStage.SELECTING else None
        if lease is None or not lease.renewal_s <= moment.now_s - lease.began_s < lease.lease_s:
            return []
        is_late = moment.now_s >= lease.began_s + lease.rebinding_s
        stage = DhcpStage.REBINDING if is_late else DhcpStage.RENEWING
        return [self._message(stage, moment)]

    def _message(self, stage: DhcpStage, moment: Moment) -> Send:
        is_request = stage is not DhcpStage.SELECTING
        kind = MessageKind.REQUEST if is_request else MessageKind.DISCOVER
        options = {
            int(DhcpOption.KIND): bytes([kind]),
            int(DhcpOption.CLIENT_ID): self._identity.client_id,
        }
        lease, own, to = self.lease, bytes(4), ""
        requested = lease.address if lease else self._identity.former
        if stage is DhcpStage.REQUESTING and self._offer:
            requested = self._offer.address
            options[DhcpOption.SERVER] = IPv4Address(self._offer.server).packed
        if stage in _HOLDING and lease:
            own, requested = IPv4Address(lease.address).packed, ""
            to = lease.server if stage is DhcpStage.RENEWING else ""
        if requested:
            options[DhcpOption.REQUESTED] = IPv4Address(requested).packed
        options[DhcpOption.MOST_BYTES] = _PACKET_BYTES.to_bytes(2, "big")
        options[DhcpOption.PARAMETERS] = _PARAMETERS
        if self._identity.hostname:
            options[DhcpOption.HOSTNAME] = self._identity.hostname.encode()
        seconds = int(moment.now_s - self._began_s)
        return Send(DhcpMessage(self._xid, self.mac, options, seconds, own), to)

    def _pause(self, moment: Moment) -> None:
        """Wait before the next exchange: longer with each refusal, so that they make no storm."""
        self.stage = DhcpStage.PAUSING
        doublings = min(max(0, self.counts.refusals - 1), _MOST_DOUBLINGS)
        self.wake_s = moment.now_s + _FIRST_S * 2**doublings

    def _unbind(self, why: str, former: str = "") -> Unbind:
        self.lease, self._is_used, self._refusal = None, False, ""
        self._identity = replace(self._identity, former=former)
        return Unbind(why)

    def _bind(self, lease: DhcpLease, *, is_confirmed: bool = True) -> list[Action]:
        self.stage, self.lease, self._offer, self._pause_s = DhcpStage.BOUND, lease, None, 0.0
        self.wake_s = lease.began_s + lease.renewal_s
        self.is_confirmed, self._is_used = is_confirmed, True
        if is_confirmed:
            self.counts.sent = self.counts.offers = self.counts.refusals = 0
        return [Bind(lease, is_confirmed=is_confirmed)]

    def _discover(self, moment: Moment) -> list[Action]:
        self._enter(DhcpStage.SELECTING, moment)
        return self._repeat(moment)

    def _request_again(self, moment: Moment) -> list[Action]:
        if self._tries >= _MOST_REQUESTS:
            self._pause(moment)
            return []
        return self._repeat(moment)

    def _reboot_again(self, moment: Moment) -> list[Action]:
        """Ask again; without an answer the lease is used until it ends (RFC 2131, 3.2).

        Meanwhile it begins anew with any server: one without a record of it must be silent.
        """
        if self._tries >= _MOST_REBOOTS and self._refusal:
            return self._refused(self._refusal, moment)
        if self._tries >= _MOST_REBOOTS and self.lease:
            bind = self._bind(self.lease, is_confirmed=False)
            return [*bind, *self._discover(moment)]
        return self._repeat(moment)

    def _renew(self, moment: Moment) -> list[Action]:
        self._enter(DhcpStage.RENEWING, moment)
        return self._ask_holding(moment)

    def _ask_holding(self, moment: Moment) -> list[Action]:
        """Ask for more time: the server until the second term, then any, until the lease ends."""
        lease = self.lease
        if lease is None:
            return self._discover(moment)
        if self._refusal:
            return self._refused(self._refusal, moment)
        rebinding_s = lease.began_s + lease.rebinding_s
        if self.stage is DhcpStage.RENEWING and moment.now_s >= rebinding_s:
            self._enter(DhcpStage.REBINDING, moment)
        self.counts.sent += 1
        self._sent_s = moment.now_s
        left_s = lease.left_s(moment.now_s)
        term_s = rebinding_s - moment.now_s if self.stage is DhcpStage.RENEWING else left_s
        is_short = lease.lease_s < _SHORT_LEASE_S
        least_s = _FIRST_S if is_short else _RENEWAL_PAUSE_S
        self.wake_s = moment.now_s + min(max(term_s / 2, least_s), max(term_s, _FIRST_S))
        return [self._message(self.stage, moment)]

    def _take_offer(self, message: DhcpMessage, moment: Moment) -> list[Action]:
        offer = leases.read(message, moment)
        self.counts.offers += 1
        if not self._is_wanted(offer, moment):
            return []
        self._offer = offer
        self._enter(DhcpStage.REQUESTING, moment)
        return self._repeat(moment)

    def _is_wanted(self, offer: DhcpLease, moment: Moment) -> bool:
        """Return whether an offer is worth the lease that is in use.

        Another address is so from the lease's server, when the lease is nearly over, and from
        another network when its server has been silent for a minute: the node may be there now.
        """
        lease = self.lease
        if lease is None or lease.server == offer.server or lease.address == offer.address:
            return True
        if moment.now_s >= lease.began_s + lease.rebinding_s:
            return True
        is_there = IPv4Address(offer.address) in IPv4Interface(lease.text).network
        return not is_there and moment.now_s - self._sought_s >= _LOYAL_S

    def _take_lease(self, message: DhcpMessage, moment: Moment) -> list[Action]:
        """Take a lease from the server that the request went to, also with another address.

        To a request by broadcast any server may agree, with no other address.
        """
        lease = leases.read(message, replace(moment, now_s=self._sent_s))
        asked, is_all = self._asked(moment)
        if asked is None:
            return []
        is_own = lease.server == asked.server
        if not is_own and not (is_all and lease.address == asked.address):
            return []
        former = self.lease
        if former is None or former.address == lease.address:
            return self._bind(lease)
        unbind = self._unbind(f"{lease.server} gives {lease.address} rather than {former.address}")
        return [unbind, *self._bind(lease)]

    def _asked(self, moment: Moment) -> tuple[DhcpLease | None, bool]:
        """Return the lease or offer that is requested, and whether of any server."""
        if self.stage is DhcpStage.REQUESTING:
            return self._offer, False
        lease = self.lease
        is_late = lease is not None and moment.now_s >= lease.began_s + lease.rebinding_s
        is_seeking = self.stage is DhcpStage.SELECTING and is_late
        return lease, is_seeking or self.stage in {DhcpStage.REBOOTING, DhcpStage.REBINDING}

    def _take_refusal(self, message: DhcpMessage, moment: Moment) -> list[Action]:
        """End what the lease's server refuses; a refusal by another one waits for its answer.

        Many a server refuses whatever it does not know: one that strayed into the network would
        end all leases there.
        """
        self.counts.refusals += 1
        asked, is_all = self._asked(moment)
        server = message.options.get(DhcpOption.SERVER, b"")
        why = _refusal(message)
        if asked and server == IPv4Address(asked.server).packed:
            return self._refused(why, moment)
        self._refusal = why if is_all and self.stage is not DhcpStage.SELECTING else ""
        return []

    def _refused(self, why: str, moment: Moment) -> list[Action]:
        """End the lease that was refused, or only the offer, where another lease is in use."""
        lease, offer = self.lease, self._offer
        self._offer = None
        is_lost = lease is not None and (
            offer is None or (offer.address, offer.server) == (lease.address, lease.server)
        )
        unbind = [self._unbind(why)] if is_lost else []
        self._pause(moment)
        return [*unbind]


def _refusal(message: DhcpMessage) -> str:
    """Return who refuses, and why."""
    server = message.options.get(DhcpOption.SERVER, b"")
    who = str(IPv4Address(server)) if len(server) == _ADDRESS_BYTES else "a server"
    words = values.words(message.options.get(DhcpOption.TEXT, b""))
    return f"{who} refuses it{': ' if words else ''}{words}"


_DUE: Final[Mapping[DhcpStage, Callable[[Machine, Moment], list[Action]]]] = {
    DhcpStage.PAUSING: Machine._discover,  # noqa: SLF001 - the table of this class
    DhcpStage.SELECTING: Machine._repeat,  # noqa: SLF001
    DhcpStage.REQUESTING: Machine._request_again,  # noqa: SLF001
    DhcpStage.REBOOTING: Machine._reboot_again,  # noqa: SLF001
    DhcpStage.BOUND: Machine._renew,  # noqa: SLF001
    DhcpStage.RENEWING: Machine._ask_holding,  # noqa: SLF001
    DhcpStage.REBINDING: Machine._ask_holding,  # noqa: SLF001
}
_ASKING: Final = (
    DhcpStage.SELECTING,
    DhcpStage.REQUESTING,
    DhcpStage.REBOOTING,
    DhcpStage.RENEWING,
    DhcpStage.REBINDING,
)
_HEEDED: Final[
    Mapping[tuple[DhcpStage, int], Callable[[Machine, DhcpMessage, Moment], list[Action]]]
] = {
    (DhcpStage.SELECTING, MessageKind.OFFER): Machine._take_offer,  # noqa: SLF001
    **{(stage, MessageKind.ACK): Machine._take_lease for stage in _ASKING},  # noqa: SLF001
    **{(stage, MessageKind.NAK): Machine._take_refusal for stage in _ASKING},  # noqa: SLF001
}
