from pathlib import Path

from tests.node import soaked
from tests.node.soaked import Soaked

RUN = Soaked(
    day="2026-11-29",
    linux="6.12",
    pods=500,
    seed=15,
    at_once=3,
    mover="host-device",
    seconds=3600,
    against=[],
    counts={"ADDs": {"done": 460}, "faults": {"none": 50, "our plugin is killed during ADD": 12}},
)


def test_the_table_has_a_row_for_each_kind_that_was_counted(tmp_path: Path) -> None:
    soaked.write(tmp_path / "soak.json", RUN)

    text = soaked.table(soaked.read(tmp_path / "soak.json"))

    assert text.startswith("500 pods, 3 at once, their VFs moved by host-device, on Linux 6.12")
    assert "60 minutes, and 0 times something did not hold." in text
    assert text.splitlines()[-1] == "| faults | our plugin is killed during ADD | 12 |"
