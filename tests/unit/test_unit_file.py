"""The shipped unit, and the drop-ins of the docs, as systemd parses them."""

import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest

from sriovbond import cli
from tests.support.kustomize import CHECKOUT

UNIT = "sriovbond-agent.service"
SHIPPED = (CHECKOUT / "manifests" / UNIT).read_text(encoding="utf-8")
INSTALL = (CHECKOUT / "docs/install.md").read_text(encoding="utf-8")
DROP_INS = re.findall(r"^```ini\n(.*?)^```$", INSTALL, re.MULTILINE | re.DOTALL)
PROGRAM = "/opt/sriovbond/bin/sriovbond"
START = re.compile(rf"^ExecStart={PROGRAM} (.+)$", re.MULTILINE)


def faults(folder: Path, drop_in: str) -> list[str]:
    """Return systemd's complaints about the unit and the drop-in."""
    unit = folder / UNIT
    unit.write_text(SHIPPED.replace(PROGRAM, "/bin/true"))
    made = folder / f"{UNIT}.d" / "override.conf"
    made.parent.mkdir()
    made.write_text(drop_in.replace(PROGRAM, "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False
    )
    return [line for line in done.stderr.splitlines() if UNIT in line]


@pytest.mark.parametrize("drop_in", ["", *DROP_INS])
def test_systemd_knows_all_that_it_says(tmp_path: Path, drop_in: str) -> None:
    assert faults(tmp_path, drop_in) == []


def test_a_fault_would_be_found(tmp_path: Path) -> None:
    assert faults(tmp_path, "[Service]\nNoSuchKey=1\n") != []


@pytest.mark.parametrize("text", [SHIPPED, *DROP_INS])
def test_the_unit_starts_a_command_of_ours(text: str) -> None:
    [words] = START.findall(text)
    name, *options = shlex.split(words)
    command = cli.sriovbond.get_command(click.Context(cli.sriovbond), name)

    assert command
    command.make_parser(click.Context(command)).parse_args(options)


def test_an_agent_that_cannot_start_is_tried_for_ever_and_not_in_a_rush() -> None:
    settings = dict(line.split("=", 1) for line in SHIPPED.splitlines() if line[:1].isalpha())

    assert (settings["Restart"], settings["StartLimitIntervalSec"]) == ("always", "0")
    assert 2 <= int(settings["RestartSec"]) <= 5
