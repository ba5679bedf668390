"""Has workers look after single bonds, each in the turn of its attachment."""

from collections.abc import Callable
from dataclasses import dataclass

from sriovbond import log, upkeep
from sriovbond.bond.happenings import Subject
from sriovbond.errors import SriovbondError, TryLaterError
from sriovbond.host import Host
from sriovbond.upkeep import Examined, Repairs

Do = Callable[[Subject, Callable[[], object]], bool]
Then = Callable[[Examined | None], None]


@dataclass(frozen=True, slots=True)
class Care:
    """`do_after_others` does work of an attachment in a worker; False where too much waits."""

    host: Host
    repairs: Repairs
    do_after_others: Do

    def examine(self, subject: Subject, then: Then, *, is_namespace_gone: bool = False) -> bool:
        """Have the bond examined; `then` is called with what was found, by the worker.

        With None where another call has the attachment, and knows better.
        """

        def work() -> None:
            with log.logged_to(None, self.host.logs, **_who(subject)):
                try:
                    examined: Examined | None = upkeep.examine(
                        self.host,
                        subject.container_id,
                        subject.ifname,
                        self.repairs,
                        is_namespace_gone=is_namespace_gone,
                    )
                except TryLaterError:
                    examined = None
                except SriovbondError as error:
                    examined = Examined(drift=(error.message,))
            then(examined)

        return self.do_after_others(subject, work)

    def announce(self, subject: Subject) -> None:
        """Have the bond announced."""

        def work() -> None:
            with log.logged_to(None, self.host.logs, **_who(subject)):
                upkeep.announce(self.host, subject.container_id, subject.ifname)

        self.do_after_others(subject, work)


def _who(subject: Subject) -> dict[str, object]:
    return {
        "pod": subject.pod,
        "container": subject.container_id,
        "ifname": subject.ifname,
        "network": subject.network,
    }
