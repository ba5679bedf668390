"""The registry: each row is complete, each is used somewhere, and nothing else is."""

import ast
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from sriovbond.bond import rules
from sriovbond.bond.rules import RULES, Rule
from sriovbond.health import PROBES
from tests.docs_tables import CHECKOUT

ROWS = {name: row for name, row in vars(rules).items() if isinstance(row, Rule)}
IDS = {rule.id for rule in RULES}
MODULES = [
    path for path in sorted((CHECKOUT / "sriovbond").rglob("*.py")) if path != Path(rules.__file__)
]
_LITERALS = (ast.Constant, ast.JoinedStr)


@functools.cache
def _nodes(path: Path) -> Sequence[ast.AST]:
    """Return all of a module's syntax tree; walking it takes longer than all that looks at it."""
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def _documentation(nodes: Sequence[ast.AST]) -> Iterator[ast.Constant]:
    """Yield the texts that are statements of their own: they document."""
    for node in nodes:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value


def _texts(nodes: Sequence[ast.AST]) -> Iterator[str]:
    documentation = set(_documentation(nodes))
    for node in nodes:
        match node:
            case ast.Constant(value=str(text)) if node not in documentation:
                yield text


def _rows_used(nodes: Sequence[ast.AST]) -> Iterator[str]:
    """Yield the rows that a module names: `rules.NAME_TAKEN`."""
    for node in nodes:
        match node:
            case ast.Attribute(value=ast.Name(id="rules"), attr=attr):
                yield attr
            case ast.ImportFrom(module="sriovbond.bond.rules", names=names):
                yield from (alias.name for alias in names)


def _rules_passed(nodes: Sequence[ast.AST]) -> Iterator[ast.expr]:
    """Yield the arguments that calls pass as the rule of a fault, by keyword or position."""
    for node in nodes:
        if isinstance(node, ast.Call):
            yield from (keyword.value for keyword in node.keywords if keyword.arg == "rule")
            if ast.unparse(node.func) in {"Fault", "Finding"}:
                yield from node.args[2:]


def test_rows_are_named_by_their_ids_which_are_plain_and_unique() -> None:
    assert list(ROWS.values()) == list(RULES)
    assert len(IDS) == len(RULES)
    for name, rule in ROWS.items():
        assert name == rule.id.upper().replace("-", "_")
        assert name.replace("_", "").isalpha()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_row_is_whole(rule: Rule) -> None:
    for sentences in (rule.what, rule.why):
        assert sentences.endswith(".")
        assert not sentences[0].isspace()
    assert rule.remedy
    assert not rule.remedy.endswith(".")
    assert rule.where
    assert len(set(rule.where)) == len(rule.where)


def test_every_rule_is_found_somewhere() -> None:
    used = {name for path in MODULES for name in _rows_used(_nodes(path))}

    assert ROWS.keys() - used == set()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_no_module_has_a_rule_that_is_not_registered(path: Path) -> None:
    nodes = _nodes(path)
    names = {name for name in _rows_used(nodes) if name.isupper()}
    made = [node for node in nodes if _makes_a_rule(node)]

    assert names <= {*ROWS, "RULES", "PASSING"}
    assert made == []
    assert [rule for rule in _rules_passed(nodes) if isinstance(rule, _LITERALS)] == []
    assert [text for text in _texts(nodes) if text in IDS or _ends_with_an_id(text)] == []


def _makes_a_rule(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) in {"Rule", "rules.Rule"}


def _ends_with_an_id(text: str) -> bool:
    return text.endswith("]") and text.rpartition("[")[2].removesuffix("]") in IDS


def test_every_probe_of_status_has_a_row_of_the_node() -> None:
    of_node = {rule for rule in RULES if rule.level is rules.Level.NODE}

    assert {probe.rule for probe in PROBES} == of_node
