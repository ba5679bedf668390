"""A command imports what it needs, and the list of commands imports none of them."""

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from sriovbond.cli import SUMMARIES, sriovbond
from tests.docs_tables import CHECKOUT

HEAVY = {
    "google",
    "grpc",
    "kubernetes",
    "prometheus_client",
    "pydantic",
    "pyroute2",
    "rich",
    "urllib3",
    "yaml",
}
LOADED = """
import contextlib, io, json, sys
from sriovbond import cli

with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    cli.main()
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def loaded_by(*words: str) -> set[str]:
    """Return the packages that a process has imported when it ends."""
    command = [sys.executable, "-c", LOADED, *words]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("words", ["--version", "--help"])
def test_the_list_of_commands_loads_nothing_heavy(words: str) -> None:
    assert not loaded_by(words) & {*HEAVY, "deviceinfo"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "packages"),
    [
        ("schema", "pydantic"),
        ("rule name-taken", ""),
        ("reference keys", "pydantic"),
        ("agent --alive", "pydantic"),
        ("validate manifests/standalone-flannel.conf", "pydantic"),
        ("validate manifests/nfv-pod.yaml", "pydantic yaml"),
        ("release", "pydantic rich"),
        ("host plan /dev/null --state manifests/nfv-pod.yaml", "yaml"),
        ("host show lo", "pydantic pyroute2 yaml"),
        ("show bond0 --netns /missing", "pydantic pyroute2 rich"),
        ("explain --pod default/missing", "pydantic pyroute2 rich"),
    ],
)
def test_a_command_loads_no_package_that_it_does_not_need(line: str, packages: str) -> None:
    assert loaded_by(*line.split()) & HEAVY == set(packages.split())


@pytest.mark.parametrize("name", SUMMARIES)
def test_a_summary_in_the_list_is_the_first_paragraph_of_the_help(name: str) -> None:
    command = sriovbond.get_command(click.Context(sriovbond), name)

    assert command is not None
    assert (command.help or "").partition("\n\n")[0].replace("\n", " ") == SUMMARIES[name]


def test_a_command_that_does_not_exist_is_a_wrong_call(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sriovbond", "tables"]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "No such command 'tables'" in done.stderr
