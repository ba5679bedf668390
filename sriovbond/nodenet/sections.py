"""A field of a dataclass is a key of the document: its names, and its kind of value."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from sriovbond.nodenet.values import Scalar

_KIND: Final = "nodenet"


@dataclass(frozen=True, slots=True)
class Section:
    """An object: the dataclass `of`."""

    of: type


@dataclass(frozen=True, slots=True)
class Many:
    """A list of one kind; `identity` is the field that its parts are known by.

    Where it `is_set` the order says nothing: the kernel has its own.
    """

    of: "Section | Scalar"
    identity: str = ""
    is_set: bool = False


@dataclass(frozen=True, slots=True)
class Free:
    """A bond's options: an object whose keys are the rows of the option table."""


Kind = Section | Many | Free | Scalar


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a section: the dataclass' `field`, its names, and its kind.

    `unset` is why its values are read and compared, but cannot be brought about.
    """

    field: str
    names: tuple[str, ...]
    kind: Kind
    unset: str

    @property
    def name(self) -> str:
        """The name that it is written by."""
        return self.names[0]


def key(kind: Kind, *names: str, unset: str = "") -> Any:  # noqa: ANN401 - as dataclasses.field
    """Return a field that is None where the document does not mention it."""
    return field(default=None, metadata={_KIND: (kind, names, unset)})


_KEYS: dict[type, tuple[Key, ...]] = {}


def keys_of(section: type) -> tuple[Key, ...]:
    """Return the keys of a section, in the order of its fields; other fields are no keys."""
    if section not in _KEYS:
        _KEYS[section] = tuple(_keys(section))
    return _KEYS[section]


def _keys(section: type) -> Iterator[Key]:
    for part in fields(section):
        if _KIND not in part.metadata:
            continue
        kind, names, unset = part.metadata[_KIND]
        yield Key(part.name, names or (part.name.replace("_", "-"),), kind, unset)


def by_name(section: type) -> Mapping[str, Key]:
    """Return the keys of a section by all of their names."""
    return {name: row for row in keys_of(section) for name in row.names}
