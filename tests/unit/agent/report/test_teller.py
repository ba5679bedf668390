"""The sinks of a happening: a line in the log, and every other one."""

from dataclasses import replace
from pathlib import Path

import pytest

from sriovbond import log
from sriovbond.agent.report import teller as tell
from sriovbond.agent.report.teller import Teller
from sriovbond.happenings.happening import Happening, HappeningKind
from tests.support.watched import a_happening, a_subject


@pytest.fixture
def lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> "Lines":
    return Lines(tmp_path, capsys)


class Lines:
    def __init__(self, logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._logs, self._capsys = logs, capsys

    def of(self, teller: Teller, *happenings: Happening) -> list[str]:
        with log.logged_to(None, self._logs):
            for happening in happenings:
                teller(happening)
        return self._capsys.readouterr().err.splitlines()


def test_the_log_line_has_pod_member_and_pf(lines: Lines) -> None:
    [line] = lines.of(Teller(), a_happening())

    assert "level=warning" in line
    assert 'msg="bond0: net1 failed, net2 is the active member now"' in line
    assert line.endswith(
        "kind=BondFailover pod=default/nf1 container=nf1-sandbox ifname=bond0 network=bond-net"
        " member=net1 pci=0000:01:10.0 pf=pf1"
    )


@pytest.mark.parametrize("kind", HappeningKind)
def test_a_happening_that_is_no_warning_is_logged_as_info(
    lines: Lines, kind: HappeningKind
) -> None:
    happening = a_happening(kind, member=None)

    [line] = lines.of(Teller(), happening)

    assert ("level=warning" in line) == happening.is_warning
    assert "member=" not in line
    assert "pci=" not in line


def test_of_a_bond_that_flaps_so_many_lines_are_written_a_minute(lines: Lines) -> None:
    now = 1000.0
    told: list[Happening] = []
    teller = Teller(told.append, clock=lambda: now)

    *written, last = lines.of(teller, *[a_happening()] * 500)
    assert (len(written), len(told)) == (30, 500)
    assert "the metrics count the rest" in last
    assert "pod=default/nf1" in last
    assert len(lines.of(teller, a_happening(subject=a_subject("nf2")))) == 1

    now += 60
    assert len(lines.of(teller, a_happening())) == 1


def test_bonds_that_are_gone_are_not_kept_in_mind_for_ever() -> None:
    now = 1000.0
    written = tell.BoundedLog(lambda: now)

    for number in range(1100):
        written(a_happening(subject=a_subject(f"nf{number}")))
        now += 1

    assert 0 < len(written) <= 200


def test_a_sink_that_fails_affects_neither_other_sinks_nor_the_caller(lines: Lines) -> None:
    told: list[Happening] = []
    happening = a_happening(subject=a_subject(pod_name=""))

    def broken(_: Happening) -> None:
        raise RuntimeError("on purpose")

    _, fault = lines.of(Teller(broken, told.append), happening)

    assert told == [happening]
    assert "level=error" in fault
    assert "cannot report a BondFailover: RuntimeError: on purpose" in fault


def test_a_text_that_quotes_a_mebibyte_is_cut_for_all_sinks(lines: Lines) -> None:
    told: list[Happening] = []

    lines.of(Teller(told.append), replace(a_happening(), text="bond0: " + "x" * (1 << 20)))

    assert [len(one.text) for one in told] == [2003]
    assert told[0].text.startswith("bond0: xxx")
