"""Typed access to JSON written by other programs: a wrong field is a fault, the rest counts."""

import base64
import json
import re
import reprlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from deviceinfo.device import DeviceInfoError, PciAddress, parse_address
from deviceinfo.plainfile import UnreadableError

_IFNAME_BYTES: Final = 15  # IFNAMSIZ without its NUL, linux/if.h
# Six octets, and up to twenty for InfiniBand, as Go's HardwareAddr prints them.
_MAC: Final = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5,19}")
_SHOWN_FAULTS: Final = 5
_OBJECTS: Final = 20_000  # more take seconds to parse, and no list that we read has as many


ELEMENTS: Final = 50_000
"""Of a text that a tenant may have written: each takes up to 200 bytes of memory."""
_BEGINNINGS: Final = b",[{"


def parse_object(content: bytes, *, most_elements: int = ELEMENTS) -> "Fields":
    """Parse a JSON object. Raises UnreadableError if it is none, or of more commas and brackets."""
    parsed = _parse(content, most_elements)
    if not isinstance(parsed, dict):
        raise UnreadableError(f"it is JSON, but {type(parsed).__name__} instead of an object")
    return Fields(parsed)


def parse_list(content: bytes, name: str) -> "Fields":
    """Parse a JSON list into the one field `name`. Raises as `parse_object`."""
    parsed = _parse(content, ELEMENTS)
    if not isinstance(parsed, list):
        raise UnreadableError(f"it is JSON, but {type(parsed).__name__} instead of a list")
    return Fields({name: parsed})


def _parse(content: bytes, most: int) -> object:
    if len(content) > most and sum(map(content.count, _BEGINNINGS)) > most:
        raise UnreadableError(f"it has more than {most} elements (commas and brackets)")
    try:
        parsed: object = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"it is not JSON: {error}") from error
    return parsed


def some_of(faults: Sequence[str]) -> str:
    """Join the first faults and count the rest: a file may have a hundred thousand."""
    rest = len(faults) - _SHOWN_FAULTS
    return "; ".join(faults[:_SHOWN_FAULTS]) + (f"; and {rest} more" if rest > 0 else "")


def is_ifname(text: str) -> bool:
    """Return whether dev_valid_name() of net/core/dev.c allows the name."""
    return (
        text not in {"", ".", ".."}
        and len(text.encode("utf-8", "surrogatepass")) <= _IFNAME_BYTES
        and not any(char in "/:\0" or char.isspace() for char in text)
    )


class Fields:
    """The fields of a JSON object: each of its type or None, and one of another type is a fault.

    An empty string counts as missing: Go writes it for an unset field.
    """

    def __init__(self, members: Mapping[str, object], path: str = "") -> None:
        self.faults: list[str] = []
        self.members = members
        self._path = path

    def section(self, key: str) -> "Fields":
        """Return a nested object, empty when missing. Its faults join these."""
        value = self.members.get(key)
        if not isinstance(value, dict | None):
            self.blame(key, "an object")
            value = None
        inner = Fields(value or {}, f"{self._path}{key}.")
        inner.faults = self.faults
        return inner

    def packed(self, key: str) -> "Fields":
        """Return a nested object, encoded as base64 of its JSON, which is Go's form of bytes."""
        value = self.text(key)
        inner = Fields({}, f"{self._path}{key}.")
        inner.faults = self.faults
        try:
            if value is not None:
                inner.members = parse_object(base64.b64decode(value, validate=True)).members
        except (ValueError, UnreadableError):
            self.blame(key, "base64 of a JSON object")
        return inner

    def objects(self, key: str) -> "list[Fields]":
        """Return the objects of a list. Each has its own faults; a non-object has only that fault.

        For a value that is no list, or one of more than 20000, the result is empty and the fault
        here.
        """
        value = self.members.get(key)
        if isinstance(value, list) and len(value) <= _OBJECTS:
            return [self._object(f"{key}[{at}]", inner) for at, inner in enumerate(value)]
        if value is not None:
            self.blame(key, f"a list of at most {_OBJECTS}")
        return []

    def _object(self, place: str, value: object) -> "Fields":
        if isinstance(value, dict):
            return Fields(value, f"{self._path}{place}.")
        inner = Fields({})
        inner.faults.append(f"{self._path}{place} is {reprlib.repr(value)} instead of an object")
        return inner

    def plain(self, key: str) -> str | None:
        """Return a printable text, without line ends and escapes, safe to show."""
        return self._text_that(key, str.isprintable, "a printable text")

    def text(self, key: str) -> str | None:
        """Return a text."""
        value = self.members.get(key)
        if isinstance(value, str | None):
            return value or None
        self.blame(key, "a text")
        return None

    def number(self, key: str) -> int | None:
        """Return a non-negative integer."""
        value = self.members.get(key)
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        self.blame(key, "a whole number from 0 on")
        return None

    def choice(self, key: str, choices: tuple[str, ...]) -> str | None:
        """Return one of `choices`."""
        return self._text_that(key, choices.__contains__, " or ".join(choices))

    def mac(self, key: str) -> str | None:
        """Return a hardware address, in lower case."""
        value = self._text_that(key, _is_mac, "a hardware address")
        return None if value is None else value.lower()

    def ifname(self, key: str) -> str | None:
        """Return the name of a network interface."""
        return self._text_that(key, is_ifname, "the name of an interface")

    def pci_address(self, key: str) -> PciAddress | None:
        """Return a full PCI address."""
        value = self.text(key)
        try:
            return None if value is None else parse_address(value)
        except DeviceInfoError:
            self.blame(key, "a PCI address")
            return None

    def _text_that(self, key: str, is_right: Callable[[str], bool], expected: str) -> str | None:
        value = self.text(key)
        if value is None or is_right(value):
            return value
        self.blame(key, expected)
        return None

    def blame(self, key: str, expected: str) -> None:
        """Add the fault that a field is not `expected`."""
        actual = reprlib.repr(self.members.get(key))
        self.faults.append(f"{self._path}{key} is {actual} instead of {expected}")


def _is_mac(text: str) -> bool:
    return _MAC.fullmatch(text) is not None
