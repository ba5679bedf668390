"""Typed access to JSON from outside; errors name the path of the malformed value."""

import json
import math
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from itertools import islice
from typing import Final, NoReturn

from sriovbond.cni.wire import CniError, ErrorCode

IpAddress = IPv4Address | IPv6Address
IpInterface = IPv4Interface | IPv6Interface
IpNetwork = IPv4Network | IPv6Network
_Path = tuple["_Path", object] | None
"""Path of a value: the path of its parent object and its key there."""

MAX_JSON_BYTES = 4 * 1024 * 1024
MAX_ELEMENTS = 50_000
"""Of a JSON text that a tenant writes, as counted by its commas and brackets: each element takes up
to 200 bytes of memory, and an agent has many such texts at once.
"""
_MOST_TOLD: Final = 10
_BEGINNINGS: Final = b",[{"
_OF_OTHERS: Final = frozenset({"ipam", "args"})

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80


def decode_object(
    content: bytes, where: str, most_elements: int | None = None
) -> dict[str, object]:
    """Return the JSON object in `content`; the last value of a duplicate key counts, as in Go.

    `find_duplicate_keys` reports them. Raises CniError 6; `where` names the content in its text.
    """
    if len(content) > MAX_JSON_BYTES:
        _refuse(where, f"{len(content)} bytes", f"hold at most {MAX_JSON_BYTES} bytes")
    if most_elements is not None and len(content) > most_elements:
        _refuse_many(content, where, most_elements)
    try:
        value: object = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except (ValueError, RecursionError) as error:
        raise CniError(
            ErrorCode.DECODING_FAILURE,
            f"cannot decode {where}: {error or type(error).__name__}; it must be one JSON object",
        ) from error
    if not isinstance(value, dict):
        _refuse(where, shorten(value), "be a JSON object")
    return value


def _refuse_many(content: bytes, where: str, most: int) -> None:
    elements = sum(content.count(beginning) for beginning in _BEGINNINGS)
    if elements > most:
        _refuse(where, f"{elements} elements", f"hold at most {most} (commas and brackets)")


class Doubled(dict[str, object]):
    """A JSON object whose text has duplicate keys."""

    def __init__(self, pairs: Sequence[tuple[str, object]]) -> None:
        super().__init__(pairs)
        self.pairs: Final = tuple(pairs)

    def twice(self) -> Iterator[tuple[str, object, object]]:
        """Yield each duplicate key with its first and its last value."""
        known: dict[str, object] = {}
        for key, value in self.pairs:
            if key in known:
                yield key, known[key], value
            known[key] = value


def find_duplicate_keys(value: object) -> tuple[str, ...]:
    """Return a text for each duplicate key in the objects inside `value`, with both values."""
    faults: list[str] = []
    rest: list[tuple[object, _Path]] = [(value, None)]
    while rest and len(faults) < _MOST_TOLD:
        value, path = rest.pop()
        if isinstance(value, Doubled):
            faults += islice(_twice_words(value, path), _MOST_TOLD)
        pairs = value.items() if isinstance(value, Mapping) else enumerate(_items(value))
        # format a path only when it is reported: long names would multiply
        rest += [(inner, (path, name)) for name, inner in pairs if isinstance(inner, dict | list)]
    return tuple(faults[:_MOST_TOLD])


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _twice_words(value: Doubled, path: "_Path") -> Iterator[str]:
    for key, first, then in value.twice():
        place = (path, key)
        values = "" if _is_of_others(place) else f", as {shorten(first)} and as {shorten(then)}"
        yield f"the key {_in_words(place)!r} is duplicated{values}; remove one of them"


def _is_of_others(path: tuple["_Path", object]) -> bool:
    """Return whether a value is another plugin's: it may be a secret, not to be logged."""
    parent, key = path
    while parent is not None:
        parent, key = parent
    return str(key).lower() in _OF_OTHERS


def _in_words(path: "_Path") -> str:
    parts: list[str] = []
    while path is not None and len(parts) < _MOST_TOLD:
        path, name = path
        parts.append(str(name)[: _SHORT.maxstring])
    return ".".join(reversed(parts))


def shorten(value: object) -> str:
    """Return the repr of `value`, truncated where it is long."""
    return _SHORT.repr(value)


@dataclass(frozen=True, slots=True)
class JsonObject:
    """A JSON object and its path, such as `prevResult.ips[0]`; null counts as absent."""

    values: Mapping[str, object]
    where: str

    def has(self, key: str) -> bool:
        """Return whether `key` is present and not null."""
        return self.values.get(key) is not None

    def text(self, key: str) -> str:
        """Return the string of `key`, "" when absent."""
        value = self.values.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.refuse(key, "be a text")
        return value

    def required_text(self, key: str) -> str:
        """Return the string of `key`, which is required."""
        if not self.has(key):
            self.refuse(key, "be a text")
        return self.text(key)

    def number(self, key: str) -> int | None:
        """Return the non-negative integer of `key`; None when absent."""
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            self.refuse(key, "be a whole number, 0 or more")
        return value

    def word(self, key: str) -> int | None:
        """Return the number of `key` that has 32 bits in the kernel; None when absent."""
        return self._number_up_to(key, 0xFFFFFFFF)

    def octet(self, key: str) -> int | None:
        """Return the number of `key` that has 8 bits in the kernel; None when absent."""
        return self._number_up_to(key, 0xFF)

    def texts(self, key: str) -> tuple[str, ...]:
        """Return the strings of the list `key`, empty when absent."""
        return tuple(
            item if isinstance(item, str) else self.refuse(key, "be a list of texts")
            for item in self._items(key)
        )

    def child(self, key: str) -> "JsonObject":
        """Return the object of `key`, an empty one when absent."""
        value = self.values.get(key)
        if value is None:
            return JsonObject({}, f"{self.where}.{key}")
        if not isinstance(value, dict):
            self.refuse(key, "be an object")
        return JsonObject(value, f"{self.where}.{key}")

    def children(self, key: str) -> tuple["JsonObject", ...]:
        """Return the objects of the list `key`, empty when absent."""
        return tuple(
            JsonObject(item, f"{self.where}.{key}[{index}]")
            if isinstance(item, dict)
            else self.refuse(key, "be a list of objects")
            for index, item in enumerate(self._items(key))
        )

    def address(self, key: str) -> IpAddress | None:
        """Return the IP address of `key`; None when absent or empty."""
        text = self.text(key)
        if not text:
            return None
        try:
            return ip_address(self._without_zone(key, text))
        except ValueError:
            self.refuse(key, "be an IP address")

    def interface(self, key: str) -> IpInterface:
        """Return the required IP address with prefix length of `key`."""
        try:
            return ip_interface(self._with_prefix(key))
        except ValueError:
            self.refuse(key, "be an IP address with its prefix length, like '192.0.2.1/24'")

    def network(self, key: str) -> IpNetwork:
        """Return the required destination of `key`, with its host bits cleared."""
        try:
            return ip_network(self._with_prefix(key), strict=False)
        except ValueError:
            self.refuse(key, "be a destination with its prefix length, like '192.0.2.0/24'")

    def refuse(self, key: str, rule: str) -> NoReturn:
        """Raise CniError 6 with the path and value of `key`, and the `rule` that it breaks."""
        actual = shorten(self.values[key]) if key in self.values else "nothing"
        _refuse(f"{self.where}.{key}", actual, rule)

    def _number_up_to(self, key: str, most: int) -> int | None:
        number = self.number(key)
        if number is not None and number > most:
            self.refuse(key, f"be a whole number from 0 to {most}")
        return number

    def _items(self, key: str) -> list[object]:
        value = self.values.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self.refuse(key, "be a list")
        return value

    def _with_prefix(self, key: str) -> str:
        """Return the string of `key` if it is `address/digits`: Python accepts netmasks as well."""
        text = self._without_zone(key, self.text(key))
        length = text.partition("/")[2]
        if not (length.isascii() and length.isdecimal()):
            raise ValueError(key)
        return text

    def _without_zone(self, key: str, text: str) -> str:
        """Return `text`; refuse a zone (`fe80::1%eth0`), which Go does not parse."""
        if "%" in text:
            self.refuse(key, "have no zone")
        return text


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    return values if len(values) == len(pairs) else Doubled(pairs)


def _refuse(where: str, actual: str, rule: str) -> NoReturn:
    raise CniError(
        ErrorCode.DECODING_FAILURE, f"cannot read {where}: found {actual}; it must {rule}"
    )


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{shorten(text)} is out of range")
    return number
