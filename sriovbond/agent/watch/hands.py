"""The agent's functions that the watch calls."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sriovbond.agent.watch.care import Do
from sriovbond.happenings.happening import Happening
from sriovbond.release import Keeper
from sriovbond.subject import Subject


@dataclass(frozen=True, slots=True)
class Hands:
    """The watch's callbacks: report a happening, run slow work.

    `is_leaving` returns whether a DEL of the attachment is queued; `do_after_others` runs work of
    an attachment in a worker, False when too much is queued; the keeper gets unreleased leases.
    """

    tell: Callable[[Happening], None]
    overrun: Callable[[], None]
    beat: Callable[[], None]
    is_leaving: Callable[[Subject], bool]
    do_after_others: Do
    keeper: Keeper

    def report(self, happenings: Iterable[Happening]) -> None:
        """Report each of them."""
        for happening in happenings:
            self.tell(happening)
