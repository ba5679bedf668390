"""A bond with fail_over_mac active has the MAC of its active port, whatever a document says."""

import pytest

from sriovbond.nodenet import cautions
from tests.unit.nodenet.states import changes, joined, steps

NODE = """\
interfaces:
- {name: bond0, type: bond, state: up, mac-address: '02:00:00:00:00:01',
   bond: {mode: active-backup, options: {fail_over_mac: %s}, port: [eth1]}}
- {name: eth1, type: ethernet, state: up, mac-address: '02:00:00:00:00:01', controller: bond0}
- {name: eth2, type: ethernet, state: up, mac-address: '02:00:00:00:00:02'}
"""
OTHER = "mac-address: '02:00:00:00:00:99'"
NOT_GIVEN = (
    "bond0 does not get the MAC 02:00:00:00:00:99: with fail_over_mac active it has that of its"
    " active port"
)


@pytest.mark.parametrize(
    ("bond", "now", "planned"),
    [
        (OTHER, "active", []),
        ("copy-mac-from: eth2", "active", []),
        (f"{OTHER}, bond: {{mode: 1}}", "active", []),
        (
            f"{OTHER}, bond: {{options: {{fail_over_mac: active}}}}",
            "none",
            ["bond0: set link-aggregation.options.fail_over_mac active, now none"],
        ),
    ],
)
def test_a_mac_that_the_kernel_would_not_set_is_no_wish_and_a_warning(
    bond: str, now: str, planned: list[str]
) -> None:
    beside = joined(f"interfaces: [{{name: bond0, {bond}}}]", NODE % now)

    steps_ = steps(f"interfaces: [{{name: bond0, {bond}}}]", NODE % now)
    assert [line.partition(";")[0] for line in steps_] == planned
    (warning,) = cautions.find(beside)
    assert warning == (
        NOT_GIVEN if OTHER in bond else NOT_GIVEN.replace("02:00:00:00:00:99", "of eth2")
    )


@pytest.mark.parametrize(
    ("bond", "now"),
    [
        (OTHER, "none"),
        (f"{OTHER}, bond: {{options: {{fail_over_mac: follow}}}}", "active"),
        (f"{OTHER}, bond: {{mode: 802.3ad}}", "active"),
    ],
)
def test_a_mac_is_judged_by_the_bond_that_is_to_be(bond: str, now: str) -> None:
    document = f"interfaces: [{{name: bond0, {bond}}}]"

    assert "mac-address: 02:00:00:00:00:99" in changes(document, NODE % now)
    assert cautions.find(joined(document, NODE % now)) == ()


def test_a_new_bond_has_the_mac_of_its_first_port_then() -> None:
    bond = "bond: {mode: 1, options: {fail_over_mac: 1}, port: [eth2]}"

    assert steps(f"interfaces: [{{name: bond9, type: bond, {OTHER}, {bond}}}]", NODE % "none")[
        0
    ] == ("bond9: make it, type bond, mac-address that of eth2")


def test_the_mac_of_a_shown_bond_is_no_warning_and_no_change() -> None:
    document = "interfaces: [{name: bond0, mac-address: '02:00:00:00:00:01'}]"

    assert steps(document, NODE % "active") == []
    assert cautions.find(joined(document, NODE % "active")) == ()
