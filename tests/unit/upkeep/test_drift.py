"""Differences of a bond from its record, as an examination returns them."""

import json
from dataclasses import replace
from itertools import repeat
from pathlib import Path

from deviceinfo import Places
from sriovbond.host import Host
from sriovbond.kernel import netns
from sriovbond.records import Record
from sriovbond.upkeep import examination
from sriovbond.upkeep.examination import some_of
from sriovbond.upkeep.repair import Repair, Repairs
from tests.support.builders import a_plan, a_state

BY_TUNING, BY_ANOTHER = "02:00:00:00:aa:01", "02:00:00:00:aa:02"


def write_result(folder: Path, mac: str) -> None:
    """Write libcni's cache of the result of a chain whose last plugin has set a MAC."""
    interfaces = [{"name": "bond0", "mac": mac, "sandbox": "/x"}]
    cached = {
        "kind": "cniCacheV1",
        "containerId": "c1",
        "ifName": "bond0",
        "networkName": "net",
        "result": {"cniVersion": "1.1.0", "interfaces": interfaces},
    }
    (folder / "net-c1-bond0").write_text(json.dumps(cached), encoding="utf-8")


def test_the_mac_that_a_later_plugin_of_the_chain_has_set_is_no_drift(tmp_path: Path) -> None:
    write_result(tmp_path, BY_TUNING.upper())
    plan = a_plan(failOverMac="none")
    record = Record("net", "c1", "bond0", "/x", (0, 0, 0), "boot", plan)
    host = Host(places=Places(results=(tmp_path,)), state=tmp_path)
    state = replace(a_state(plan), members=())

    with netns.own() as here:
        repair = Repair(host, here, here, record, plan, Repairs())
        drift = {
            mac: list(examination._drift(repair, replace(state, mac=mac)))  # noqa: SLF001 - no bond
            for mac in (state.mac, BY_TUNING, BY_ANOTHER)
        }

    assert drift == {
        state.mac: [],
        BY_TUNING: [],
        BY_ANOTHER: [f"the MAC of bond0 is {BY_ANOTHER} instead of {BY_TUNING}"],
    }


def test_of_endless_differences_a_hundred_are_returned() -> None:
    assert some_of(repeat("bond0 is missing a route")) == (
        *["bond0 is missing a route"] * 100,
        "and more",
    )
    assert some_of(["one", "two"]) == ("one", "two")
