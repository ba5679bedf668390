"""The kinds of scalar in a document: each is read from its text, and written as nmstate does."""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_interface, ip_network
from typing import Final, Protocol

from sriovbond import hostname

_TRUE: Final = frozenset({"1", "true", "yes", "on", "y"})
_FALSE: Final = frozenset({"0", "false", "no", "off", "n"})
_MAC: Final = re.compile(r"[0-9a-f]{2}([:-][0-9a-f]{2}){5}", re.IGNORECASE)
NAME_BYTES: Final = 15  # IFNAMSIZ less its NUL, include/uapi/linux/if.h
_ALTNAME_BYTES: Final = 127  # ALTIFNAMSIZ less its NUL
_TOKEN_BITS: Final = 64
NO_MAC: Final = "00:00:00:00:00:00"
NO_INTERFACE_ID: Final = "::"
_NO_HOST_BITS: Final = 1  # of a network of two addresses, which are both hosts' (RFC 3021, 6164)
_DOMAIN: Final = re.compile(r"[!-~]{1,255}")
UINT32: Final = 2**32 - 1
UINT64: Final = 2**64 - 1


class Scalar(Protocol):
    """What every kind of scalar can do."""

    def read(self, text: str) -> object:
        """Return the value of a text. Raises ValueError with words for people."""
        ...

    def write(self, value: object) -> object:
        """Return what JSON and YAML have for it."""
        ...


class _Plain:
    """A kind whose values are written as they are."""

    __slots__ = ()

    def write(self, value: object) -> object:
        """Return the value itself."""
        return value


@dataclass(frozen=True, slots=True)
class Truth(_Plain):
    """True or false, also as nmstate's words for it."""

    def read(self, text: str) -> object:
        """Take true, yes, on, y, 1 and their opposites."""
        word = text.strip().lower()
        if word not in _TRUE | _FALSE:
            raise ValueError("true or false is expected")
        return word in _TRUE


@dataclass(frozen=True, slots=True)
class Whole(_Plain):
    """A whole number of a range, also hexadecimal."""

    least: int = 0
    most: int = UINT32

    def read(self, text: str) -> object:
        """Take 100 or 0x64."""
        try:
            number = int(text.strip(), 16 if "x" in text.lower() else 10)
        except ValueError:
            raise ValueError(f"{self._words()} is expected") from None
        if not self.least <= number <= self.most:
            raise ValueError(f"{self._words()} is expected")
        return number

    def _words(self) -> str:
        return f"a number from {self.least} to {self.most}"


@dataclass(frozen=True, slots=True)
class Ticks(Whole):
    """A time in hundredths of a second, which the kernel keeps in ticks of its own clock.

    Of that it reports as many as were written, or one less (clock_t_to_jiffies() with HZ 250), up
    to what it can multiply by nanoseconds (jiffies_64_to_clock_t()).
    """

    most: int = UINT64 // 10_000_000

    @staticmethod
    def is_kept(wish: object, now: object) -> bool:
        """Return whether the kernel reports the one where the other was written."""
        return isinstance(wish, int) and isinstance(now, int) and wish - now in {0, 1}


@dataclass(frozen=True, slots=True)
class Hex(Whole):
    """A mask or mark: written in hexadecimal, as nmstate does."""

    def write(self, value: object) -> object:
        """Return 0x30."""
        return f"{value:#x}"


@dataclass(frozen=True, slots=True)
class Word(_Plain):
    """One of some words; `also` has other spellings of them."""

    words: tuple[str, ...]
    also: tuple[tuple[str, str], ...] = ()

    def read(self, text: str) -> object:
        """Take a word in any case."""
        word = dict(self.also).get(text.strip().lower(), text.strip().lower())
        if word not in self.words:
            raise ValueError(f"one of {', '.join(self.words)} is expected")
        return word


@dataclass(frozen=True, slots=True)
class Text(_Plain):
    """Any text."""

    def read(self, text: str) -> object:
        """Take it as it is."""
        return text


@dataclass(frozen=True, slots=True)
class LinkName(_Plain):
    """The name of an interface, or sriov:PF:N for a VF; empty where `may_be_empty`."""

    may_be_empty: bool = False
    most: int = NAME_BYTES

    def read(self, text: str) -> object:
        """Take what the kernel takes: at most 15 bytes of a name, no slash, no space."""
        if text.startswith("sriov:"):
            return _vf_name(text)
        size = len(text.encode())
        if not (0 < size <= self.most or (not text and self.may_be_empty)):
            raise ValueError(f"an interface name of 1 to {self.most} bytes is expected")
        if text in {".", ".."} or any(letter in "/:" or letter.isspace() for letter in text):
            raise ValueError("an interface name without slash, colon and space is expected")
        return text


@dataclass(frozen=True, slots=True)
class KnownName(LinkName):
    """A name that may be an altname of the node's: these are longer."""

    most: int = _ALTNAME_BYTES


def _vf_name(text: str) -> str:
    parts = text.split(":")
    if len(parts) != 3 or not parts[1] or not parts[2].isdecimal():  # noqa: PLR2004 - its form
        raise ValueError("a VF is written sriov:PF:NUMBER")
    return text


@dataclass(frozen=True, slots=True)
class Hardware(_Plain):
    """A MAC address; in upper case, as nmstate writes it."""

    def read(self, text: str) -> object:
        """Take six bytes in hexadecimal."""
        if not _MAC.fullmatch(text.strip()):
            raise ValueError("a MAC address such as 02:00:00:00:00:01 is expected")
        return text.strip().upper().replace("-", ":")


@dataclass(frozen=True, slots=True)
class Ip(_Plain):
    """An address of one family, or of either (0)."""

    family: int = 0

    def read(self, text: str) -> object:
        """Take it in any spelling, return the shortest."""
        name = f"IPv{self.family}" if self.family else "IP"
        try:
            address = ip_address(text.strip())
        except ValueError:
            raise ValueError(f"an {name} address is expected") from None
        if (self.family and address.version != self.family) or "%" in text:
            raise ValueError(f"an {name} address is expected")
        return str(address)


@dataclass(frozen=True, slots=True)
class Gateway(_Plain):
    """The address of a gateway, of a link-local one with or without its interface."""

    def read(self, text: str) -> object:
        """Take 192.0.2.1 or fe80::1%eth0; empty, 0.0.0.0 and :: mean none, read as empty."""
        address, percent, link = text.strip().partition("%")
        gateway = Ip().read(address) if address else "::"
        if percent and not (link and is_link_local(str(gateway))):
            raise ValueError("only fe80 addresses have an interface: fe80::1%eth0")
        is_none = ip_address(str(gateway)).is_unspecified
        return "" if is_none else f"{gateway}{percent}{link}"


@dataclass(frozen=True, slots=True)
class Network(_Plain):
    """A network; an address alone is the network of itself; empty means any."""

    def read(self, text: str) -> object:
        """Take 192.0.2.0/24, return it without host bits."""
        if not text:
            return ""
        try:
            network = ip_network(text.strip(), strict=False)
        except ValueError:
            raise ValueError("a network such as 192.0.2.0/24 is expected") from None
        if "%" in text:
            raise ValueError("a network such as fe80::/64 has no interface")
        return str(network)


@dataclass(frozen=True, slots=True)
class NameServer(_Plain):
    """A DNS server, of a link-local one with its interface."""

    def read(self, text: str) -> object:
        """Take 192.0.2.1, 2001:db8::1 or fe80::1%eth0."""
        address, percent, link = text.strip().partition("%")
        try:
            server = ip_address(address)
        except ValueError:
            raise ValueError("the address of a DNS server is expected") from None
        if percent and not (isinstance(server, IPv6Address) and server.is_link_local and link):
            raise ValueError("only fe80 addresses have an interface: fe80::1%eth0")
        return f"{server}{percent}{link}"


@dataclass(frozen=True, slots=True)
class Domain(_Plain):
    """A domain in which names are looked up."""

    def read(self, text: str) -> object:
        """Take example.com; resolv.conf has spaces between domains."""
        if not _DOMAIN.fullmatch(text.strip()):
            raise ValueError("a domain such as example.com is expected")
        return text.strip()


@dataclass(frozen=True, slots=True)
class NodeName(_Plain):
    """The name of a host; empty where `may_be_empty`."""

    may_be_empty: bool = False

    def read(self, text: str) -> object:
        """Take node1.example.org."""
        name = text.strip()
        if not (hostname.is_possible(name) or (not name and self.may_be_empty)):
            raise ValueError(f"the name of a host, of at most {hostname.MOST} bytes, is expected")
        return name


@dataclass(frozen=True, slots=True)
class Token(_Plain):
    """The lower half of an IPv6 address; empty and :: mean none."""

    def read(self, text: str) -> object:
        """Take ::1."""
        try:
            address = IPv6Address(text.strip() or NO_INTERFACE_ID)
        except ValueError:
            raise ValueError("an IPv6 token such as ::1 is expected") from None
        if int(address) >> _TOKEN_BITS:
            raise ValueError("the upper 64 bits of a token must be zero")
        return str(address)


_NO_VALUE: Final = (
    "debug", "edns0", "inet6", "ip6-bytestring", "ip6-dotint", "no-aaaa", "no-check-names",
    "no-ip6-dotint", "no-reload", "no-tld-query", "rotate", "single-request",
    "single-request-reopen", "trust-ad", "use-vc",
)  # fmt: skip
_WITH_VALUE: Final = ("ndots", "timeout", "attempts")


_OPTION: Final = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True, slots=True)
class ResolverOption(_Plain):
    """An option of resolv.conf(5), or one of a library's own that a node has."""

    def read(self, text: str) -> object:
        """Take rotate, or ndots:2."""
        word = text.strip()
        name = word.partition(":")[0]
        is_misspelt = name in {*_NO_VALUE, *_WITH_VALUE} and not is_resolver_option(word)
        if is_misspelt or not _OPTION.fullmatch(word):
            raise ValueError(f"one of {RESOLVER_OPTIONS} is expected")
        return word


RESOLVER_OPTIONS: Final = ", ".join((*_NO_VALUE, *(f"{name}:N" for name in _WITH_VALUE)))
"""The options of resolv.conf(5), in words."""


def is_resolver_option(word: str) -> bool:
    """Return whether resolv.conf(5) has an option, and it is written as it should be."""
    name, colon, number = word.partition(":")
    return word in _NO_VALUE or bool(colon and name in _WITH_VALUE and number.isdecimal())


def family_of(text: str) -> int:
    """Return 4 or 6 for an address or network."""
    return 6 if ":" in text else 4


def network_fault(text: str) -> str:
    """Return why no host can have an address with its prefix, empty where one can."""
    interface = ip_interface(text)
    network = interface.network
    if interface.max_prefixlen - network.prefixlen <= _NO_HOST_BITS:
        return ""
    if interface.ip == network.network_address:
        return "the network's own address"
    is_broadcast = interface.version == 4 and interface.ip == network.broadcast_address  # noqa: PLR2004
    return "the network's broadcast" if is_broadcast else ""


def is_link_local(address: str) -> bool:
    """Return whether the address is one of fe80::/10, which each IPv6 link makes for itself."""
    parsed = ip_interface(address).ip
    return isinstance(parsed, IPv6Address) and parsed.is_link_local
