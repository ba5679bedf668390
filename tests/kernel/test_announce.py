"""Announcements of the bond's addresses to neighbours: at its carrier, and at a failover."""

import time
from collections.abc import Callable, Iterator

import pytest

from tests.support import traffic
from tests.support.agents import wait_for
from tests.support.calls import Runtime, a_config
from tests.support.pods import Pod, ip
from tests.support.traffic import Announcement
from tests.vm import rig as rigs

pytestmark = pytest.mark.vf
ADDRESSES = ("192.0.2.10", "2001:db8::10")
IPAM = {
    "type": "static",
    "addresses": [{"address": "192.0.2.10/24"}, {"address": "2001:db8::10/64"}],
}
WITHIN_S = 120.0
QUIET_S = 1.0
NAMES = ("net1", "net2")
Heard = Callable[[], list[Announcement]]


@pytest.fixture
def heard(rig: rigs.Layout) -> Iterator[Heard]:
    """Listen on the far side's NIC."""
    with traffic.listening(Pod(rig.remote.netns, "remote"), rig.remote.name) as collect:
        yield collect


def await_announced(heard: Heard, pod: Pod, since: float, count: int = 1) -> dict[str, int]:
    """Return how often each address was announced with the bond's MAC, once all reached `count`.

    Until its first carrier the bond may have another MAC than then.
    """
    deadline = time.monotonic() + WITHIN_S
    while True:
        now = mac(pod)
        fresh = [one for one in heard() if one.heard_s >= since and one.mac == now]
        counts = {address: len(traffic.of(fresh, address)) for address in ADDRESSES}
        if all(number >= count for number in counts.values()):
            return counts
        assert time.monotonic() < deadline, f"{counts} of {count} at {now}: {heard()}"
        time.sleep(0.1)


def await_quiet(heard: Heard) -> None:
    """Wait until nothing was announced for a while: a bond announces every 100 ms."""
    wait_for(lambda: all(one.heard_s < time.monotonic() - QUIET_S for one in heard()))


def active(pod: Pod) -> str:
    state = pod.bond()
    return next((one.name for one in state.members if one.is_active), "") if state else ""


def mac(pod: Pod) -> str:
    state = pod.bond()
    assert state is not None
    return state.mac


def test_the_addresses_are_announced_by_a_bond_that_has_its_carrier_at_once(
    runtime: Runtime, vf_pod: Pod, heard: Heard
) -> None:
    await_carrier(vf_pod)
    started = time.monotonic()

    runtime.add(a_config(ipam=IPAM)).ok()

    await_announced(heard, vf_pod, started)


@pytest.mark.kernel_before("6.14", "may hang where igbvf resets a VF while that is set down")
def test_the_addresses_are_announced_when_the_carrier_comes(
    runtime: Runtime,
    vf_pod: Pod,
    rig: rigs.Layout,
    heard: Heard,
    note: Callable[[str], None],
) -> None:
    for pf in rig.pfs[:2]:
        ip(f"link set {pf.name} down")
    await_carrier(vf_pod, wanted=False)
    runtime.add(a_config(ipam=IPAM)).ok()
    answered = time.monotonic()
    assert not any(traffic.of(heard(), one) for one in ADDRESSES)

    for pf in rig.pfs[:2]:
        ip(f"link set {pf.name} up")

    await_announced(heard, vf_pod, answered)
    note(f"announced within {time.monotonic() - answered:.1f} s of the PFs going up after ADD")


def await_carrier(pod: Pod, *, wanted: bool = True) -> None:
    """Return when both of the pod's VFs have a carrier, or neither has."""
    wait_for(lambda: {pod.the_link(name).has_carrier for name in NAMES} == {wanted})


@pytest.mark.parametrize("count", [1, 3])
def test_a_failover_is_announced_as_often_as_num_grat_arp_asks(
    runtime: Runtime, vf_pod: Pod, rig: rigs.Layout, heard: Heard, count: int
) -> None:
    await_carrier(vf_pod)
    runtime.add(a_config(ipam=IPAM, num_grat_arp=count)).ok()
    await_announced(heard, vf_pod, 0)
    was = active(vf_pod)
    wait_for(lambda: all(one.mii_up for one in vf_pod.the_bond().members))
    await_quiet(heard)  # the first carrier is announced, too
    since = time.monotonic()

    ip(f"link set {rig.pfs[int(was.removeprefix('net')) - 1].name} down")
    wait_for(lambda: active(vf_pod) not in ("", was))

    await_announced(heard, vf_pod, since, count)
    await_quiet(heard)
    late = [one for one in heard() if one.heard_s >= since and one.mac == mac(vf_pod)]
    # fail_over_mac active also changes the MAC, which arp_notify and ndisc_notify announce once
    for address in ADDRESSES:
        assert count <= len(traffic.of(late, address)) <= count + 1
