"""From what the kernel reports to a section of the document; what that cannot say is left out."""

from typing import Any, TypeVar

from pyroute2.netlink import nla

from sriovbond.kernel import messages
from sriovbond.kernel.attributes import HEADER, walk
from sriovbond.nodenet.sections import Free, Many, Section, keys_of

Part = TypeVar("Part")
Attributes = dict[str, Any]
"""Values by pyroute2's names of their attributes."""


def fit(of: type[Part], **values: object) -> Part:
    """Return a section of these fields, each as a document would have it read."""
    kinds = {row.field: row.kind for row in keys_of(of)}
    return of(**{field: _fit(kinds[field], value) for field, value in values.items()})


def unpack(of: type[nla], payload: bytes) -> Attributes:
    """Return the attributes of a payload by the names that pyroute2's class has for them.

    Of one that is there more than once, the last; one that is cut short is none.
    """
    whole = b"".join(messages.attribute(number, part) for number, _, part in walk(payload))
    section = of(HEADER.pack(HEADER.size + len(whole), 0) + whole)
    section.decode()
    return {name: value for name, value in section["attrs"] if not isinstance(value, bytes)}


def _fit(kind: Any, value: object) -> object:  # noqa: ANN401 - any kind of the document
    if value is None or isinstance(kind, Section | Many | Free):
        return value
    try:
        return kind.read(str(value))
    except ValueError:
        return None
