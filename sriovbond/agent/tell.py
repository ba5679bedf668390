"""Tells what happened to a bond to all who want to know: the log, the metrics, Kubernetes."""

import logging
from collections.abc import Callable
from typing import Final

from sriovbond import log
from sriovbond.bond.happenings import Happening

Sink = Callable[[Happening], None]

_TAKEN: Final = frozenset({"level", "message", "msg", "time"})
"""What the log itself writes: a fact of that name would stand in its place."""


class Teller:
    """Gives each happening to the log and then to every sink, which must not block."""

    def __init__(self, *sinks: Sink) -> None:
        self._sinks: Final = (_write, *sinks)

    def __call__(self, happening: Happening) -> None:
        """Tell them all; a fault of one hinders neither the others nor who calls."""
        for sink in self._sinks:
            try:
                sink(happening)
            except Exception as error:  # noqa: BLE001 - see there
                why = f"{type(error).__name__}: {error}"
                log.event(logging.ERROR, f"cannot tell of a {happening.kind}: {why}")


def _write(happening: Happening) -> None:
    level = logging.WARNING if happening.is_warning else logging.INFO
    member = happening.member
    fields: dict[str, object] = {
        "kind": happening.kind,
        **happening.subject.fields,
        "member": member.name if member else "",
        "pci": member.device if member else "",
        "pf": member.pf if member else "",
    }
    taken = _TAKEN | fields.keys()
    more = {name: fact for name, fact in happening.facts.items() if name not in taken}
    log.event(level, happening.text, **fields, **more)
