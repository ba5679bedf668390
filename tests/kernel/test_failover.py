"""Traffic survives failures: a PF down, VFs removed, a cable pulled."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import traffic
from tests.support.agents import wait_for
from tests.support.calls import Runtime, a_config
from tests.support.leases import addresses
from tests.support.pods import Pod, ip
from tests.support.traffic import Pings
from tests.vm import rig as rigs

pytestmark = [pytest.mark.vf, pytest.mark.long]
FAILS_OVER_WITHIN_S = 60.0
# igbvf polls its link every 2 s, which is 40 pings; counted, since a busy machine may pause
MOST_LOST = 80
NOTHING_COMES_S = 3.0
IPAM = {
    "type": "static",
    "addresses": [{"address": "192.0.2.10/24"}, {"address": "2001:db8::10/64"}],
}
REMOTE = "192.0.2.1"


class Bonded:
    """A pod whose bond has addresses and carries traffic to `remote`."""

    def __init__(self, runtime: Runtime, rig: rigs.Layout, config: dict[str, object]) -> None:
        self.runtime, self.rig, self.config = runtime, rig, config
        self.result: dict[str, Any] = {}

    def add(self) -> None:
        self.result = self.runtime.add(self.config).ok()
        assert self.runtime.pod.bond()
        self.await_members(self.members())
        self._await_dad()

    def _await_dad(self) -> None:
        pod = self.runtime.pod
        wait_for(lambda: not any(one.get("tentative") for one in addresses(pod).values()))

    def members(self) -> set[str]:
        state = self.runtime.pod.bond()
        return {member.name for member in state.members} if state else set()

    def active(self) -> str:
        state = self.runtime.pod.bond()
        return next((one.name for one in state.members if one.is_active), "") if state else ""

    def pf_of(self, member: str) -> str:
        """Return the PF of net1, net2 ...: they are in the PFs' order."""
        return str(self.rig.pfs[int(member.removeprefix("net")) - 1].name)

    def await_members(self, names: set[str]) -> None:
        """Return when these members, and no others, are usable."""
        wait_for(lambda: self._usable() == names)

    def _usable(self) -> set[str]:
        members = self.runtime.pod.the_bond().members
        return {member.name for member in members if member.mii_up and member.has_carrier}

    def await_active(self, *, other_than: str) -> float:
        """Return the seconds until another member is the active one."""
        started = time.monotonic()
        while (now := self.active()) in ("", other_than):
            waited = time.monotonic() - started
            assert waited < FAILS_OVER_WITHIN_S, f"{now!r} is active after {waited:.0f} s"
            time.sleep(0.05)
        return time.monotonic() - started

    def end(self) -> None:
        """Run CHECK and DEL, as after any failover."""
        self.runtime.check(self.config, self.result).ok()
        self.runtime.delete(self.config).ok()
        assert self.runtime.pod.bond() is None


@pytest.fixture
def bonded(runtime: Runtime, vf_pod: Pod, rig: rigs.Layout) -> Iterator[Callable[..., Bonded]]:
    """Return a function that bonds the pod's VFs with these keys and waits for their carrier."""
    assert vf_pod is runtime.pod

    def made(**keys: object) -> Bonded:
        one = Bonded(runtime, rig, a_config(ipam=IPAM, **keys))
        one.add()
        return one

    yield made
    for pf in rig.pfs:
        rigs.plug_cable(pf.name)
        ip(f"link set {pf.name} up")


def survived(sent: Pings, last_trouble: float) -> None:
    """Assert that answers resumed after the failure, and that the gap was bounded."""
    assert sent.last_s > last_trouble, f"traffic never came back: {sent}"
    assert sent.lost < MOST_LOST, str(sent)


@pytest.mark.parametrize("target", [REMOTE, "2001:db8::1"], ids=["ipv4", "ipv6"])
def test_traffic_goes_on_when_the_active_members_pf_goes_down(
    bonded: Callable[..., Bonded], note: Callable[[str], None], target: str
) -> None:
    bond = bonded()
    active = bond.active()

    with traffic.pings(bond.runtime.pod, target) as sent:
        sent.await_answer()
        ip(f"link set {bond.pf_of(active)} down")
        took = bond.await_active(other_than=active)
        done = time.time()
        sent.await_answer(done)

    note(f"failover, PF down, {target}: {took:.2f} s, {sent}")
    survived(sent, done)
    bond.end()


def test_traffic_goes_on_when_the_active_members_vf_is_removed(
    bonded: Callable[..., Bonded], note: Callable[[str], None]
) -> None:
    bond = bonded()
    active = bond.active()
    pf = Path("/sys/class/net", bond.pf_of(active), "device")

    with traffic.pings(bond.runtime.pod, REMOTE) as sent:
        sent.await_answer()
        (pf / "sriov_numvfs").write_text("0")
        took = bond.await_active(other_than=active)
        done = time.time()
        sent.await_answer(done)

    note(f"failover, VFs removed: {took:.2f} s, {sent}")
    survived(sent, done)
    reply = bond.runtime.check(bond.config, bond.result)
    assert reply.code == 102
    assert f"{active} (" in reply.msg
    bond.runtime.delete(bond.config).ok()


def test_removed_vfs_are_there_again_as_the_layout_has_them(
    bonded: Callable[..., Bonded], rig: rigs.Layout
) -> None:
    bond = bonded()
    Path("/sys/bus/pci/devices", rig.pfs[0].pci, "sriov_numvfs").write_text("0")
    bond.runtime.delete(bond.config).ok()

    rigs.reset_vfs()

    for vf in rig.pfs[0].vfs:
        folder = Path("/sys/bus/pci/devices", vf.pci, "net", vf.name)
        assert (folder / "address").read_text().strip() == vf.mac


ARP_MONITOR: dict[str, object] = {
    "arp_interval": 200,
    "arp_ip_target": [REMOTE],
    "arp_validate": "active",
}


def test_a_pulled_cable_is_seen_by_the_arp_monitor(
    bonded: Callable[..., Bonded], note: Callable[[str], None]
) -> None:
    bond = bonded(**ARP_MONITOR)
    active = bond.active()

    with traffic.pings(bond.runtime.pod, REMOTE) as sent:
        sent.await_answer()
        rigs.pull_cable(bond.pf_of(active))
        took = bond.await_active(other_than=active)
        done = time.time()
        sent.await_answer(done)

    note(f"failover, cable pulled, arp_interval 200: {took:.2f} s, {sent}")
    survived(sent, done)
    bond.end()


def test_a_pulled_cable_is_not_seen_by_miimon(
    bonded: Callable[..., Bonded], note: Callable[[str], None]
) -> None:
    bond = bonded()
    active = bond.active()

    with traffic.pings(bond.runtime.pod, REMOTE) as sent:
        sent.await_answer()
        rigs.pull_cable(bond.pf_of(active))
        pulled = time.time()
        time.sleep(NOTHING_COMES_S)

    note(f"no failover, cable pulled, miimon 100, {sent.lost} of {sent.sent} pings lost")
    assert bond.active() == active, "a VF saw the carrier go, which QEMU does not tell it"
    assert sent.last_s < pulled + NOTHING_COMES_S / 2
    bond.end()


def test_a_primary_that_comes_back_is_active_again(
    bonded: Callable[..., Bonded], note: Callable[[str], None]
) -> None:
    bond = bonded(primary="net2")
    assert bond.active() == "net2"

    with traffic.pings(bond.runtime.pod, REMOTE) as sent:
        ip(f"link set {bond.pf_of('net2')} down")
        bond.await_active(other_than="net2")
        ip(f"link set {bond.pf_of('net2')} up")
        back = bond.await_active(other_than="net1")
        done = time.time()
        sent.await_answer(done)

    note(f"primary down and back: active again after {back:.2f} s, {sent}")
    assert bond.active() == "net2"
    survived(sent, done)
    bond.end()


def test_one_of_three_members_carries_the_traffic_when_two_are_gone(
    bonded: Callable[..., Bonded], vf_pod: Pod, rig: rigs.Layout, note: Callable[[str], None]
) -> None:
    vf_pod.give(rig.pfs[2].vfs[0].name, "net3")
    bond = bonded()
    first = bond.active()

    with traffic.pings(vf_pod, REMOTE) as sent:
        ip(f"link set {bond.pf_of(first)} down")
        bond.await_active(other_than=first)
        second = bond.active()
        sent.await_answer(time.time())
        ip(f"link set {bond.pf_of(second)} down")
        bond.await_active(other_than=second)
        done = time.time()
        sent.await_answer(done)

    note(f"two of three members gone, one after the other: {sent}")
    assert len({first, second, bond.active()}) == 3
    survived(sent, done)
    bond.end()
