"""fail_over_mac on real VFs, with and without an administrative MAC and trust."""

from pathlib import Path

import pytest

from sriovbond.dispatch import KERNEL, REFUSED
from sriovbond.host import Host
from tests.support import pf, worlds
from tests.support.calls import Runtime, a_config
from tests.support.pods import Pod
from tests.support.refusals import refused
from tests.vm import rig as rigs

pytestmark = pytest.mark.vf
MACS = ("02:00:00:00:ad:01", "02:00:00:00:ad:02")
MAC = "02:00:00:00:ee:01"
INVALID_CONFIG = 7
MODES = ("balance-rr", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb")
SHARING: list[dict[str, object]] = [
    {"failOverMac": "none"},
    {"failOverMac": "follow"},
    *[dict[str, object](mode=one) for one in MODES],
]


def give(vfs: rigs.Layout, pod: Pod, *macs: str) -> None:
    """Move a VF of pf0 and one of pf1 into the pod, up, each with an administrative MAC."""
    for number, mac in enumerate(macs):
        parent = vfs.pfs[number]
        pf.hold(parent, parent.vfs[0], mac)
        pod.give(parent.vfs[0].name, f"net{number + 1}")
    assert macs_of(pod) == list(macs)


def known(host: Host, vfs: rigs.Layout, pod: Pod, *macs: str) -> None:
    """Write SR-IOV CNI's cache files that say that it set these MACs."""
    for number, mac in enumerate(macs):
        pf.cache(host, pod, f"net{number + 1}", vfs.pfs[number].vfs[0], MAC=mac)


def macs_of(pod: Pod) -> list[str]:
    found = [pod.link(name) for name in ("net1", "net2")]
    return [link.mac for link in found if link]


def members_of(pod: Pod) -> list[str]:
    """Return the MACs of the bond and of its members, net1 and net2."""
    state = pod.bond()
    assert state is not None
    assert all(member.is_up for member in state.members)
    by_name = {member.name: member.mac for member in state.members}
    return [state.mac, by_name["net1"], by_name["net2"]]


@pytest.fixture
def held_pod(vfs: rigs.Layout, pod: Pod, host: Host) -> Pod:
    """A pod with untrusted VFs and administrative MACs, known from SR-IOV CNI's cache."""
    give(vfs, pod, *MACS)
    known(host, vfs, pod, *MACS)
    return pod


def test_none_without_administrative_macs_works_and_del_gives_both_macs_back(
    runtime: Runtime, vf_pod: Pod
) -> None:
    before = macs_of(vf_pod)

    runtime.add(a_config(failOverMac="none")).ok()
    assert members_of(vf_pod) == [before[0]] * 3
    runtime.delete(a_config(failOverMac="none")).ok()

    assert macs_of(vf_pod) == before


def test_a_mac_that_the_pf_would_not_let_a_vf_take_is_refused_with_all_that_was_read(
    runtime: Runtime, held_pod: Pod, tmp_path: Path
) -> None:
    """The PF's entry equals the netdev's MAC: only the cache proves it."""
    told = ("[vf-mac-held-by-pf]", "net2 (VF 0 of pf1", "trust off", "spoofchk on", *MACS)
    for keys in SHARING:
        reply = refused(runtime, tmp_path, a_config(**keys))

        assert reply.code == REFUSED, keys
        assert [fact for fact in (*told, "failOverMac active") if fact not in reply.msg] == []
    assert macs_of(held_pod) == list(MACS)


def test_a_mac_that_was_administrative_before_sriov_cni_came_is_known_from_its_cache(
    runtime: Runtime, vfs: rigs.Layout, pod: Pod, tmp_path: Path
) -> None:
    give(vfs, pod, *MACS)
    before = {"AdminMAC": MACS[1], "EffectiveMAC": vfs.pfs[1].vfs[0].mac}
    pf.cache(runtime.host, pod, "net2", vfs.pfs[1].vfs[0], OrigVfState=before)

    reply = refused(runtime, tmp_path, a_config(failOverMac="none"))

    assert reply.code == REFUSED
    assert f"administrative MAC {MACS[1]}" in reply.msg


def test_a_mac_is_administrative_where_the_entry_of_the_pf_differs_from_the_netdevs(
    runtime: Runtime, vf_pod: Pod, rig: rigs.Layout, tmp_path: Path
) -> None:
    pf.tell(rig.pfs[1], rig.pfs[1].vfs[0], f"mac {MAC}")

    reply = refused(runtime, tmp_path, a_config(failOverMac="none"))

    assert reply.code == REFUSED
    assert "[vf-mac-held-by-pf]" in reply.msg
    assert f"MAC {macs_of(vf_pod)[1]}, the PF's entry {MAC}" in reply.msg


def test_none_with_administrative_macs_works_where_the_pf_trusts_the_vfs(
    runtime: Runtime, held_pod: Pod, rig: rigs.Layout
) -> None:
    for parent in rig.pfs[:2]:
        pf.tell(parent, parent.vfs[0], "trust on")

    runtime.add(a_config(failOverMac="none")).ok()
    assert members_of(held_pod) == [MACS[0]] * 3
    runtime.delete(a_config(failOverMac="none")).ok()

    assert macs_of(held_pod) == list(MACS)


def test_active_works_with_administrative_macs_and_without_trust(
    runtime: Runtime, held_pod: Pod
) -> None:
    runtime.add(a_config(failOverMac="active")).ok()

    assert members_of(held_pod)[1:] == list(MACS)


def test_none_works_where_all_vfs_have_the_same_administrative_mac(
    runtime: Runtime, vfs: rigs.Layout, pod: Pod
) -> None:
    give(vfs, pod, MACS[0], MACS[0])
    known(runtime.host, vfs, pod, MACS[0], MACS[0])

    runtime.add(a_config(failOverMac="none")).ok()

    assert members_of(pod) == [MACS[0]] * 3


def test_a_mac_that_is_requested_means_none_and_every_member_takes_it(
    runtime: Runtime, vf_pod: Pod
) -> None:
    before = macs_of(vf_pod)

    result = runtime.add(a_config(mac=MAC)).ok()
    state = vf_pod.bond()
    assert state is not None
    assert (state.settings["fail_over_mac"], result["interfaces"][0]["mac"]) == ("none", MAC)
    assert members_of(vf_pod) == [MAC] * 3
    runtime.delete(a_config(mac=MAC)).ok()

    assert macs_of(vf_pod) == before


def test_a_mac_that_is_requested_is_refused_where_the_pf_holds_the_vfs_to_theirs(
    runtime: Runtime, held_pod: Pod, tmp_path: Path
) -> None:
    reply = refused(runtime, tmp_path, a_config(mac=MAC))

    assert (reply.code, macs_of(held_pod)) == (REFUSED, list(MACS))
    assert f"must take the MAC {MAC}" in reply.msg
    assert "[vf-mac-held-by-pf]" in reply.msg


def test_a_mac_that_is_requested_contradicts_active(
    runtime: Runtime, vf_pod: Pod, tmp_path: Path
) -> None:
    reply = refused(runtime, tmp_path, a_config(mac=MAC, failOverMac="active"))

    assert (reply.code, vf_pod.bond()) == (INVALID_CONFIG, None)
    assert "[mac-with-active]" in reply.msg


def test_an_entry_that_equals_the_mac_proves_nothing_and_is_a_warning(
    runtime: Runtime, vf_pod: Pod, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    refusal = refused(runtime, tmp_path, a_config(failOverMac="none", policy="strict"))

    runtime.add(a_config(failOverMac="none", logFile=str(log))).ok()

    assert refusal.code == REFUSED
    assert "[vf-mac-unclear]" in refusal.msg
    assert "rule=vf-mac-unclear" in log.read_text()
    assert vf_pod.bond()


@pytest.mark.parametrize("keys", [{"failOverMac": "none"}, {"mode": "balance-rr"}], ids=str)
def test_a_mac_that_is_administrative_after_all_is_refused_by_the_kernel_and_all_is_put_back(
    runtime: Runtime, vfs: rigs.Layout, pod: Pod, keys: dict[str, str]
) -> None:
    """The rule's limit: nothing proves that the equal entry is an administrative one."""
    give(vfs, pod, *MACS)
    before = worlds.settled(worlds.world({"host": None, "pod": pod.path}))

    reply = runtime.add(a_config(**keys))

    assert reply.code == KERNEL
    assert "EADDRNOTAVAIL" in reply.msg
    assert "give the VF trust on [vf-mac-unclear]" in reply.msg
    after = worlds.settled(worlds.world({"host": None, "pod": pod.path}))
    assert worlds.differences(before, after) == []


@pytest.mark.parametrize("mode", ["balance-tlb", "balance-alb"])
def test_members_of_one_mac_are_refused_in_modes_that_distinguish_members_by_it(
    runtime: Runtime, vf_pod: Pod, tmp_path: Path, mode: str
) -> None:
    vf_pod.ip(f"link set net2 address {macs_of(vf_pod)[0]}")

    reply = refused(runtime, tmp_path, a_config(mode=mode))

    assert reply.code == REFUSED
    assert "[duplicate-mac]" in reply.msg


def test_an_mtu_above_the_pfs_is_refused(runtime: Runtime, vf_pod: Pod, tmp_path: Path) -> None:
    """The kernel accepts it on the VF, and the PF drops the frames."""
    reply = refused(runtime, tmp_path, a_config(mtu=2000))

    assert (reply.code, vf_pod.bond()) == (REFUSED, None)
    assert "is on pf0, whose MTU is 1500" in reply.msg
    assert "[mtu-above-device]" in reply.msg


def test_a_mac_set_on_a_bound_vf_is_taken_when_it_comes_up_and_del_is_not_blocked(
    runtime: Runtime, vfs: rigs.Layout, vf_pod: Pod
) -> None:
    """The VF's driver is not rebound, so its netdev has the old MAC until it is next set up."""
    pf.tell(vfs.pfs[0], vfs.pfs[0].vfs[0], f"mac {MAC}")

    result = runtime.add(a_config()).ok()
    runtime.check(a_config(), result).ok()
    macs = members_of(vf_pod)[1:]
    runtime.delete(a_config()).ok()

    assert macs[0] in (MAC, vfs.pfs[0].vfs[0].mac)
    assert vf_pod.link("bond0") is None
    assert list(runtime.host.records.glob("*")) == []
