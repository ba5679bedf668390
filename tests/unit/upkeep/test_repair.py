"""What a repair asks of the node; the repairs are tested in the VM."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from deviceinfo import Places, PodRef
from sriovbond.host import Host
from sriovbond.kernel import netns
from sriovbond.records import Record
from sriovbond.upkeep.repair import Repair, Repairs
from tests.support import kubelet as kubelets
from tests.support.builders import a_plan, a_vf, two_vfs

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
