"""A lease as a server gave it: what of its answer is used, and when it ends. No I/O."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from sriovbond.dhcp import values
from sriovbond.dhcp.packet import DhcpMessage, DhcpOption, MalformedError

DEFAULT: Final = "0.0.0.0/0"
ON_LINK: Final = "0.0.0.0"  # noqa: S104 - no bind
FOREVER_S: Final = 2**32 - 1
_LEAST_S: Final = 10
_LEAST_RENEWAL_S: Final = 60
_LEAST_MTU: Final = 576
_RENEWAL, _REBINDING = 0.5, 0.875  # shares of a lease (RFC 2131, 4.4.5)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DhcpLease:
    """A lease; times in seconds from when it was requested.

    `routes` are network and gateway, the default route among them; `began_s` is of the clock that
    counts since the boot, `boot` its id, `wall_s` the time of day then. `malformed` says what of
    the server's answer was ignored.
    """

    address: str
    prefix: int
    server: str
    lease_s: int
    renewal_s: int
    rebinding_s: int
    began_s: float
    boot: str
    wall_s: float
    routes: tuple[tuple[str, str], ...] = ()
    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    mtu: int = 0
    malformed: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The address with its prefix."""
        return f"{self.address}/{self.prefix}"

    def left_s(self, now_s: float) -> float:
        """Return the seconds until it ends, not above 0 where it has ended."""
        return FOREVER_S if self.lease_s == FOREVER_S else self.began_s + self.lease_s - now_s

    def of_boot(self, boot: str, now_s: float, wall_s: float) -> "DhcpLease":
        """Return it by the clock of this boot; one whose age is not known has ended."""
        if boot == self.boot:
            return self
        age_s = wall_s - self.wall_s
        began_s = now_s - (age_s if age_s >= 0 else self.lease_s)
        return replace(self, began_s=began_s, boot=boot)


@dataclass(frozen=True, slots=True)
class Moment:
    """When a lease was requested: by the boot's clock, its id, and the time of day."""

    now_s: float
    boot: str
    wall_s: float


def read(message: DhcpMessage, moment: Moment) -> DhcpLease:
    """Return the lease of an offer or an acknowledgement; what of it is malformed is left out.

    Raises MalformedError where address, server or time is missing or malformed.
    """
    options = message.options
    address = values.address(message.given)
    lease_s = _lease_s(options.get(DhcpOption.LEASE_TIME, b""))
    renewal_s, rebinding_s = _times(options.get, lease_s)
    parts = _Parts(options)
    routers = parts.read(DhcpOption.ROUTER, values.addresses) or ()
    routes = parts.read(DhcpOption.ROUTES, values.routes)
    domain = parts.read(DhcpOption.DOMAIN, values.domain)
    prefix = parts.read(DhcpOption.MASK, values.prefix) or values.class_prefix(address)
    return DhcpLease(
        address=values.host(address, prefix),
        prefix=prefix,
        server=values.address(options.get(DhcpOption.SERVER, b"")),
        lease_s=lease_s,
        renewal_s=renewal_s,
        rebinding_s=rebinding_s,
        began_s=moment.now_s,
        boot=moment.boot,
        wall_s=moment.wall_s,
        routes=_reachable(routes or [(DEFAULT, router) for router in routers[:1]], address),
        servers=parts.read(DhcpOption.SERVERS, values.addresses) or (),
        search=parts.read(DhcpOption.SEARCH, values.domains) or ((domain,) if domain else ()),
        mtu=parts.read(DhcpOption.MTU, _mtu) or 0,
        malformed=tuple(parts.malformed),
    )


class _Parts:
    """The options that a lease can be without: one that is malformed is none."""

    def __init__(self, options: Mapping[int, bytes]) -> None:
        self._options = options
        self.malformed: list[str] = []

    def read(self, option: DhcpOption, reading: Callable[[bytes], T]) -> T | None:
        """Return an option's value, None where it is missing or malformed."""
        try:
            return reading(self._options[option]) if option in self._options else None
        except MalformedError as error:
            text = f"option {option.value}: {error}"
            self.malformed.append(values.words(text.encode("ascii", "replace")))
            return None


def _lease_s(value: bytes) -> int:
    lease_s = values.number(value, 4)
    if lease_s < _LEAST_S:
        raise MalformedError(f"a lease of {lease_s} s, the least is {_LEAST_S} s")
    return lease_s


def _times(option: Callable[[int, bytes], bytes], lease_s: int) -> tuple[int, int]:
    """Return when it is renewed, and when rebound; by default where a server's make no sense."""
    times = []
    for number, share in (
        (DhcpOption.RENEWAL_TIME, _RENEWAL),
        (DhcpOption.REBINDING_TIME, _REBINDING),
    ):
        value = option(number, b"")
        given = int.from_bytes(value, "big") if len(value) == 4 else 0  # noqa: PLR2004 - bytes
        times.append(given or int(lease_s * share))
    renewal_s, rebinding_s = times
    least_s = min(int(lease_s * _RENEWAL), _LEAST_RENEWAL_S)
    if not least_s <= renewal_s < rebinding_s < lease_s:
        return int(lease_s * _RENEWAL), int(lease_s * _REBINDING)
    return renewal_s, rebinding_s


def _mtu(value: bytes) -> int:
    mtu = values.number(value, 2)
    if mtu < _LEAST_MTU:
        raise MalformedError(f"an MTU of {mtu}, the least is {_LEAST_MTU}")
    return mtu


def _reachable(routes: Iterable[tuple[str, str]], own: str) -> tuple[tuple[str, str], ...]:
    """Return the routes; one by the address itself is over the link, without a gateway."""
    return tuple((network, ON_LINK if gateway == own else gateway) for network, gateway in routes)
