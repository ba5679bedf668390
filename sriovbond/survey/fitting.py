"""From what the kernel reports to a section of the document; what that cannot say is left out."""

from typing import Any, TypeVar

from pyroute2.netlink import nla

from sriovbond.kernel.attributes import HEADER
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

    Of one that is there more than once, the last.
    """
    section = of(HEADER.pack(HEADER.size + len(payload), 0) + payload)
    section.decode()
    return dict(section["attrs"])


def _fit(kind: Any, value: object) -> object:  # noqa: ANN401 - any kind of the document
    if value is None or isinstance(kind, Section | Many | Free):
        return value
    try:
        return kind.read(str(value))
    except ValueError:
        return None
