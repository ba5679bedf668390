"""The kinds of value a bonding option takes: each parses JSON and encodes netlink payloads.

The bytes are those of one netlink attribute's payload, in host order except for addresses.
"""

import difflib
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address
from typing import Any, Protocol, cast

OptionValue = int | str | tuple[str, ...]
"""A number, a name, a MAC or interface, or a list of addresses: the types that a record stores."""

INT_MAX = 2**31 - 1
MAX_TARGETS = 16  # BOND_MAX_ARP_TARGETS and BOND_MAX_NS_TARGETS, include/net/bonding.h

_WHOLE = re.compile(r"[+-]?0{0,20}(0|[1-9][0-9]{0,19})")
_NO_LETTER = re.compile(r"[^a-z0-9]")
_NEAR = 0.9  # of difflib's ratio
_MOST_LETTERS = 40
_BROADCAST = IPv4Address("255.255.255.255")
_ZERO_NET = IPv4Network("0.0.0.0/8")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.IGNORECASE)
_NLA_HEADER = struct.Struct("=HH")
_UNSIGNED = {1: struct.Struct("=B"), 2: struct.Struct("=H"), 4: struct.Struct("=I")}
_MAC_BYTES = 6
_SIGNED_32 = struct.Struct("=i")


def absolute(json_value: object) -> object:
    """Return an absolute path unchanged. Raises ValueError with a text for the operator."""
    if isinstance(json_value, str) and json_value.startswith("/"):
        return json_value
    raise ValueError(f"expected an absolute path, found {json_value!r}")


def in_words(fault: Any, expected: str = "") -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    """Return pydantic's error as a text like those of `parse`, with `expected` if given."""
    words = expected or str(fault["msg"]).removeprefix("Value error, ")
    return words if ", found " in words else f"{words}, found {fault['input']!r}"


class ValueKind(Protocol):
    """The interface of a kind; `parse` raises ValueError with a text for the operator."""

    def parse(self, json_value: object) -> OptionValue:
        """Parse a JSON value."""
        ...

    def encode(self, value: OptionValue) -> bytes:
        """Encode a value as the attribute's payload."""
        ...

    def decode(self, payload: bytes) -> OptionValue:
        """Decode a payload. Raises ValueError or struct.error for a malformed one."""
        ...

    def words(self) -> str:
        """Return the valid values as a text, for tables and errors."""
        ...


@dataclass(frozen=True, slots=True)
class Number:
    """An integer, also as text (bond-cni requires miimon as text)."""

    least: int
    most: int
    width: int = 4

    def parse(self, json_value: object) -> OptionValue:
        """Accept 100 or "100"."""
        number = whole_number(json_value)
        if number is None or not self.least <= number <= self.most:
            raise ValueError(f"expected {self.words()}, found {json_value!r}")
        return number

    def encode(self, value: OptionValue) -> bytes:
        """Pack in the attribute's width; a range below zero means signed."""
        return self._packing().pack(value)

    def decode(self, payload: bytes) -> OptionValue:
        """Unpack from the attribute's width."""
        return int(self._packing().unpack(payload)[0])

    def words(self) -> str:
        """Return the range."""
        return f"a number from {self.least} to {self.most}"

    def _packing(self) -> struct.Struct:
        return _SIGNED_32 if self.least < 0 else _UNSIGNED[self.width]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the kernel's names or its number, also as text; the value is the kernel's name.

    `ours` are additional names that the kernel does not know.
    """

    numbers: Mapping[str, int]
    aliases: Mapping[str, str] = field(default_factory=dict)
    width: int = 1
    ours: tuple[str, ...] = ()

    def parse(self, json_value: object) -> OptionValue:
        """Accept a name, an alias or a number."""
        if isinstance(json_value, bool) and {"off", "on"} == set(self.numbers):
            return "on" if json_value else "off"
        name = json_value.strip().lower() if isinstance(json_value, str) else ""
        name = self.aliases.get(name, name)
        if name in self.numbers or name in self.ours:
            return name
        number = whole_number(json_value)
        for value_name, value in self.numbers.items():
            if number == value:
                return value_name
        raise ValueError(f"expected {self.words()}, found {json_value!r}{self._hint(name)}")

    def encode(self, value: OptionValue) -> bytes:
        """Pack the name's number."""
        return _UNSIGNED[self.width].pack(self.numbers[str(value)])

    def decode(self, payload: bytes) -> OptionValue:
        """Return the number's name; an unknown one stays a number, so that it is visible."""
        number = int(_UNSIGNED[self.width].unpack(payload)[0])
        return next((name for name, value in self.numbers.items() if value == number), number)

    def _hint(self, spelling: str) -> str:
        """Suggest the intended name: balance-tlb for tlb, 802.3ad for 8023ad."""
        names = {_letters(name): name for name in (*self.numbers, *self.ours)}
        letters = _letters(spelling)
        near = difflib.get_close_matches(letters, names, n=1, cutoff=_NEAR)
        ending = [name for name in names.values() if name.endswith(f"-{spelling}")]
        meant = ending[0] if len(ending) == 1 else names[near[0]] if near else ""
        return f"; did you mean {meant!r}?" if meant else ""

    def words(self) -> str:
        """Return the names and their numbers."""
        named = (f"{name} ({number})" for name, number in self.numbers.items())
        return "one of " + ", ".join((*self.ours, *named))


def switch(width: int = 1) -> Choice:
    """Return the kind of an option that is off or on."""
    return Choice({"off": 0, "on": 1}, width=width)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Up to 16 addresses of one family: a list, or one text with commas as in ifcfg files."""

    family: type[IPv4Address] | type[IPv6Address]

    def parse(self, json_value: object) -> OptionValue:
        """Accept ["192.0.2.1"] or "192.0.2.1,192.0.2.2"."""
        texts = json_value.split(",") if isinstance(json_value, str) else json_value
        if not isinstance(texts, list) or not 0 < len(texts) <= MAX_TARGETS:
            raise ValueError(f"expected {self.words()}, found {json_value!r}")
        addresses = tuple(self._address(text) for text in texts)
        if len(set(addresses)) < len(addresses):
            raise ValueError(f"{json_value!r} names an address twice")
        return addresses

    def encode(self, value: OptionValue) -> bytes:
        """Nest one attribute for each address, typed by its place (bond_netlink.c)."""
        packed = [self.family(address).packed for address in cast("tuple[str, ...]", value)]
        return b"".join(
            _NLA_HEADER.pack(_NLA_HEADER.size + len(address), place) + address
            for place, address in enumerate(packed)
        )

    def decode(self, payload: bytes) -> OptionValue:
        """Decode the nested attributes in order: each has one address, so all have one size."""
        start = _NLA_HEADER.size
        size = start + (4 if self.family is IPv4Address else 16)
        if len(payload) % size:
            raise ValueError(f"{len(payload)} bytes are no IPv{self._version()} addresses")
        places = range(start, len(payload), size)
        return tuple(str(self.family(payload[at : at + size - start])) for at in places)

    def words(self) -> str:
        """Return count and family."""
        return f"1 to {MAX_TARGETS} IPv{self._version()} addresses"

    def _version(self) -> int:
        return 4 if self.family is IPv4Address else 6

    def _address(self, text: object) -> str:
        if not isinstance(text, str):
            raise ValueError(f"expected {self.words()}, found {text!r}")  # noqa: TRY004 - one type
        try:
            address = self.family(text.strip())
        except AddressValueError as cause:
            raise ValueError(f"{text!r} is no IPv{self._version()} address") from cause
        if not _can_answer(address):
            raise ValueError(f"{text!r} cannot answer a probe: name a host's own address")
        return str(address)


@dataclass(frozen=True, slots=True)
class Mac:
    """A unicast MAC address, six bytes."""

    def parse(self, json_value: object) -> OptionValue:
        """Accept 02:00:00:00:00:01; multicast and zero addresses are refused."""
        if not isinstance(json_value, str) or not _MAC.fullmatch(json_value.strip()):
            raise ValueError(f"expected {self.words()}, found {json_value!r}")
        mac = json_value.strip().lower()
        if int(mac[:2], 16) & 1 or set(mac) == {"0", ":"}:
            raise ValueError(
                f"expected {self.words()}, found {json_value!r}, a group's or all zero"
            )
        return mac

    def encode(self, value: OptionValue) -> bytes:
        """Pack six raw bytes, not their text (which bond-cni sends)."""
        return bytes.fromhex(str(value).replace(":", ""))

    def decode(self, payload: bytes) -> OptionValue:
        """Return the bytes as lower-case text."""
        if len(payload) < _MAC_BYTES:
            raise ValueError(f"{len(payload)} bytes are no MAC address")
        return payload[:_MAC_BYTES].hex(":")

    def words(self) -> str:
        """Return the form."""
        return "a MAC address such as 02:00:00:00:00:01"


@dataclass(frozen=True, slots=True)
class MemberReference:
    """A member by interface name, altname or PCI address; the kernel knows it by index."""

    def parse(self, json_value: object) -> OptionValue:
        """Accept a name; it is resolved once the pod's links are known."""
        if not isinstance(json_value, str) or not json_value.strip():
            raise ValueError(f"expected {self.words()}, found {json_value!r}")
        return json_value.strip()

    def encode(self, value: OptionValue) -> bytes:
        """Pack the interface index."""
        return _UNSIGNED[4].pack(value)

    def decode(self, payload: bytes) -> OptionValue:
        """Return the interface index."""
        return int(_UNSIGNED[4].unpack(payload)[0])

    def words(self) -> str:
        """Return the form."""
        return "a member's interface name, altname or PCI address"


def _can_answer(address: IPv4Address | IPv6Address) -> bool:
    """Return whether the kernel accepts the address as a target, and a host can have it.

    bond_is_ip_target_ok() refuses 0.0.0.0/8 and the broadcast address, bond_changelink() IPv6
    link-local ones.
    """
    if isinstance(address, IPv6Address) and (address.is_link_local or address.scope_id):
        return False
    if isinstance(address, IPv4Address) and (address in _ZERO_NET or address == _BROADCAST):
        return False
    return not (address.is_unspecified or address.is_multicast or address.is_loopback)


def _letters(name: str) -> str:
    return _NO_LETTER.sub("", name[:_MOST_LETTERS])


def whole_number(json_value: object) -> int | None:
    """Return the integer of 5, 5.0 or "5"; None for anything else (true is no number)."""
    if isinstance(json_value, bool):
        return None
    if isinstance(json_value, float) and json_value.is_integer():
        return int(json_value)
    if isinstance(json_value, int):
        return json_value
    text = json_value.strip() if isinstance(json_value, str) else ""
    return int(text) if _WHOLE.fullmatch(text) else None
