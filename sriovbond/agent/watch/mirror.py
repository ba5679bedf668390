"""A mirror of the links in the namespaces whose bonds are watched."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

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
        """Have an attachment there, whose links were read just now."""
        self._spaces.setdefault(nsid, _Space({})).keys.add(key)
        self.replace(nsid, links)

    def replace(self, nsid: int, links: Mapping[int, Heard]) -> None:
        """Take these for the links of a namespace that is known."""
        matter = {index: link for index, link in links.items() if link.matters}
        self._spaces[nsid].links = matter

    def size(self, nsid: int) -> int:
        """Return how many links of the namespace are known."""
        return len(self._spaces[nsid].links) if nsid in self._spaces else 0

    def keys(self, nsid: int) -> tuple[str, ...]:
        """Return the keys of the attachments there."""
        return tuple(self._spaces[nsid].keys) if nsid in self._spaces else ()

    def names(self, nsid: int) -> frozenset[str]:
        """Return the names of the bonds there that are followed."""
        return frozenset(key.rpartition("@")[2] for key in self.keys(nsid))

    def leave(self, key: str, nsid: int) -> None:
        """Forget an attachment, and its namespace with the last one."""
        space = self._spaces.get(nsid)
        if space:
            space.keys.discard(key)
            if not space.keys:
                del self._spaces[nsid]

    def forget(self, nsid: int) -> set[str]:
        """Forget a namespace that is gone; return the keys of those that were there."""
        space = self._spaces.pop(nsid, None)
        return space.keys if space else set()

    def clear(self) -> None:
        """Forget all of them."""
        self._spaces.clear()

    def has(self, key: str, nsid: int) -> bool:
        """Tell whether the attachment is known to be there."""
        return nsid in self._spaces and key in self._spaces[nsid].keys

    def links(self, nsid: int) -> Mapping[int, Heard] | None:
        """Return the links there; None where nothing is known of it."""
        return self._spaces[nsid].links if nsid in self._spaces else None

    def change(self, nsid: int, event: LinkEvent) -> tuple[str, ...]:
        """Take an event into the mirror; return the keys of the attachments that it concerns."""
        space = self._spaces.get(nsid)
        if space is None:
            return ()
        is_known = space.links.pop(event.link.index, None) is not None
        if event.link.matters and not event.is_gone:
            space.links[event.link.index] = event.link
        return tuple(space.keys) if is_known or event.link.matters else ()
