"""A mirror of the links in the namespaces of watched bonds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from sriovbond.cni.attachment import split_key
from sriovbond.happenings.following import Heard
from sriovbond.kernel.watch import LinkEvent


@dataclass(slots=True)
class _Space:
    links: dict[int, Heard]
    keys: set[str] = field(default_factory=set)


class Spaces:
    """Namespaces by nsid: the links in each, and the keys of the attachments in it."""

    def __init__(self) -> None:
        self._spaces: Final[dict[int, _Space]] = {}

    def __contains__(self, nsid: object) -> bool:
        return nsid in self._spaces

    def __iter__(self) -> Iterator[int]:
        return iter(tuple(self._spaces))

    def join(self, key: str, nsid: int, links: Mapping[int, Heard]) -> None:
        """Add an attachment to the namespace, whose links were just read."""
        self._spaces.setdefault(nsid, _Space({})).keys.add(key)
        self.replace(nsid, links)

    def replace(self, nsid: int, links: Mapping[int, Heard]) -> None:
        """Replace the links of a known namespace."""
        matter = {index: link for index, link in links.items() if link.matters}
        self._spaces[nsid].links = matter

    def size(self, nsid: int) -> int:
        """Return the number of known links of the namespace."""
        return len(self._spaces[nsid].links) if nsid in self._spaces else 0

    def keys(self, nsid: int) -> tuple[str, ...]:
        """Return the keys of the attachments in the namespace."""
        return tuple(self._spaces[nsid].keys) if nsid in self._spaces else ()

    def names(self, nsid: int) -> frozenset[str]:
        """Return the names of the watched bonds in the namespace."""
        return frozenset(split_key(key)[1] for key in self.keys(nsid))

    def leave(self, key: str, nsid: int) -> None:
        """Remove an attachment, and its namespace with the last one."""
        space = self._spaces.get(nsid)
        if space:
            space.keys.discard(key)
            if not space.keys:
                del self._spaces[nsid]

    def forget(self, nsid: int) -> set[str]:
        """Remove an ended namespace; return the keys of its attachments."""
        space = self._spaces.pop(nsid, None)
        return space.keys if space else set()

    def clear(self) -> None:
        """Remove all namespaces."""
        self._spaces.clear()

    def has(self, key: str, nsid: int) -> bool:
        """Return whether the attachment is known to be in the namespace."""
        return nsid in self._spaces and key in self._spaces[nsid].keys

    def links(self, nsid: int) -> Mapping[int, Heard] | None:
        """Return the links of the namespace; None if it is unknown."""
        return self._spaces[nsid].links if nsid in self._spaces else None

    def change(self, nsid: int, event: LinkEvent) -> tuple[str, ...]:
        """Apply an event to the mirror; return the keys of the attachments that it concerns."""
        space = self._spaces.get(nsid)
        if space is None:
            return ()
        is_known = space.links.pop(event.link.index, None) is not None
        if event.link.matters and not event.is_gone:
            space.links[event.link.index] = event.link
        # before 5.14 nothing shows that what left the bond, and is moved now, was in one
        concerns = is_known or event.link.matters or event.is_moved
        return tuple(space.keys) if concerns else ()
