"""A member that vanished and came back is put into its bond again, and no other's is touched."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sriovbond import records
from sriovbond.happenings.happening import HappeningKind
from sriovbond.host import Host
from sriovbond.kernel import netns
from sriovbond.upkeep import examination
from sriovbond.upkeep.ended import Ended
from sriovbond.upkeep.examination import Examined
from sriovbond.upkeep.repair import Repairs
from tests.kernel.conftest import Running
from tests.support import movers, wire
from tests.support import pf as pfs
from tests.support.agents import wait_for
from tests.support.calls import Runtime, a_config
from tests.support.leases import IPV4, static
from tests.support.movers import HOST_DEVICE
from tests.support.pods import Pod, come_home, ip
from tests.support.watching import POD_ARGS, await_logged, await_watched, kinds
from tests.vm import rig as rigs
from tests.vm.layout import Vf
from tests.vm.reset import IGBVF

pytestmark = pytest.mark.vf
MTU = 1400
NOTHING_COMES_S = 3.0
"""A pause in which nothing must be repaired: three rounds that could."""
DEVICES = Path("/sys/bus/pci/devices")


@pytest.fixture
def running(vfs: rigs.Layout, running: Running) -> Running:
    """Run agents that end before the VFs are recreated, which they would take."""
    assert vfs.pfs
    return running


@pytest.fixture
def config() -> dict[str, object]:
    return a_config(mtu=MTU, primary="net1", ipam=static(IPV4))


@pytest.fixture
def bonded(runtime: Runtime, vf_pod: Pod, config: dict[str, object]) -> Pod:
    """The pod whose VFs are bonded."""
    runtime.add(config, CNI_ARGS=POD_ARGS).ok()
    return vf_pod


def examined(host: Host, pod: Pod, repairs: Repairs = Repairs()) -> Examined:  # noqa: B008 - frozen
    """Examine the bond; retry while the PF refuses (EINVAL) a VF that is still coming up."""
    results: list[Examined] = []

    def is_past_coming_up() -> bool:
        doubt = Ended(host).doubt
        results.append(examination.examine(host, pod.key(), repairs, doubt))
        return not any("EINVAL" in note.text for note in results[-1].notes)

    wait_for(is_past_coming_up)
    return results[-1]


def members(pod: Pod) -> dict[str, tuple[str, int]]:
    return {one.name: (one.mac, one.mtu) for one in pod.the_bond().members}


def mtus(pod: Pod) -> dict[str, int]:
    """Return the MTUs of the bond's members: a VF comes back with a new MAC."""
    return {name: mtu for name, (_, mtu) in members(pod).items()}


def test_a_vf_whose_driver_was_bound_anew_is_healed(
    running: Running, runtime: Runtime, bonded: Pod, vfs: rigs.Layout, config: dict[str, object]
) -> None:
    agent = running(rest_s=0.5)
    before = members(bonded)
    await_watched(agent)

    pfs.rebind(vfs.pfs[0].vfs[0])
    line = await_logged(agent, "BondRepaired")
    wait_for(lambda: bonded.the_bond().settings["primary"] == "net1")

    assert "member=net1" in line
    assert mtus(bonded) == {name: mtu for name, (_, mtu) in before.items()}
    assert "BondMemberGone" in kinds(agent)
    runtime.delete(config).ok()
    assert not records.keys(runtime.host)


def test_a_pf_reset_is_healed(
    running: Running, runtime: Runtime, bonded: Pod, vfs: rigs.Layout, config: dict[str, object]
) -> None:
    agent = running(rest_s=0.5)
    before = members(bonded)
    await_watched(agent)
    numvfs = DEVICES / vfs.pfs[1].pci / "sriov_numvfs"
    count = numvfs.read_text()

    numvfs.write_text("0")
    await_logged(agent, "BondMemberGone")
    numvfs.write_text(count)
    await_logged(agent, "BondRepaired")
    await_logged(agent, "BondRestored")

    assert mtus(bonded) == dict.fromkeys(before, MTU)
    runtime.delete(config).ok()


def test_a_vf_is_repaired_only_after_it_was_quiet_for_a_while(
    running: Running, bonded: Pod, vfs: rigs.Layout
) -> None:
    before, rest_s = members(bonded), 6.0
    agent = running(rest_s=rest_s, check_interval_s=1)
    await_watched(agent)
    name = pfs.rebind(vfs.pfs[0].vfs[0])
    stirred = first = time.monotonic()
    await_logged(agent, "BondMemberGone")

    while stirred < first + rest_s + 1:  # as further changes by whatever reset the PF
        time.sleep(0.3)
        was, stirred = stirred, time.monotonic()
        ip(f"link set {name} mtu {1300 + int(stirred * 10) % 100}")
        assert "BondRepaired" not in kinds(agent), f"{stirred - was:.1f} s after it was touched"
    await_logged(agent, "BondRepaired")

    assert time.monotonic() - stirred >= rest_s
    assert members(bonded).keys() == before.keys()


def test_repair_that_is_switched_off_only_reports(
    host: Host, bonded: Pod, vfs: rigs.Layout
) -> None:
    pfs.rebind(vfs.pfs[0].vfs[0])

    found = examined(host, bonded, Repairs(members=False))

    assert (found.notes, found.drift) == ((), ())
    assert list(members(bonded)) == ["net2"]


def test_a_vf_that_another_pod_was_given_is_not_touched(
    host: Host, bonded: Pod, vfs: rigs.Layout
) -> None:
    vf = vfs.pfs[0].vfs[0]
    given_to_another(host, vf)
    pfs.rebind(vf)

    found = examined(host, bonded)

    (note,) = found.notes
    assert note.kind is HappeningKind.REPAIR_REFUSED
    assert "was given it" in note.text
    assert any((DEVICES / vf.pci / "net").iterdir())


def given_to_another(host: Host, vf: Vf) -> None:
    """Write a checkpoint in which another pod has the VF."""
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

    (note,) = examined(host, bonded).notes

    assert "bond0's of container other" in note.text


def test_a_vf_that_comes_back_by_a_name_that_the_pod_has_is_healed(
    host: Host, bonded: Pod, vfs: rigs.Layout
) -> None:
    names = [f"eth{number}" for number in range(10)]  # the kernel's own, if udev does not rename
    bonded.batch(*(f"link add {name} type dummy" for name in names))

    name = pfs.rebind(vfs.pfs[0].vfs[0])
    (note,) = examined(host, bonded).notes

    assert name in names
    assert note.kind is HappeningKind.REPAIRED, note.text
    assert mtus(bonded) == {"net1": MTU, "net2": MTU}


def is_put_into(name: str, bridge: str) -> bool:
    """Put a VF into a bridge; return False while it is still coming up, when that is EINVAL."""
    ip(f"link set {name} master {bridge}", check=False)
    return Path(f"/sys/class/net/{bridge}/brif/{name}").exists()


def test_addresses_of_another_interface_are_not_touched(
    host: Host, bonded: Pod, vfs: rigs.Layout
) -> None:
    vf = vfs.pfs[0].vfs[0]
    name = pfs.rebind(vf)
    ip("link add brtest type bridge")
    try:
        wait_for(lambda: is_put_into(name, "brtest"))
        (note,) = examined(host, bonded).notes
        assert f"{name} is in another interface" in note.text
    finally:
        ip("link del brtest")


def test_a_repair_that_fails_leaves_the_vf_on_the_host(
    host: Host, bonded: Pod, vfs: rigs.Layout
) -> None:
    vf = vfs.pfs[0].vfs[0]
    pfs.rebind(vf)
    bonded.batch("link add net1 type dummy")

    (note,) = examined(host, bonded).notes

    assert note.kind is HappeningKind.REPAIR_REFUSED
    assert "EEXIST" in note.text
    assert any((DEVICES / vf.pci / "net").iterdir())


def settings_of(vfs: rigs.Layout) -> tuple[int, bool]:
    """Return the first PF's VLAN and trust of its first VF."""
    (link,) = ip(f"-d -j link show {vfs.pfs[0].name}")
    entry = link["vfinfo_list"][vfs.pfs[0].vfs[0].index]
    return entry["vlan_list"][0].get("vlan", 0), entry["trust"]


def tagged(runtime: Runtime, vfs: rigs.Layout, **keys: object) -> None:
    """Bond two VFs, net1 with VLAN 7 and trust, and let net1 vanish and come back."""
    pf, vf = vfs.pfs[0], vfs.pfs[0].vfs[0]
    pfs.tell(pf, vf, "vlan 7")
    pfs.tell(pf, vf, "trust on")
    runtime.add(a_config(primary="net1", **keys)).ok()
    pfs.rebind(vf)


def reset(vfs: rigs.Layout) -> None:
    """Clear the first VF's settings as its PF's reset would."""
    for words in ("vlan 0", "trust off"):
        pfs.tell(vfs.pfs[0], vfs.pfs[0].vfs[0], words)


def test_settings_that_a_pf_reset_cleared_are_restored_before_the_vf_is_in_the_bond(
    runtime: Runtime, vf_pod: Pod, vfs: rigs.Layout
) -> None:
    tagged(runtime, vfs)
    reset(vfs)
    at_join = []

    with wire.before("put net1", lambda: at_join.append(settings_of(vfs))):
        found = examined(runtime.host, vf_pod)

    assert [one.kind for one in found.notes] == [HappeningKind.REPAIRED], found
    assert set(at_join) == {(7, True)}
    assert found.drift == ()


def test_a_rate_that_a_reset_has_taken_is_set_again(
    runtime: Runtime, vf_pod: Pod, vfs: rigs.Layout
) -> None:
    pf, vf = vfs.pfs[0], vfs.pfs[0].vfs[0]
    pfs.tell(pf, vf, "max_tx_rate 100")
    runtime.add(a_config()).ok()
    pfs.tell(pf, vf, "max_tx_rate 0")
    pfs.rebind(vf)

    (note,) = examined(runtime.host, vf_pod).notes

    (link,) = ip(f"-d -j link show {pf.name}")
    assert note.kind is HappeningKind.REPAIRED, note.text
    assert link["vfinfo_list"][vf.index]["rate"]["max_tx"] == 100


def test_a_vf_whose_settings_may_not_be_set_again_is_refused_with_its_missing_ones(
    runtime: Runtime, vf_pod: Pod, vfs: rigs.Layout
) -> None:
    tagged(runtime, vfs)
    reset(vfs)

    (note,) = examined(runtime.host, vf_pod, Repairs(settings_of_pf=False)).notes

    assert note.kind is HappeningKind.REPAIR_REFUSED
    assert "no VLAN where ADD found VLAN 7" in note.text
    assert "trust off where ADD found trust on" in note.text
    assert list(members(vf_pod)) == ["net2"]
    assert settings_of(vfs) == (0, False)
    with netns.opened(vf_pod.path) as pod:
        assert records.missing(runtime.host, pod.identity, vf_pod.the_bond()) == [note.text]
    assert any((DEVICES / vfs.pfs[0].vfs[0].pci / "net").iterdir())


def test_an_administrators_later_change_stays_and_the_vf_is_refused(
    runtime: Runtime, vf_pod: Pod, vfs: rigs.Layout
) -> None:
    tagged(runtime, vfs)
    pfs.tell(vfs.pfs[0], vfs.pfs[0].vfs[0], "vlan 8")

    (note,) = examined(runtime.host, vf_pod).notes

    assert "VLAN 8, qos 0, 802.1Q where ADD found VLAN 7" in note.text
    assert settings_of(vfs) == (8, True)
    assert list(members(vf_pod)) == ["net2"]


def test_a_vf_that_an_add_would_refuse_now_is_refused_with_its_words(
    runtime: Runtime, vf_pod: Pod, vfs: rigs.Layout
) -> None:
    runtime.add(a_config(failOverMac="none")).ok()
    pf, vf = vfs.pfs[1], vfs.pfs[1].vfs[0]
    pfs.rebind(vf)
    pfs.tell(pf, vf, "mac 06:00:00:00:00:09")

    (note,) = examined(runtime.host, vf_pod).notes

    assert note.kind is HappeningKind.REPAIR_REFUSED
    assert "[vf-mac-held-by-pf]" in note.text
    assert list(members(vf_pod)) == ["net1"]


def test_a_vf_that_came_back_with_another_mac_keeps_it_where_each_member_has_its_own(
    runtime: Runtime, bonded: Pod, vfs: rigs.Layout, config: dict[str, object]
) -> None:
    mac, before = "06:00:00:00:00:09", members(bonded)["net1"][0]
    pfs.tell(vfs.pfs[0], vfs.pfs[0].vfs[0], f"mac {mac}")
    pfs.rebind(vfs.pfs[0].vfs[0])

    found = examined(runtime.host, bonded)
    again = examined(runtime.host, bonded)

    assert f"with the MAC {mac} where it had {before}" in found.notes[0].text
    assert members(bonded)["net1"] == (mac, MTU)
    assert (found.drift, again) == ((), Examined())
    runtime.delete(config).ok()
    assert bonded.the_link("net1").mac == mac


def test_a_vf_that_came_back_with_another_members_mac_gets_its_own_again(
    runtime: Runtime, bonded: Pod, vfs: rigs.Layout
) -> None:
    before = members(bonded)
    vf = vfs.pfs[0].vfs[0]
    name = pfs.rebind(vf)
    ip(f"link set {name} address {before['net2'][0]}")

    (note,) = examined(runtime.host, bonded).notes

    assert note.kind is HappeningKind.REPAIRED, note.text
    assert members(bonded) == before


def test_dead_pods_vfs_come_home_and_the_bond_is_released(
    running: Running, runtime: Runtime, bonded: Pod, vfs: rigs.Layout
) -> None:
    agent = running(gone_after_s=0.2, rest_s=0.5)
    await_watched(agent)

    ip(f"netns del {bonded.name}")
    await_logged(agent, "BondReleased")

    for pf in vfs.pfs[:2]:
        come_home(pf.vfs[0].pci)
    wait_for(lambda: not records.keys(runtime.host))  # IPAM runs separately


def test_a_repair_that_failed_is_tried_again(
    running: Running, bonded: Pod, vfs: rigs.Layout
) -> None:
    agent, vf = running(rest_s=0.5), vfs.pfs[0].vfs[0]
    await_watched(agent)

    (IGBVF / "unbind").write_text(vf.pci)
    await_logged(agent, "BondMemberGone")
    bonded.batch("link add net1 type dummy")  # occupies the name
    (IGBVF / "bind").write_text(vf.pci)
    await_logged(agent, "BondRepairRefused")
    bonded.batch("link del net1")

    await_logged(agent, "BondRepaired")
    assert list(members(bonded)) == ["net2", "net1"]


def test_a_vf_that_was_moved_home_is_left_there(
    running: Running, runtime: Runtime, bonded: Pod, vfs: rigs.Layout, config: dict[str, object]
) -> None:
    agent = running(check_interval_s=1, rest_s=0.5)
    await_watched(agent)

    bonded.ip("link set net1 netns 1")
    await_logged(agent, "BondMemberGone")
    time.sleep(NOTHING_COMES_S)

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

    notes = examined(runtime.host, vf_pod).notes

    assert [one.kind for one in notes] == [HappeningKind.REPAIRED] * 2
    assert vf_pod.the_bond().mac == before
    assert examined(runtime.host, vf_pod) == Examined()


def test_a_vf_that_a_killed_repair_left_in_the_pod_is_taken_from_there(
    host: Host, bonded: Pod, vfs: rigs.Layout
) -> None:
    vf = vfs.pfs[0].vfs[0]
    before = members(bonded)
    name = pfs.rebind(vf)
    bonded.give(name, name, is_up=False)

    (note,) = examined(host, bonded).notes

    assert note.kind is HappeningKind.REPAIRED
    assert members(bonded).keys() == before.keys()


class Killed(BaseException):
    """The end of the agent between two requests, as far as the kernel sees it."""


@pytest.mark.parametrize("doing", ["rename sb-", "put net1"])
def test_a_repair_that_was_killed_before_the_vf_was_in_the_bond_is_finished(
    host: Host, bonded: Pod, vfs: rigs.Layout, doing: str
) -> None:
    def kill() -> None:
        raise Killed

    pfs.rebind(vfs.pfs[0].vfs[0])
    with wire.before(doing, kill), pytest.raises(Killed):
        examined(host, bonded)
    assert members(bonded).keys() == {"net2"}

    (note,) = examined(host, bonded).notes

    assert note.kind is HappeningKind.REPAIRED
    assert members(bonded).keys() == {"net1", "net2"}
    assert examined(host, bonded) == Examined()
    assert all(record.refused == {} for record in records.every(host))


@pytest.mark.parametrize("killed_at", [None, "set the alias", "put net1"])
def test_a_vf_that_host_device_moved_is_at_home_again_after_its_repair_and_its_movers_del(
    runtime: Runtime, vfs: rigs.Layout, killed_at: str | None
) -> None:
    def kill() -> None:
        raise Killed

    vf, other = vfs.pfs[0].vfs[0], vfs.pfs[1].vfs[0]
    HOST_DEVICE.add(runtime.pod, "net1", vf)
    HOST_DEVICE.add(runtime.pod, "net2", other)
    runtime.add(a_config()).ok()
    name = pfs.rebind(vf)

    if killed_at:
        with wire.before(killed_at, kill), pytest.raises(Killed):
            examined(runtime.host, runtime.pod)
    (note,) = examined(runtime.host, runtime.pod).notes

    assert note.kind is HappeningKind.REPAIRED, note.text
    runtime.delete(a_config()).ok()
    HOST_DEVICE.delete(runtime.pod, "net2", other).ok()
    HOST_DEVICE.delete(runtime.pod, "net1", vf).ok()
    assert movers.at_home(vf).alias == ""
    assert movers.at_home(vf).name in {name, vf.name}


def test_a_vf_that_could_not_be_repaired_has_no_alias_on_the_host(
    runtime: Runtime, vfs: rigs.Layout
) -> None:
    vf, other = vfs.pfs[0].vfs[0], vfs.pfs[1].vfs[0]
    HOST_DEVICE.add(runtime.pod, "net1", vf)
    HOST_DEVICE.add(runtime.pod, "net2", other)
    runtime.add(a_config()).ok()
    pfs.rebind(vf)
    runtime.pod.batch("link add net1 type dummy")

    (note,) = examined(runtime.host, runtime.pod).notes

    assert note.kind is HappeningKind.REPAIR_REFUSED
    assert movers.at_home(vf).alias == ""


def test_a_vf_that_its_pod_took_out_of_the_bond_stays_out(
    host: Host, bonded: Pod, vfs: rigs.Layout
) -> None:
    pfs.rebind(vfs.pfs[0].vfs[0])
    assert [one.kind for one in examined(host, bonded).notes] == [HappeningKind.REPAIRED]

    bonded.ip("link set net1 nomaster")

    answer = examined(host, bonded)
    assert answer.notes == ()
    assert any("is not in bond0" in difference for difference in answer.drift)
