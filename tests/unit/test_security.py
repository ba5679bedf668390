"""Every promise in SECURITY.md has a test."""

import ast
import re
from pathlib import Path

import pytest

from tests.docs_tables import CHECKOUT

PAGE = (CHECKOUT / "SECURITY.md").read_text(encoding="utf-8")
PROMISES = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


def test_every_row_of_the_security_table_names_its_test() -> None:
    reach = PAGE.split("## Who can reach what")[1].split("## Hostile input")[0]
    rows = [line for line in reach.splitlines() if line.startswith("| ")]
    headings = [row for row in rows if row.endswith(" test |")]

    without = [row for row in rows if row not in headings and "::test_" not in row]

    assert len(headings) == 8
    assert without == []


@pytest.mark.parametrize(("path", "name"), PROMISES)
def test_the_test_that_proves_a_promise_exists(path: str, name: str) -> None:
    module = ast.parse(Path(CHECKOUT, path).read_text(encoding="utf-8"))

    assert name in {node.name for node in module.body if isinstance(node, ast.FunctionDef)}
