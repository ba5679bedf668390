"""By the contracts of pyproject.toml, only the command line may import pyroute2."""

import subprocess
import sys
import tomllib
from typing import Any

import pytest

from tests.docs_tables import CHECKOUT


def contract(name: str) -> dict[str, Any]:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    contracts = project["tool"]["importlinter"]["contracts"]
    (border,) = (entry for entry in contracts if entry["name"] == name)
    return dict(border)


def test_only_the_command_line_may_import_it() -> None:
    """No layer imports a higher one, directly or indirectly; and every room is in one."""
    layers = contract("rooms are entered from above")
    loading = contract("only nic, survey and reshape load pyroute2")

    assert layers["layers"][:7] == [
        "__main__",
        "cli",
        "trial",
        "reshape",
        "survey",
        "profiles",
        "dhcp | nic | nodenet",
    ]
    assert layers["exhaustive"]
    assert "ignore_imports" not in layers
    assert loading["source_modules"] == ["sriovbond"]
    assert loading["ignore_imports"] == [
        f"sriovbond.{room}.* -> pyroute2" for room in ("nic", "survey", "reshape")
    ]


@pytest.mark.parametrize("words", [["--version"], ["schema"], ["validate", "/dev/null"]], ids=str)
def test_a_command_that_asks_no_nic_does_not_load_it(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "sriovbond", *words],
        capture_output=True,
        text=True,
        check=False,
    )

    assert "import time:" in done.stderr
    assert "pyroute2" not in done.stderr
