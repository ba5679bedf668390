"""An engine of `make fuzz` counts inputs, and takes one beyond a bound for a fault."""

import json
import time
from pathlib import Path

import pytest

from tests.fuzz import engine
from tests.fuzz.engine import Bounds, Judge, UnboundedError
from tests.fuzz.tally import TALLY

BOUNDS = Bounds(inputs=2, seconds=60, seed=1)


@pytest.fixture
def working(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that an engine works in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_inputs_that_were_judged_are_counted(working: Path) -> None:
    judge = Judge(lambda _: None, BOUNDS)

    for content in (b"a", b"b"):
        judge.judge(content)

    assert json.loads((working / TALLY).read_text())["inputs"] == 2
    assert not (working / engine.FAILING).exists()


@pytest.mark.parametrize(("bound", "words"), [("MOST_S", "took"), ("MOST_MIB", "MiB")])
def test_an_input_beyond_a_bound_is_a_fault_that_is_kept(
    working: Path, monkeypatch: pytest.MonkeyPatch, bound: str, words: str
) -> None:
    monkeypatch.setattr(engine, bound, 0)  # 20 s and 1 GiB are much for a test
    judge = Judge(lambda _: time.sleep(0.001), BOUNDS)

    with pytest.raises(UnboundedError, match=words):
        judge.judge(b"slow")

    assert (working / engine.FAILING).read_bytes() == b"slow"
