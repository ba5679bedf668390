"""The output for a pod's bond; reading the bond is tested in the VM."""

from dataclasses import replace

from sriovbond.cli import show
from tests.support.builders import a_plan, a_state
from tests.support.terminal import a_console, printed


def test_a_bond_is_shown_whole_on_a_narrow_terminal() -> None:
    console = a_console(20)
    state = a_state(a_plan())
    member = replace(state.members[0], device="0000:ab:10.0", mac="02:00:00:00:00:ab")

    show.print_bond(replace(state, members=(member,)), console)

    head, *table = printed(console).splitlines()
    assert head.startswith(f"{state.name}  {state.mac}  mtu ")
    assert any({member.name, member.device, member.mac} <= set(row.split()) for row in table)


def test_a_member_that_is_missing_is_shown_with_the_reason() -> None:
    console = a_console(20)

    show.print_bond(a_state(a_plan()), console, missing=["net2 has no VLAN"])

    assert printed(console).splitlines()[-1] == "degraded: net2 has no VLAN"


def test_control_characters_in_a_bond_are_escaped() -> None:
    console = a_console()
    name = "net\x1b[2J\u202e"

    show.print_bond(replace(a_state(a_plan()), settings={"primary": name}), console, missing=[name])

    assert "\x1b[2J" not in printed(console)
    assert printed(console).count("net\\u001b[2J\\u202e") == 2
