"""The output for a pod's bond; reading the bond is tested in the VM."""

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from deviceinfo import PodRef
from sriovbond import records
from sriovbond.agent.settings import PREFIX
from sriovbond.cli import show, sriovbond
from sriovbond.errors import MachineError
from sriovbond.host import Host
from sriovbond.records import Record
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


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--pod", "nf1"),
        ("--pod", "nf1", "--netns", "/run/netns/nf1"),
        ("--pod", "default/nf1", "--netns", "/run/netns/nf1"),
    ],
    ids=str,
)
def test_a_pod_that_is_not_named_or_named_twice_is_a_wrong_call(words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(sriovbond, ["show", "bond0", *words])

    assert done.exit_code == 2
    assert "either --pod NAMESPACE/NAME, or --netns" in done.output


@pytest.mark.parametrize(
    ("name", "fault"),
    [("nf1", "'/run/netns/c7': it is not there"), ("nf2", "no cache of this node knows")],
)
def test_a_pods_namespace_is_looked_up_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, fault: str
) -> None:
    monkeypatch.setenv(f"{PREFIX}STATE", str(tmp_path))
    pod = PodRef("default", "nf1", "uid-7")
    record = Record("net", "c7", "bond0", "/run/netns/c7", (4, 5, 6), "", a_plan(), pod=pod)
    records.write(Host(state=tmp_path), record)

    done = CliRunner().invoke(sriovbond, ["show", "bond0", "--pod", f"default/{name}"])

    assert isinstance(done.exception, MachineError)
    assert fault in done.exception.message
