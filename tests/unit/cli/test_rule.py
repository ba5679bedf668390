import json

import pytest
from click.testing import CliRunner, Result

from sriovbond.bond.rules import NAME_TAKEN, RULES, Rule
from sriovbond.cli import sriovbond
from sriovbond.cli.outcomes import OUTCOMES


def run(*words: str) -> Result:
    return CliRunner().invoke(sriovbond, ["rule", *words])


def test_without_an_id_all_rules_are_listed_one_a_line() -> None:
    lines = run().stdout.splitlines()

    assert [line.split()[0] for line in lines] == [rule.id for rule in RULES]
    assert all(line.endswith(rule.what) for line, rule in zip(lines, RULES, strict=True))


@pytest.mark.parametrize("words", ["name-taken", "[name-taken]"])
def test_a_rule_is_printed_whole_by_its_id_as_a_message_has_it(words: str) -> None:
    text = run(words).stdout

    assert text.startswith("name-taken (error 101)\n")
    for part in (NAME_TAKEN.what, NAME_TAKEN.why, NAME_TAKEN.remedy, "validate, ADD"):
        assert part in text


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_the_same_is_printed_as_json(rule: Rule) -> None:
    shown = json.loads(run(rule.id, "-o", "json").stdout)

    assert shown == {
        "id": rule.id,
        "level": rule.level,
        "where": [str(where) for where in rule.where],
        "what": rule.what,
        "why": rule.why,
        "remedy": rule.remedy,
        "outcome": OUTCOMES[rule.level],
    }


def test_all_are_printed_as_a_json_list() -> None:
    assert [row["id"] for row in json.loads(run("--output", "json").stdout)] == [
        rule.id for rule in RULES
    ]


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("name-takn", "name-taken"), ("lag", "switch-lag-needed"), ("qqq", "all are listed")],
)
def test_an_id_that_does_not_exist_is_a_wrong_call_that_names_near_ones(
    wrong: str, near: str
) -> None:
    answer = run(wrong)

    assert answer.exit_code == 2
    assert f"no rule has the id '{wrong}'" in answer.stderr
    assert near in answer.stderr
