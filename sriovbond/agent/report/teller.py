"""Passes each bond event to all its sinks: the log, the metrics, Kubernetes Events."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from sriovbond import log
from sriovbond.cni.attachment import Attachment
from sriovbond.happenings.happening import Happening

Sink = Callable[[Happening], None]

_WINDOW_S: Final = 60.0
_MOST: Final = 30
_KEPT: Final = 1000
_MOST_CHARACTERS: Final = 2000
"""Of a text: it may quote an IPAM plugin, and a sink may keep a thousand."""


class Teller:
    """Passes each happening to the log and then to every sink; sinks must not block."""

    def __init__(self, *sinks: Sink, clock: Callable[[], float] = time.monotonic) -> None:
        self._sinks: Final[Sequence[Sink]] = (BoundedLog(clock), *sinks)

    def __call__(self, happening: Happening) -> None:
        """Pass it to all; a failing sink affects neither the others nor the caller."""
        if len(happening.text) > _MOST_CHARACTERS:
            happening = replace(happening, text=f"{happening.text[:_MOST_CHARACTERS]}...")
        for sink in self._sinks:
            try:
                sink(happening)
            except Exception as error:  # noqa: BLE001 - see there
                why = f"{type(error).__name__}: {error}"
                log.event(logging.ERROR, f"cannot report a {happening.kind}: {why}")


class BoundedLog:
    """Writes at most 30 lines a minute for each bond, since a pod may flap its links at will.

    `__len__` is the number of bonds whose rate is tracked.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock: Final = clock
        self._rates: dict[Attachment, tuple[float, int]] = {}

    def __len__(self) -> int:
        return len(self._rates)

    def __call__(self, happening: Happening) -> None:
        """Write a happening, or once that further ones are suppressed."""
        whose, now = happening.subject.attachment, self._clock()
        began, count = self._rates.get(whose, (now, 0))
        if now - began >= _WINDOW_S:
            began, count = now, 0
        if len(self._rates) >= _KEPT:
            self._rates = {
                bond_key: (at, n)
                for bond_key, (at, n) in self._rates.items()
                if now - at < _WINDOW_S
            }
        self._rates[whose] = (began, count + 1)
        if count < _MOST:
            _write(happening)
        elif count == _MOST:
            rest = "more happens to this bond than is logged: the metrics count the rest"
            log.event(logging.WARNING, rest, **happening.subject.fields)


def _write(happening: Happening) -> None:
    level = logging.WARNING if happening.is_warning else logging.INFO
    member = happening.member
    log.event(
        level,
        happening.text,
        kind=happening.kind,
        **happening.subject.fields,
        member=member.name if member else "",
        pci=member.device if member else "",
        pf=member.pf if member else "",
    )
