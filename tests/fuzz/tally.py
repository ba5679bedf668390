"""What an engine has judged, as it stands in a file."""

import json
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

TALLY: Final = "tally.json"
_KIB_OF_A_MIB: Final = 1024


@dataclass(slots=True)
class Tally:
    """How many inputs, how long all took and the slowest one, and the most memory held."""

    inputs: int = 0
    took_s: float = 0.0
    slowest_s: float = 0.0
    most_mib: int = 0

    def see_memory(self) -> None:
        """Note the most memory that this process has held."""
        held_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.most_mib = max(self.most_mib, held_kib // _KIB_OF_A_MIB)

    def __add__(self, other: Self) -> "Tally":
        return Tally(
            self.inputs + other.inputs,
            self.took_s + other.took_s,
            max(self.slowest_s, other.slowest_s),
            max(self.most_mib, other.most_mib),
        )


def read(folder: Path) -> Tally:
    """Return the tally that an engine has left in its folder; of one that left none, nothing."""
    try:
        return Tally(**json.loads(Path(folder, TALLY).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Tally()
