"""Devices that are busy with their PF: requests are retried, for a bounded time."""

import errno
import threading
import time
from dataclasses import replace

import pytest

from sriovbond.bond.links import Link, VfSettings
from sriovbond.kernel import links, netns, vfs
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.netns import Namespace
from tests.kernel.conftest import Wires
from tests.support import netdevsim, wire
from tests.support.calls import Runtime, a_config
from tests.support.netdevsim import Nic

SLACK_S = 10.0  # for a busy machine


@pytest.mark.parametrize("code", [errno.EAGAIN, errno.EBUSY])
def test_a_member_that_is_busy_is_put_into_the_bond_when_it_is_ready(
    runtime: Runtime, wires: Wires, code: int
) -> None:
    with wire.busy("put net2", code, times=3) as came:
        runtime.add(a_config(links=wires.links)).ok()

    assert len(came) == 4
    assert {one.name for one in wires.pod.the_bond().members} == {"net1", "net2"}


def test_a_member_that_stays_busy_fails_the_add_after_a_bounded_time(
    runtime: Runtime, wires: Wires
) -> None:
    with wire.busy("put net2", errno.EBUSY, times=1000) as came:
        reply = runtime.add(a_config(links=wires.links))

    assert reply.code == 103
    assert "cannot put net2 into bond0: EBUSY" in reply.msg
    assert nl.PATIENCE_S <= came[-1] - came[0] < nl.PATIENCE_S + SLACK_S
    assert wires.pod.bond() is None


def test_a_refusal_for_another_reason_is_not_retried(runtime: Runtime, wires: Wires) -> None:
    with wire.busy("put net2", errno.EPERM, times=1000) as came:
        reply = runtime.add(a_config(links=wires.links))

    assert reply.code == 103
    assert len(came) == 1


def test_a_mac_is_set_when_the_device_is_ready(wires: Wires) -> None:
    mac = "02:00:00:00:00:77"
    with netns.opened(wires.pod.path) as pod, wire.busy("set the MAC", errno.EAGAIN, times=2):
        link = links.find(pod.netlink, "net1")
        assert link is not None
        links.set_mac(pod.netlink, link, mac)

    assert wires.pod.the_link("net1").mac == mac


def test_an_add_waits_for_a_mac_that_a_driver_sets_late(runtime: Runtime, wires: Wires) -> None:
    shared, own = wires.pod.the_link("net1").mac, wires.pod.the_link("net2").mac

    def set_at_last() -> None:
        time.sleep(0.3)  # a tenth of the retry time
        wires.pod.ip(f"link set net2 address {shared}")

    late = threading.Thread(target=set_at_last)

    def not_yet() -> None:
        wires.pod.ip(f"link set net2 address {own}")
        late.start()

    with wire.before_proof(not_yet):
        runtime.add(a_config(links=wires.links, failOverMac="none")).ok()

    late.join()


def test_a_request_that_succeeds_at_once_is_sent_once(runtime: Runtime, wires: Wires) -> None:
    with wire.watched() as requests:
        runtime.add(a_config(links=wires.links)).ok()

    doings = [one.doing for one in requests]
    assert sum(doing.startswith("put net") for doing in doings) == 2
    assert sum(doing == "look at bond0" for doing in doings) <= 2


def told(home: Namespace, nic: Nic) -> tuple[Link, VfSettings]:
    """Return the PF's link, and its settings of its first VF."""
    standing = links.dump(home.netlink, with_vfs=True)
    pf = next(one for one in standing if one.name == nic.pf)
    return pf, next(one for one in pf.vfs if one.number == 0)


@pytest.mark.netdevsim
def test_a_pf_whose_vf_is_being_reset_is_reported_when_it_is_ready() -> None:
    with netdevsim.a_nic() as nic, netns.own() as home:
        pf, was = told(home, nic)
        wanted = replace(
            was,
            vlan=7,
            qos=3,
            vlan_proto="802.1ad",
            trust=not was.trust,
            spoofchk=not was.spoofchk,
        )

        with wire.busy(f"have {nic.pf}", errno.EBUSY, times=2) as came:
            refused = vfs.restore(home.netlink, pf, was, wanted)

        assert refused == []
        assert len(came) == 2 + 3
        assert told(home, nic)[1] == wanted
