"""The outcomes of violated rules, in the words of commands and docs."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from sriovbond.bond.rules import Level

OUTCOMES: Final[Mapping[Level, str]] = MappingProxyType(
    {
        Level.CONFIG: "error 7",
        Level.REFUSED: "error 101",
        Level.WARNING: "warning",
        Level.NOTICE: "warning, also under strict",
        Level.NODE: "error 50",
    }
)
"""The outcome of a violated rule, by its level."""
