"""All faults, and in which phases they strike."""

from collections.abc import Iterator
from typing import Final

from tests.faults import blackout, hardware, kills, runtimes, storage, tenants
from tests.faults.fault import Fault
from tests.faults.power import CUTS
from tests.faults.table import Case

FAULTS: Final[tuple[Fault, ...]] = (
    *hardware.FAULTS,
    *tenants.FAULTS,
    *storage.FAULTS,
    *runtimes.FAULTS,
)


def names() -> Iterator[Case]:
    """Yield the name and phase of each case, kills and power cuts too."""
    for fault in FAULTS:
        yield from ((fault.name, phase.value) for phase in fault.phases)
    yield from ((sweep.name, kills.PHASE) for sweep in kills.SWEEPS)
    yield from ((cut.name, blackout.PHASE) for cut in CUTS)
