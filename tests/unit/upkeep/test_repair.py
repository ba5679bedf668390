"""What a repair asks of the node; the repairs are tested in the VM."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from deviceinfo import Places, PodRef
from sriovbond.happenings.happening import HappeningKind
from sriovbond.host import Host
from sriovbond.kernel import netns
from sriovbond.records import Record
from sriovbond.upkeep.repair import Repair, Repairs, UpkeepNote
from tests.support import kubelet as kubelets
from tests.support.builders import a_plan, a_state, a_vf, two_vfs

_SLOW_S = 2.5  # more than the default time limit


@pytest.mark.slow
def test_kubelet_has_the_time_of_the_setting_to_say_whose_a_member_is(tmp_path: Path) -> None:
    member, plan = a_vf(), a_plan(two_vfs())
    none = (0, 0, 0)
    record = Record("net", "c1", "bond0", "/x", none, "boot", plan, pod=PodRef("default", "nf1"))
    with TemporaryDirectory() as folder, kubelets.running(Path(folder)) as kubelet:
        container = kubelets.a_container(pf0=member.device)
        kubelet.serve(kubelets.a_pod("nf1", container), delay_s=_SLOW_S)
        places = Places(
            pod_resources=kubelet.socket, checkpoint=tmp_path, multus=tmp_path, results=(tmp_path,)
        )
        host = Host(places=places, state=tmp_path, kubelet_timeout_s=60)
        with netns.own() as home:
            repair = Repair(host, home, home, record, plan, Repairs())
            devices = repair._require_ours(member, member.link)  # noqa: SLF001 - whom it asks

    device = devices.get(member.device)
    assert device is not None
    assert device.is_allocated


def test_a_member_waits_for_the_sriov_operator_and_is_not_refused(tmp_path: Path) -> None:
    member, plan = a_vf(), a_plan(two_vfs())
    record = Record("net", "c1", "bond0", "/x", (0, 0, 0), "boot", plan)
    busy = "the SR-IOV operator is at work on node-1 (syncStatus InProgress)"
    with netns.own() as home:
        repairs = Repairs(at_work=lambda: busy)
        repair = Repair(Host(state=tmp_path), home, home, record, plan, repairs)

        note = repair._take_back(member, member.link, is_in_pod=False)  # noqa: SLF001 - before a move

    assert note.is_put_off
    assert busy in note.text


@pytest.mark.parametrize(
    ("note", "returning"),
    [
        (UpkeepNote(HappeningKind.REPAIR_REFUSED, "it waits", "net1", is_put_off=True), ("net1",)),
        (UpkeepNote(HappeningKind.REPAIR_REFUSED, "kubelet does not answer", "net1"), ("net1",)),
        (UpkeepNote(HappeningKind.REPAIR_REFUSED, "EINVAL", "net1", "0000:01:10.0"), ()),
        (UpkeepNote(HappeningKind.REPAIRED, "it is in the bond again", "net1"), ()),
    ],
)
def test_a_member_that_a_killed_repair_left_in_the_pod_is_returning_until_it_is_in_the_bond_or_home(
    tmp_path: Path, note: UpkeepNote, returning: tuple[str, ...]
) -> None:
    host, plan = Host(state=tmp_path), a_plan(two_vfs())
    record = Record(
        "net", "c1", "bond0", "/x", (0, 0, 0), "boot", plan, returning=("net1",), is_complete=True
    )
    with netns.own() as home:
        repair = Repair(host, home, home, record, plan, Repairs())

        repair.note_refusals([note], replace(a_state(plan), members=()))

    assert repair.record.returning == returning
