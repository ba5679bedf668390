"""Between a mover's ADD and its DEL: the VFs return to the host unchanged."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from deviceinfo import Places
from sriovbond.bond.links import NO_MAC
from sriovbond.host import Host
from tests.support import movers
from tests.support.agents import wait_for
from tests.support.calls import Runtime, a_config
from tests.support.movers import HOST_DEVICE, MOVERS, SRIOV_CNI, TAKERS_BACK, Mover
from tests.support.pods import Pod, a_pod, ip
from tests.vm import rig as rigs
from tests.vm.layout import Vf

pytestmark = [pytest.mark.vf, pytest.mark.long]
ADMINISTRATIVE = ("06:00:00:00:00:01", "06:00:00:00:00:02")


@pytest.fixture
def given(vfs: rigs.Layout) -> Iterator[tuple[Vf, Vf]]:
    """Return the first VF of two PFs; rebound: SR-IOV CNI's DEL leaves administrative MACs."""
    pair = vfs.pfs[0].vfs[0], vfs.pfs[1].vfs[0]
    yield pair
    rigs.reset_vfs(*(vf.name for vf in pair))


@pytest.fixture
def caller(host: Host, pod: Pod) -> Runtime:
    """Return a runtime whose host has SR-IOV CNI's real cache."""
    return Runtime(replace(host, places=replace(host.places, sriov_cni=Places().sriov_cni)), pod)


def give(mover: Mover, pod: Pod, given: tuple[Vf, ...], **keys: object) -> None:
    for number, vf in enumerate(given, start=1):
        mover.add(pod, f"net{number}", vf, **keys)


def take_back(mover: Mover, pod: Pod, given: tuple[Vf, ...], **keys: object) -> None:
    for number, vf in reversed(list(enumerate(given, start=1))):
        mover.delete(pod, f"net{number}", vf, **keys).ok()


@pytest.mark.parametrize("mover", TAKERS_BACK)
def test_the_movers_del_succeeds_after_ours_and_the_vfs_are_as_before(
    caller: Runtime, given: tuple[Vf, Vf], mover: Mover
) -> None:
    before = [movers.at_home(vf) for vf in given]

    give(mover, caller.pod, given)
    caller.add(a_config()).ok()
    caller.delete(a_config()).ok()
    take_back(mover, caller.pod, given)

    assert [movers.at_home(vf) for vf in given] == before


@pytest.mark.parametrize("mover", TAKERS_BACK)
def test_an_mtu_of_the_bond_is_not_on_the_vfs_that_go_back(
    caller: Runtime, given: tuple[Vf, Vf], mover: Mover
) -> None:
    before = [movers.at_home(vf) for vf in given]
    config = a_config(mtu=1400, failOverMac="none")

    give(mover, caller.pod, given)
    caller.add(config).ok()
    caller.delete(config).ok()
    take_back(mover, caller.pod, given)

    assert [movers.at_home(vf) for vf in given] == before


@pytest.mark.parametrize("mover", TAKERS_BACK)
def test_members_are_left_down_with_name_and_alias_for_the_movers_del(
    caller: Runtime, given: tuple[Vf, Vf], mover: Mover
) -> None:
    alias = {"net1": given[0].name, "net2": given[1].name} if mover is HOST_DEVICE else {}
    give(mover, caller.pod, given)

    caller.add(a_config()).ok()
    bonded = {name: caller.pod.link(name) for name in ("net1", "net2")}
    caller.delete(a_config()).ok()

    for name, link in bonded.items():
        assert link is not None
        assert link.alias == alias.get(name, "")
        left = caller.pod.link(name)
        assert left is not None
        assert not left.is_up
        assert (left.mac, left.mtu, left.alias) == (link.mac, link.mtu, link.alias)
    take_back(mover, caller.pod, given)


@pytest.mark.parametrize("alias", ["", "lo"], ids=["taken off", "another"])
def test_the_movers_del_succeeds_though_the_pod_changed_aliases(
    caller: Runtime, given: tuple[Vf, Vf], alias: str
) -> None:
    before = [movers.at_home(vf) for vf in given]
    give(HOST_DEVICE, caller.pod, given)
    caller.add(a_config()).ok()
    caller.pod.run("ip", "link", "set", "net1", "alias", alias)

    caller.delete(a_config()).ok()
    take_back(HOST_DEVICE, caller.pod, given)

    assert [movers.at_home(vf) for vf in given] == before


@pytest.fixture
def addressed(caller: Runtime, given: tuple[Vf, Vf], mover: Mover) -> Iterator[Runtime]:
    """A pod whose mover also assigned net1 an address and a route by IPAM."""
    ipam = {
        "type": "static",
        "addresses": [{"address": "198.51.100.9/24"}, {"address": "2001:db8:9::9/64"}],
        "routes": [{"dst": "203.0.113.0/24", "gw": "198.51.100.1"}],
    }
    mover.add(caller.pod, "net1", given[0], ipam=ipam)
    mover.add(caller.pod, "net2", given[1])
    yield caller
    mover.delete(caller.pod, "net2", given[1]).ok()
    mover.delete(caller.pod, "net1", given[0], ipam=ipam).ok()


def carried(pod: Pod, name: str) -> set[str]:
    """Return IPAM's addresses of a member, and its route if it is set."""
    (link,) = pod.ip(f"-j addr show {name}")
    told = {one["local"] for one in link["addr_info"] if one["scope"] == "global"}
    return told | {route["dst"] for route in pod.ip("-j route") if "gateway" in route}


@pytest.mark.parametrize("mover", TAKERS_BACK)
def test_addresses_that_the_mover_gave_are_flushed(addressed: Runtime, mover: Mover) -> None:
    assert carried(addressed.pod, "net1"), f"{mover} gave none"

    addressed.add(a_config()).ok()

    assert carried(addressed.pod, "net1") == set()
    addressed.delete(a_config()).ok()


@pytest.mark.parametrize("mover", MOVERS)
def test_addresses_that_the_mover_gave_are_refused_and_stay_where_the_config_says_refuse(
    addressed: Runtime, mover: Mover
) -> None:
    before = carried(addressed.pod, "net1")

    reply = addressed.add(a_config(memberAddresses="refuse"))

    assert reply.code == 101
    for words in ("[member-carries-addresses]", "198.51.100.9/24", "2001:db8:9::9/64", "net1"):
        assert words in reply.msg, mover
    assert carried(addressed.pod, "net1") == before


@pytest.mark.parametrize("mover", TAKERS_BACK)
def test_the_ipv4_address_that_the_mover_gave_is_kept_where_the_config_says_keep(
    addressed: Runtime, mover: Mover
) -> None:
    addressed.add(a_config(memberAddresses="keep")).ok()

    # the kernel removes IPv6 addresses and routes when the member is set down to be enslaved
    assert "198.51.100.9" in carried(addressed.pod, "net1"), mover
    addressed.delete(a_config()).ok()


@contextmanager
def administrative(caller: Runtime, given: tuple[Vf, Vf], *, trust: str) -> Iterator[None]:
    """Let SR-IOV CNI set administrative MACs on the VFs, and remove them.

    Its own ADD and DEL set the VF's MAC, which igb accepts only from a trusted VF.
    """
    for number, (vf, mac) in enumerate(zip(given, ADMINISTRATIVE, strict=True), start=1):
        ip(f"link set {pf_of(vf)} vf {vf.index} mac {NO_MAC}")  # as for a VF that no pod has used
        SRIOV_CNI.add(caller.pod, f"net{number}", vf, mac=mac, trust="on")
        ip(f"link set {pf_of(vf)} vf {vf.index} trust {trust}")
    yield
    for vf in given:
        ip(f"link set {pf_of(vf)} vf {vf.index} trust on")
    take_back(SRIOV_CNI, caller.pod, given)


def pf_of(vf: Vf) -> str:
    return str(vf.name).split("v")[0]


@pytest.mark.peer("sriov")
def test_vfs_held_to_administrative_macs_are_bonded_by_default(
    caller: Runtime, given: tuple[Vf, Vf]
) -> None:
    before = [movers.at_home(vf) for vf in given]

    with administrative(caller, given, trust="off"):
        caller.add(a_config()).ok()
        state = caller.pod.bond()
        caller.delete(a_config()).ok()

    assert state is not None
    assert tuple(member.mac for member in state.members) == ADMINISTRATIVE
    assert [movers.at_home(vf) for vf in given] == before


@pytest.mark.peer("sriov")
def test_a_shared_mac_is_refused_where_the_pf_holds_untrusted_vfs_to_their_own(
    caller: Runtime, given: tuple[Vf, Vf]
) -> None:
    with administrative(caller, given, trust="off"):
        reply = caller.add(a_config(failOverMac="none"))

        assert reply.code == 101
        for words in ("[vf-mac-held-by-pf]", "trust off", ADMINISTRATIVE[1], given[1].pci):
            assert words in reply.msg
        assert caller.pod.bond() is None


@pytest.mark.peer("sriov")
def test_a_shared_mac_is_taken_by_trusted_vfs_and_restored(
    caller: Runtime, given: tuple[Vf, Vf]
) -> None:
    before = [movers.at_home(vf) for vf in given]
    config = a_config(failOverMac="none")

    with administrative(caller, given, trust="on"):
        caller.add(config).ok()
        state = caller.pod.bond()
        caller.delete(config).ok()
        left = caller.pod.link("net2")

    assert state is not None
    assert {member.mac for member in state.members} == {ADMINISTRATIVE[0]}
    assert left is not None
    assert left.mac == ADMINISTRATIVE[1]
    assert [movers.at_home(vf) for vf in given] == before


@pytest.mark.peer("sriov")
@pytest.mark.parametrize("links", [None, [{"name": "net1"}, {"name": "net2"}]])
def test_a_vf_on_vfio_pci_is_refused_by_its_pci_address_and_driver(
    caller: Runtime, given: tuple[Vf, Vf], links: object
) -> None:
    with movers.bound_to_vfio(given[0]):
        give(SRIOV_CNI, caller.pod, given)

        reply = caller.add(a_config(links=links))

        assert reply.status == 1
        for words in ("[userspace-driver]", given[0].pci, "vfio-pci"):
            assert words in reply.msg
        assert caller.pod.bond() is None
        # its DEL of net1 fails by itself: its cache does not store that the VF has no netdev
        SRIOV_CNI.delete(caller.pod, "net2", given[1]).ok()


@pytest.mark.parametrize("mover", MOVERS)
def test_del_succeeds_after_the_movers_del_went_first(
    caller: Runtime, given: tuple[Vf, Vf], mover: Mover
) -> None:
    before = [movers.at_home(vf) for vf in given]
    give(mover, caller.pod, given)
    caller.add(a_config(mtu=1400)).ok()

    take_back(mover, caller.pod, given)
    caller.delete(a_config(mtu=1400)).ok()

    assert caller.pod.bond() is None
    assert [movers.at_home(vf) for vf in given] == before
    assert not list(caller.host.records.glob("*"))


def test_del_succeeds_when_the_vfs_have_vanished(caller: Runtime, given: tuple[Vf, Vf]) -> None:
    give(HOST_DEVICE, caller.pod, given)
    caller.add(a_config()).ok()
    pf = Path("/sys/bus/pci/devices", given[0].pci, "physfn").resolve()

    (pf / "sriov_numvfs").write_text("0")
    caller.delete(a_config()).ok()

    assert caller.pod.bond() is None
    assert caller.pod.link("net1") is None
    HOST_DEVICE.delete(caller.pod, "net2", given[1]).ok()


@pytest.mark.parametrize("mover", MOVERS)
def test_vfs_come_home_from_a_pod_that_ends_without_any_del(
    host: Host, given: tuple[Vf, Vf], mover: Mover
) -> None:
    before = [replace(movers.at_home(vf), name="") for vf in given]
    with a_pod() as pod:
        caller = Runtime(host, pod)
        give(mover, pod, given)
        caller.add(a_config(mtu=1400)).ok()
    await_home(given)

    after = [movers.at_home(vf) for vf in given]
    caller.delete(a_config()).ok()

    assert [one.name for one in after] == ["net1", "net2"], "the name is the mover's to give back"
    assert [replace(one, name="", alias="") for one in after] == before
    assert not list(host.records.glob("*"))
    assert ip("-j link show type bond") in ("", "[{}]", [{}], []), "the bond came home"


def await_home(given: tuple[Vf, ...]) -> None:
    wait_for(lambda: all(movers.is_at_home(vf) for vf in given))
