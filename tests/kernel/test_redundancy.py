"""Redundancy over real VFs: one or two PFs under a bond, with each of the three settings.

Every NIC of the rig has one PF, so redundancyLevel nic is tested on snapshots.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sriovbond.dispatch import REFUSED
from tests.support import pf
from tests.support.calls import Runtime, a_config
from tests.support.pods import Pod, ip
from tests.vm import rig as rigs

pytestmark = pytest.mark.vf
SETTINGS = ("require", "prefer", "off")
Told = dict[str, set[str]]


def given(pod: Pod, rig: rigs.Layout, *pfs: int) -> Iterator[int]:
    """Move a VF of each of the PFs to the pod as net1, net2 ...; yield their number so far."""
    for at, number in enumerate(pfs):
        vf = rig.pfs[number].vfs[pfs[:at].count(number)]
        pod.give(vf.name, f"net{at + 1}", is_up=False)
        yield at + 1


def told(runtime: Runtime, **keys: object) -> set[str]:
    """Return the rules that refuse an ADD under `policy: strict`; none if it succeeds."""
    config = a_config(policy="strict", **keys)
    reply = runtime.add(config)
    if not reply.status:
        runtime.delete(config).ok()
    return set(re.findall(r"\[([a-z-]+)\]", reply.msg))


def told_of_two_and_more(runtime: Runtime, rig: rigs.Layout, *pfs: int) -> list[Told]:
    return [
        {asked: told(runtime, redundancy=asked) for asked in SETTINGS}
        for count in given(runtime.pod, rig, *pfs)
        if count > 1
    ]


def test_two_three_and_four_vfs_of_one_pf_are_no_redundancy(
    runtime: Runtime, vfs: rigs.Layout
) -> None:
    found = told_of_two_and_more(runtime, vfs, 0, 0, 0, 0)

    lacking: Told = {"require": {"redundancy-required"}, "prefer": {"no-redundancy"}, "off": set()}
    assert found == [lacking] * 3


def test_two_three_and_four_vfs_of_two_and_three_pfs_are_redundancy(
    runtime: Runtime, vfs: rigs.Layout
) -> None:
    found = told_of_two_and_more(runtime, vfs, 0, 1, 1, 2)

    assert found == [{asked: set() for asked in SETTINGS}] * 3


def test_two_vfs_of_one_pf_are_refused_or_bonded_with_a_warning(
    runtime: Runtime, vfs: rigs.Layout, tmp_path: Path
) -> None:
    list(given(runtime.pod, vfs, 0, 0))
    log = tmp_path / "log"

    refusal = runtime.add(a_config(redundancy="require", policy="warn"))
    runtime.add(a_config(logFile=str(log))).ok()

    first, second, *_ = vfs.pfs[0].vfs
    members = f"net1 (VF 0 of pf0, {first.pci}), net2 (VF 1 of pf0, {second.pci})"
    assert refusal.code == REFUSED
    assert f"{members} are all on the PF {vfs.pfs[0].pci} (pf0); " in refusal.msg
    assert log.read_text().count("rule=no-redundancy") == 1


def test_three_vfs_of_two_pfs_are_bonded_where_two_pfs_are_required(
    runtime: Runtime, vfs: rigs.Layout
) -> None:
    list(given(runtime.pod, vfs, 0, 0, 1))

    runtime.add(a_config(redundancy="require", policy="strict")).ok()

    state = runtime.pod.bond()
    assert state is not None
    assert {one.name for one in state.members} == {"net1", "net2", "net3"}


def test_a_pf_in_a_lag_of_the_host_is_reported_unless_it_is_alone_there(
    runtime: Runtime, vfs: rigs.Layout
) -> None:
    list(given(runtime.pod, vfs, 0, 1))

    with pf.in_host_lag("802.3ad", "pf0", "pf1"):
        grouped = told(runtime)
        ip("link set pf1 nomaster")
        alone = told(runtime)

    assert "pf-in-host-lag" in grouped
    assert "pf-in-host-lag" not in alone
