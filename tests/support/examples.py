"""How many generated examples a property is tried with: few in `make unit`, all in `make test`."""

import os
from typing import Final

from hypothesis import settings

QUICK, WHOLE = "quick", "whole"
_FEW: Final = 20
_ALL: Final = 150


def load_profiles() -> None:
    """Register both; `--hypothesis-profile` chooses, before any test module is imported.

    No deadline: a machine may be many times slower, and the tests' own bounds detect a hang. In CI
    the examples are the same each time, so that a commit's result is reproducible.
    """
    is_ci = bool(os.environ.get("CI"))
    settings.register_profile(QUICK, max_examples=_FEW, deadline=None)
    settings.register_profile(WHOLE, max_examples=_ALL, deadline=None, derandomize=is_ci)
    settings.load_profile(WHOLE)


def at_most(number: int) -> int:
    """Return the number of examples for a property with expensive examples."""
    return min(number, settings().max_examples)
