"""Reads the bonds of pods from the host, by the nsids of their namespaces, again and again.

A bond that is as it was is recognized without being parsed: while events are not received, all
bonds are read several times a second.
"""

import errno
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from sriovbond.errors import KernelError
from sriovbond.happenings.following import Heard
from sriovbond.kernel import attributes, messages
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.messages import (
    IFLA_AF_SPEC,
    IFLA_EXT_MASK,
    IFLA_INFO_KIND,
    IFLA_LINKINFO,
    IFLA_MASTER,
    RTEXT_FILTER_SKIP_STATS,
)
from sriovbond.kernel.netlink import Netlink, NetlinkRequest
from sriovbond.kernel.watch import MOST_LINKS, to_heard

_IFLA_STATS, _IFLA_STATS64 = 7, 23
_COUNTING: Final = frozenset({_IFLA_STATS, _IFLA_STATS64, IFLA_AF_SPEC})  # IPv6 counts there
_MOST_IMPRINTED: Final = 8
"""Of more bonds in one namespace nothing is remembered: a pod could fill our memory."""
_ONLY_BONDS: Final = messages.attribute(
    IFLA_LINKINFO, messages.attribute(IFLA_INFO_KIND, b"bond\0")
)
_WITHOUT_VF_STATISTICS: Final = messages.word(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)


@dataclass(frozen=True, slots=True)
class _Imprint:
    """Recognizes the same answers again without parsing them, whatever their counters.

    `places` are the bytes of each answer that are no counter's: the kernel adds statistics to every
    answer.
    """

    places: tuple[tuple[slice, ...], ...]
    hash: int

    @classmethod
    def of(cls, answers: Sequence[bytes]) -> Self:
        """Return the imprint of these messages about links."""
        places = tuple(tuple(_stable_places(answer)) for answer in answers)
        return cls(places, cls._hash(answers, places))

    def matches(self, answers: Sequence[bytes]) -> bool:
        """Return whether these are the same."""
        return len(answers) == len(self.places) and self._hash(answers, self.places) == self.hash

    @staticmethod
    def _hash(answers: Sequence[bytes], places: Sequence[Sequence[slice]]) -> int:
        pairs = zip(answers, places, strict=True)
        return hash(b"".join(answer[place] for answer, own in pairs for place in own))


def _stable_places(answer: bytes) -> Iterator[slice]:
    after = 0
    for number, place, payload in attributes.walk(answer, messages.LINK_BYTES):
        if number in _COUNTING:
            yield slice(after, place)
            after = place + len(payload)
    yield slice(after, None)


class LinkReader:
    """Reads the bonds of namespaces by their nsids, and the members of the requested ones.

    For one thread. The kernel filters out all other links: a pod may have ten thousand. One socket
    serves all reads, until one of them fails.
    """

    def __init__(self) -> None:
        self._netlink: Netlink | None = None
        self._imprints: Final[dict[int, _Imprint]] = {}

    def close(self) -> None:
        """Close the socket. Idempotent."""
        if self._netlink:
            self._netlink.close()
            self._netlink = None

    def forget(self, nsid: int) -> None:
        """Forget what was read in that namespace."""
        self._imprints.pop(nsid, None)

    def forget_all(self) -> None:
        """Forget what was read in all namespaces."""
        self._imprints.clear()

    def read(self, nsid: int, names: Collection[str]) -> dict[int, Heard]:
        """Return the bonds, and the members of those in `names`, by index.

        Raises KernelError, E2BIG when there are too many.
        """
        self.forget(nsid)
        return self._with_members(nsid, names, self._dump(nsid, _ONLY_BONDS), {})

    def read_changed(
        self, nsid: int, names: Collection[str], known: Mapping[int, Heard]
    ) -> dict[int, Heard] | None:
        """Return as `read`, None when the bonds are as this has last returned them.

        Their counters aside. The members of a bond that is unchanged since `known` are taken from
        there: each dump waits for RTNL. Raises as `read`.
        """
        bonds = self._dump(nsid, _ONLY_BONDS)
        imprint = self._imprints.get(nsid)
        if imprint and imprint.matches(bonds):
            return None
        self.forget(nsid)
        links = self._with_members(nsid, names, bonds, known)
        if len(bonds) <= _MOST_IMPRINTED:
            self._imprints[nsid] = _Imprint.of(bonds)
        return links

    def _with_members(
        self, nsid: int, names: Collection[str], answers: list[bytes], known: Mapping[int, Heard]
    ) -> dict[int, Heard]:
        bonds = _all_heard(answers)
        links = {bond.index: bond for bond in bonds}
        for bond in bonds:
            if known.get(bond.index) == bond:
                members = [link for link in known.values() if link.master == bond.index]
            elif bond.name in names:
                members = _all_heard(self._dump(nsid, messages.word(IFLA_MASTER, bond.index)))
            else:
                members = []
            links.update((member.index, member) for member in members)
        return links

    def _dump(self, nsid: int, only: bytes) -> list[bytes]:
        target = messages.word(messages.IFLA_TARGET_NETNSID, nsid)
        body = messages.link(0, target, _WITHOUT_VF_STATISTICS, only)
        request = NetlinkRequest(nl.RTM_GETLINK, "list the links of a pod", body)
        try:
            self._netlink = self._netlink or Netlink()
            return self._netlink.dump_at_most(request, MOST_LINKS)
        except OSError as error:
            raise KernelError(
                f"cannot {request.doing}: {error.strerror}", error.errno or errno.EIO
            ) from error
        except KernelError:  # a socket whose dump was aborted cannot be reused
            self.forget(nsid)
            self.close()
            raise


def _all_heard(answers: Sequence[bytes]) -> list[Heard]:
    return [to_heard(messages.read_link(answer)) for answer in answers]
