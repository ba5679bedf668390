"""A member that vanished and came back is put into its bond again, and nobody else's is touched."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sriovbond import records, upkeep
from sriovbond.bond.happenings import Kind
from sriovbond.host import Host
from sriovbond.upkeep import Examined, Repairs
from tests.kernel.test_watch import POD_ARGS, Running, kinds, let_adopt, told
from tests.kernel.test_watch import running as running  # noqa: PLC0414 - a fixture
from tests.support import pf as pfs
from tests.support.agents import wait_for
from tests.support.calls import Runtime, a_config
from tests.support.leases import IPV4, static
from tests.support.movers import come_home
from tests.support.pods import Pod, a_pod, ip
from tests.vm import rig as rigs
from tests.vm.layout import Vf
from tests.vm.reset import IGBVF

pytestmark = pytest.mark.vf
MTU = 1400
DEVICES = Path("/sys/bus/pci/devices")


@pytest.fixture
def config() -> dict[str, object]:
    return a_config(mtu=MTU, primary="net1", ipam=static(IPV4))


@pytest.fixture
def bonded(runtime: Runtime, vf_pod: Pod, config: dict[str, object]) -> Pod:
    """The pod whose VFs are bonded."""
    runtime.add(config, CNI_ARGS=POD_ARGS).ok()
    return vf_pod


def examined(host: Host, pod: Pod, repairs: Repairs = Repairs()) -> Examined:  # noqa: B008 - frozen
    return upkeep.examine(host, pod.container_id, "bond0", repairs)


def members(pod: Pod) -> dict[str, tuple[str, int]]:
    return {one.name: (one.mac, one.mtu) for one in pod.the_bond().members}


def test_a_vf_whose_driver_was_bound_anew_is_healed(
    running: Running, runtime: Runtime, bonded: Pod, vfs: rigs.Layout, config: dict[str, object]
) -> None:
    agent = running()
    before = members(bonded)
    let_adopt()

    pfs.rebind(vfs.pfs[0].vfs[0])
    line = told(agent, "BondRepaired")
    wait_for(lambda: bonded.the_bond().settings["primary"] == "net1")

    assert "member=net1" in line
    assert members(bonded) == before
    assert "BondMemberGone" in kinds(agent)
    runtime.delete(config).ok()
    assert not records.keys(runtime.host)


def test_a_pf_reset_is_healed(
    running: Running, runtime: Runtime, bonded: Pod, vfs: rigs.Layout, config: dict[str, object]
) -> None:
    agent = running()
    before = members(bonded)
    let_adopt()
    numvfs = DEVICES / vfs.pfs[1].pci / "sriov_numvfs"
    count = numvfs.read_text()

    numvfs.write_text("0")
    told(agent, "BondMemberGone")
    numvfs.write_text(count)
    told(agent, "BondRepaired")
    told(agent, "BondRestored")

    assert members(bonded) == before
    runtime.delete(config).ok()


def test_repair_that_is_switched_off_only_tells(host: Host, bonded: Pod, vfs: rigs.Layout) -> None:
    pfs.rebind(vfs.pfs[0].vfs[0])

    found = examined(host, bonded, Repairs(members=False))

    assert found == Examined()
    assert list(members(bonded)) == ["net2"]


def test_a_vf_that_another_pod_was_given_is_not_touched(
    host: Host, bonded: Pod, vfs: rigs.Layout
) -> None:
    vf = vfs.pfs[0].vfs[0]
    given_to_another(host, vf)
    pfs.rebind(vf)

    found = examined(host, bonded)

    (finding,) = found.findings
    assert finding.kind is Kind.REPAIR_REFUSED
    assert "was given it" in finding.text
    assert any((DEVICES / vf.pci / "net").iterdir())


def given_to_another(host: Host, vf: Vf) -> None:
    """Have kubelet's checkpoint say that some other pod has the VF."""
    entry = {
        "PodUID": "other-uid",
        "ContainerName": "app",
        "ResourceName": "rig.io/pf0",
        "DeviceIDs": {"-1": [vf.pci]},
        "AllocResp": "",
    }
    content = {"Data": {"PodDeviceEntries": [entry], "RegisteredDevices": {}}, "Checksum": 0}
    host.places.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    host.places.checkpoint.write_text(json.dumps(content))


def test_a_vf_that_another_record_names_is_not_touched(
    host: Host, bonded: Pod, vfs: rigs.Layout
) -> None:
    (record,) = records.read_all(host)[0]
    records.write(host, replace(record, container_id="other"))
    pfs.rebind(vfs.pfs[0].vfs[0])

    (finding,) = examined(host, bonded).findings

    assert "bond0's of container other" in finding.text


def test_a_vf_that_comes_back_by_a_name_that_the_pod_has_is_healed(
    host: Host, bonded: Pod, vfs: rigs.Layout
) -> None:
    before = members(bonded)
    names = [f"eth{number}" for number in range(10)]  # the kernel's own, where no udev renames
    bonded.batch(*(f"link add {name} type dummy" for name in names))

    name = pfs.rebind(vfs.pfs[0].vfs[0])
    (finding,) = examined(host, bonded).findings

    assert name in names
    assert finding.kind is Kind.REPAIRED, finding.text
    assert members(bonded) == before


def test_what_stands_in_another_interface_is_not_touched(
    host: Host, bonded: Pod, vfs: rigs.Layout
) -> None:
    vf = vfs.pfs[0].vfs[0]
    name = pfs.rebind(vf)
    ip("link add brtest type bridge")
    try:
        ip(f"link set {name} master brtest")
        (finding,) = examined(host, bonded).findings
        assert f"{name} is in another interface" in finding.text
    finally:
        ip("link del brtest")


def test_a_repair_that_fails_leaves_the_vf_on_the_host(
    host: Host, bonded: Pod, vfs: rigs.Layout
) -> None:
    vf = vfs.pfs[0].vfs[0]
    pfs.rebind(vf)
    bonded.batch("link add net1 type dummy")

    (finding,) = examined(host, bonded).findings

    assert finding.kind is Kind.REPAIR_REFUSED
    assert "EEXIST" in finding.text
    assert any((DEVICES / vf.pci / "net").iterdir())


@pytest.mark.parametrize(("may", "vlan"), [(False, 0), (True, 7)])
def test_the_pfs_settings_come_back_only_where_that_is_wanted(
    runtime: Runtime, vf_pod: Pod, vfs: rigs.Layout, *, may: bool, vlan: int
) -> None:
    pf, vf = vfs.pfs[0], vfs.pfs[0].vfs[0]
    pfs.tell(pf, vf, "vlan 7")
    pfs.tell(pf, vf, "trust on")
    runtime.add(a_config()).ok()
    pfs.tell(pf, vf, "vlan 0")
    pfs.tell(pf, vf, "trust off")
    pfs.rebind(vf)

    (finding,) = examined(runtime.host, vf_pod, Repairs(settings_of_pf=may)).findings

    assert finding.kind is Kind.REPAIRED
    (link,) = ip(f"-d -j link show {pf.name}")
    entry = link["vfinfo_list"][vf.index]
    assert (entry["vlan_list"][0].get("vlan", 0), entry["trust"]) == (vlan, may)


def test_dead_pods_vfs_come_home_and_the_bond_is_released(
    running: Running, runtime: Runtime, bonded: Pod, vfs: rigs.Layout
) -> None:
    agent = running(gone_after_s=0.2)
    let_adopt()

    ip(f"netns del {bonded.name}")
    told(agent, "BondReleased")

    for pf in vfs.pfs[:2]:
        assert any((DEVICES / pf.vfs[0].pci / "net").iterdir())
    assert not records.keys(runtime.host)


def test_a_pod_that_died_before_the_agent_started_is_released(
    running: Running, runtime: Runtime, bonded: Pod, vfs: rigs.Layout
) -> None:
    ip(f"netns del {bonded.name}")
    wait_for(lambda: all(any((DEVICES / pf.vfs[0].pci / "net").iterdir()) for pf in vfs.pfs[:2]))

    told(running(), "BondReleased")

    assert not records.keys(runtime.host)


def test_a_dead_pod_is_released_though_its_vfs_are_in_another_bond(
    running: Running, runtime: Runtime, bonded: Pod, vfs: rigs.Layout, config: dict[str, object]
) -> None:
    ip(f"netns del {bonded.name}")
    with a_pod("next") as following:
        for pf, name in zip(vfs.pfs, ("net1", "net2"), strict=False):
            following.give(come_home(pf.vfs[0].pci), name)
        again = replace(runtime, pod=following)
        again.add(config).ok()

        line = told(running(), "BondReleased")

        assert bonded.container_id in line
        assert records.keys(runtime.host) == [records.key(following.container_id, "bond0")]
        assert len(members(following)) == 2
        again.delete(config).ok()


def test_a_repair_that_failed_is_tried_again(
    running: Running, bonded: Pod, vfs: rigs.Layout
) -> None:
    agent, vf = running(), vfs.pfs[0].vfs[0]
    let_adopt()

    (IGBVF / "unbind").write_text(vf.pci)
    told(agent, "BondMemberGone")
    bonded.batch("link add net1 type dummy")  # in the way
    (IGBVF / "bind").write_text(vf.pci)
    told(agent, "BondRepairRefused")
    bonded.batch("link del net1")

    told(agent, "BondRepaired")
    assert list(members(bonded)) == ["net2", "net1"]


def test_a_vf_that_somebody_moved_home_is_left_there(
    running: Running, runtime: Runtime, bonded: Pod, vfs: rigs.Layout, config: dict[str, object]
) -> None:
    agent = running(check_interval_s=1)
    let_adopt()

    bonded.ip("link set net1 netns 1")
    told(agent, "BondMemberGone")
    time.sleep(3)

    assert "BondRepaired" not in kinds(agent)
    assert any((DEVICES / vfs.pfs[0].vfs[0].pci / "net").iterdir())
    runtime.delete(config).ok()


def test_a_bond_that_lost_all_its_members_has_its_mac_again(
    runtime: Runtime, vf_pod: Pod, vfs: rigs.Layout
) -> None:
    runtime.add(a_config(failOverMac="none")).ok()
    before = vf_pod.the_bond().mac
    for pf in vfs.pfs[1::-1]:
        pfs.rebind(pf.vfs[0])

    findings = examined(runtime.host, vf_pod).findings

    assert [one.kind for one in findings] == [Kind.REPAIRED] * 2
    assert vf_pod.the_bond().mac == before
    assert examined(runtime.host, vf_pod) == Examined()


def test_a_vf_that_a_killed_repair_left_in_the_pod_is_taken_from_there(
    host: Host, bonded: Pod, vfs: rigs.Layout
) -> None:
    vf = vfs.pfs[0].vfs[0]
    before = members(bonded)
    name = pfs.rebind(vf)
    bonded.give(name, name, is_up=False)

    (finding,) = examined(host, bonded).findings

    assert finding.kind is Kind.REPAIRED
    assert members(bonded).keys() == before.keys()
