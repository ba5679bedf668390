from pathlib import Path

from tests.fuzz import counted
from tests.fuzz.counted import Counted
from tests.fuzz.tally import Tally

RUN = Counted("2026-11-30", 1, 0, {"CNI_ARGS": Tally(1500, 9.0, 0.25, 70), "links": Tally(2)})


def test_the_table_has_all_inputs_and_a_row_for_each_kind(tmp_path: Path) -> None:
    counted.write(tmp_path / "fuzz.json", RUN)

    lines = counted.table(counted.read(tmp_path / "fuzz.json")).splitlines()

    assert lines[0] == ("1,502 inputs on 2026-11-30, seed 1: 0 of the runs ended with a fault.")
    assert lines[4] == "| CNI_ARGS | 1,500 | 0.25 s | 70 MiB |"
    assert lines[-1] == "| links | 2 | 0.00 s | 0 MiB |"
