import io
from dataclasses import replace

from rich.console import Console
from rich.table import Table

from sriovbond.cli import tables
from tests.support.builders import a_plan, a_state

LONG = "net1 (VF 0 of pf0, 0000:ab:10.0) " * 8


def a_console(width: int = 80) -> Console:
    return Console(file=io.StringIO(), width=width)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_table_wider_than_the_terminal_has_its_cells_whole() -> None:
    console, table = a_console(), Table("one", "other")
    tables.add_row(table, LONG, LONG)

    tables.print_table(table, console)

    assert f" {LONG}" in printed(console)
    assert "…" not in printed(console)
    assert len({len(line) for line in printed(console).splitlines()}) == 1


def test_a_table_is_no_wider_than_it_must_be() -> None:
    console, table = a_console(200), Table("one")
    tables.add_row(table, "cell")

    tables.print_table(table, console)

    assert {len(line) for line in printed(console).splitlines()} == {len("│ cell │")}


def test_texts_are_printed_as_they_are() -> None:
    console, table = a_console(), Table("one")
    odd = "[bold] 0000:ab:10.0 [/x]"
    tables.add_row(table, odd)

    tables.print_table(table, console)
    tables.print_line(odd, console)

    assert printed(console).count(odd) == 2


def test_what_would_steer_the_terminal_is_escaped() -> None:
    console, table = a_console(), Table("one")
    name = "net\x1b[2J\u202e"
    tables.add_row(table, name)
    state = a_state(a_plan())

    tables.print_table(table, console)
    tables.print_line(name, console)
    tables.print_bond(replace(state, settings={"primary": name}), console, missing=[name])

    assert "\x1b[2J" not in printed(console)
    assert printed(console).count("net\\u001b[2J\\u202e") == 4


def test_a_bond_is_shown_whole_on_a_narrow_terminal() -> None:
    console = a_console(20)
    state = a_state(a_plan())
    member = replace(state.members[0], device="0000:ab:10.0", mac="02:00:00:00:00:ab")

    tables.print_bond(replace(state, members=(member,)), console)

    head, *table = printed(console).splitlines()
    assert head.startswith(f"{state.name}  {state.mac}  mtu ")
    assert any({member.name, member.device, member.mac} <= set(row.split()) for row in table)


def test_a_member_that_is_missing_is_shown_with_the_reason() -> None:
    console = a_console(20)

    tables.print_bond(a_state(a_plan()), console, missing=["net2 has no VLAN"])

    assert printed(console).splitlines()[-1] == "degraded: net2 has no VLAN"
