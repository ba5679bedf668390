from pathlib import Path

from tests.node import tried
from tests.node.tried import Tried

RUN = Tried(
    day="2026-11-29",
    linux="6.12",
    kubernetes="1.36.3",
    kubelet="1.36.3",
    containerd="2.4.2",
    runc="1.1.5",
    multus="4.3.0",
)


def test_the_table_has_a_column_for_each_way_that_multus_ran(tmp_path: Path) -> None:
    tried.write(tmp_path / "node.json", {"thin": {**RUN, "day": "2026-11-30"}, "thick": RUN})

    lines = tried.table(tried.read(tmp_path / "node.json")).splitlines()

    assert lines[0] == "| | Multus thick | Multus thin |"
    assert "| kubelet | 1.36.3 | 1.36.3 |" in lines
    assert lines[-1] == "| the day of the run | 2026-11-29 | 2026-11-30 |"
