"""What the agent lends its watch."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sriovbond.agent.watch.care import Do
from sriovbond.happenings.happening import Happening
from sriovbond.release import Keeper
from sriovbond.subject import Subject


@dataclass(frozen=True, slots=True)
class Hands:
    """What the watch calls: who reports a happening, and who does work that takes its time.

    `is_leaving` says whether a DEL of the attachment waits; `do_after_others` does the work of one
    in a worker, False where too much waits; the keeper has IPAM asked for what is left to it.
    """

    tell: Callable[[Happening], None]
    overrun: Callable[[], None]
    beat: Callable[[], None]
    is_leaving: Callable[[Subject], bool]
    do_after_others: Do
    keeper: Keeper

    def report(self, happenings: Iterable[Happening]) -> None:
        """Have each of them reported."""
        for happening in happenings:
            self.tell(happening)
