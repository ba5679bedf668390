"""How slow the build machine is: what waits for a VM or a node has limits that go with it.

Limits are written for a machine that adds a number two million times in 70 ms, idle.
"""

import os
import time
from collections.abc import MutableMapping
from typing import Final

VARIABLE: Final = "SRIOVBOND_PACE"
_ADDITIONS: Final = 2_000_000
_USUAL_S: Final = 0.07
_MOST: Final = 10.0


def stretched(limit_s: float) -> float:
    """Return a limit for this machine; the VM asks what was measured outside it."""
    return limit_s * measured(os.environ)


def measured(environment: MutableMapping[str, str]) -> float:
    """Return how many times slower than usual the machine is, 1 to 10, and keep it there."""
    if not environment.get(VARIABLE):
        slowness = min(max(_added_s() / _USUAL_S, 1.0), _MOST)
        environment[VARIABLE] = f"{slowness:.1f}"
    return float(environment[VARIABLE])


def _added_s() -> float:
    began = time.monotonic()
    number = 0
    while number < _ADDITIONS:
        number += 1
    return time.monotonic() - began
