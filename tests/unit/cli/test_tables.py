from rich.table import Table

from sriovbond.cli import tables
from tests.support.terminal import a_console, printed

LONG = "net1 (VF 0 of pf0, 0000:ab:10.0) " * 8


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


def test_control_characters_are_escaped() -> None:
    console, table = a_console(), Table("one")
    name = "net\x1b[2J\u202e"
    tables.add_row(table, name)

    tables.print_table(table, console)
    tables.print_line(name, console)

    assert "\x1b[2J" not in printed(console)
    assert printed(console).count("net\\u001b[2J\\u202e") == 2
