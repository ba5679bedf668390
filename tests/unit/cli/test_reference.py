import pytest
from click.testing import CliRunner

from sriovbond.agent.report.series import ROWS
from sriovbond.bond.options import MEMBER_OPTIONS, OPTIONS, Option
from sriovbond.bond.ownkeys import OWN_FIELDS
from sriovbond.bond.rules import RULES
from sriovbond.cli import sriovbond


def table(part: str) -> list[list[str]]:
    answer = CliRunner().invoke(sriovbond, ["reference", part])
    assert answer.exit_code == 0
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in answer.stdout.splitlines()
    ]


@pytest.mark.parametrize("part", ["keys", "options", "metrics"])
def test_a_table_has_as_many_cells_in_each_row(part: str) -> None:
    head, rule, *rows = table(part)

    assert set("".join(rule)) <= {"-", "|"}
    assert rows
    assert {len(row) for row in rows} == {len(head)}
    assert [row for row in rows if not row[-1]] == []


def test_every_key_of_ours_has_a_row() -> None:
    keys = [row[0].strip("`") for row in table("keys")[2:]]

    assert keys == list(OWN_FIELDS.values())


@pytest.mark.parametrize("row", [*OPTIONS, *MEMBER_OPTIONS], ids=lambda row: row.name)
def test_every_option_has_a_row_with_its_names_values_and_modes(row: Option) -> None:
    found = next(cells for cells in table("options") if cells[0].startswith(f"`{row.name}`"))

    names, values, default, modes, since, about = found
    assert all(f"`{alias}`" in names for alias in row.aliases)
    assert values == row.kind.words()
    assert default.strip("`") == row.default
    assert all(mode in modes for mode in row.effective) or modes == "all"
    assert (since, about) == (row.since, row.about)


def test_every_rule_has_one_heading_its_reason_and_its_remedy() -> None:
    page = CliRunner().invoke(sriovbond, ["reference", "rules"]).stdout
    sections = dict(text.split("\n", 1) for text in page.split("\n### ")[1:])

    assert sorted(sections) == sorted(rule.id for rule in RULES)
    for rule in RULES:
        words = (rule.what, rule.why, rule.remedy, ", ".join(rule.where))
        assert [text for text in words if text not in sections[rule.id]] == []


def test_every_metric_has_a_row_with_its_labels_and_help() -> None:
    rows = [
        (row[0].strip("`"), row[1], row[2].replace("`", ""), row[3]) for row in table("metrics")[2:]
    ]

    assert rows == [(row.name, row.kind, ", ".join(row.labels), row.help) for row in ROWS]


def test_a_part_that_is_none_is_reported_with_those_that_are() -> None:
    answer = CliRunner().invoke(sriovbond, ["reference", "nothing"])

    assert answer.exit_code == 2
    assert "'keys', 'options', 'rules'" in answer.output
