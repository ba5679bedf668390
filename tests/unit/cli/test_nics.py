"""The NICs' facts as text: each fact, and each missing one."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from sriovbond.bond.links import PhysicalFunction
from sriovbond.cli import nics
from sriovbond.nic.facts import Ethtool, Function, Port, Reporter

PF = Function("0000:08:00.0", "p0", "mlx5_core", eswitch="switchdev")


@pytest.mark.parametrize(
    ("ethtool", "words"),
    [
        (None, "no interface to ask"),
        (Ethtool(problem="not supported by netdevsim"), "not supported by netdevsim"),
        (Ethtool(), "speed unknown"),
        (Ethtool(1000, "full"), "1000 Mb/s, full duplex"),
        (
            Ethtool(10, "half", autonegotiation=True, supported=("10baseT/Half",)),
            "10 Mb/s, half duplex, autonegotiation on; link modes 10baseT/Half",
        ),
        (
            Ethtool(supported=tuple("abcdef")),
            "speed unknown; link modes a b c d and 2 more",
        ),
    ],
)
def test_a_link_is_reported_in_words(ethtool: Ethtool | None, words: str) -> None:
    assert nics.describe_link(ethtool) == words


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (Function(""), "no device to ask"),
        (Function("d", problems=("not supported by igb",)), "not supported by igb"),
        (
            Function("d", port=Port(0, "physical"), problems=("health: failed: EIO",)),
            "port physical; health: failed: EIO",
        ),
        (Function("d", port=Port(3, "pcivf", vf_number=0)), "port pcivf 0"),
        (
            Function(
                "d",
                port=Port(0, "physical"),
                eswitch="legacy",
                reporters=(Reporter("fw", "healthy"), Reporter("tx", "error", 3, 2)),
            ),
            "port physical; eswitch legacy; health: fw healthy, tx error (3 errors, 2 recoveries)",
        ),
        (
            Function("d", port=Port(0, "virtual"), representors=("p0_1",)),
            "port virtual; representor p0_1",
        ),
    ],
)
def test_a_port_is_reported_in_words(function: Function, words: str) -> None:
    assert nics.describe_port(function) == words


def test_nothing_is_printed_without_a_queried_nic() -> None:
    console = Console(file=io.StringIO(), width=20)

    nics.print_nics((), console)

    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == ""


@pytest.mark.parametrize(
    ("eswitch", "has_representors", "words"),
    [
        ("switchdev", False, "p0: devlink says eswitch switchdev; by the names"),
        ("legacy", True, "takes it for switchdev mode"),
        ("switchdev", True, ""),
        ("legacy", False, ""),
        ("", True, ""),
    ],
)
def test_a_guess_by_names_that_devlink_contradicts_is_reported_once(
    eswitch: str, words: str, *, has_representors: bool
) -> None:
    pf = PhysicalFunction(PF.device, name="p0", has_representors=has_representors)
    function = replace(PF, eswitch=eswitch)

    lines = list(nics.contradictions([pf, pf], [function]))

    assert [words in line for line in lines] == ([True] if words else [])
