"""Policies of worker nodes on PFs, each wired to a port of a switch; and pings meanwhile.

In the VM with WIRING=p2p: each PF has a far side of its own, which is the switch.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sriovbond.kernel import netlink as nl
from sriovbond.kernel.netlink import NetlinkRequest
from sriovbond.survey import diagnosis, lacp
from sriovbond.survey.diagnosis import Patient
from sriovbond.trial.transaction import ChangeOutcome
from tests.support import traffic
from tests.support.changes import Changes
from tests.support.pods import Pod, batch, ip
from tests.support.sites import this_node, wait_until
from tests.vm import rig as rigs

POLICY = """
apiVersion: nmstate.io/v1
kind: NodeNetworkConfigurationPolicy
metadata: {name: worker-bond}
spec:
  nodeSelector: {node-role.kubernetes.io/worker: ""}
  desiredState:
    interfaces:
      - name: bond0
        type: bond
        state: up
        ipv4:
          enabled: true
          dhcp: %s
        link-aggregation:
          mode: %s
          options: {%s}
          port:
            - pf0
            - pf1
"""
ADDRESS = "false\n          address: [{ip: 192.168.100.10, prefix-length: 24}]"
LACP = POLICY % (
    ADDRESS,
    "802.3ad",
    'miimon: "100", lacp_rate: "fast", xmit_hash_policy: "layer3+4"',
)
BACKUP = POLICY % (ADDRESS, "active-backup", 'miimon: "100", primary: pf0')
IN_TURN = POLICY % (ADDRESS, "balance-rr", 'miimon: "100"')
PORTS = "".join(
    f"      - {{name: {name}, type: ethernet, state: up, ipv4: {{enabled: false}}, "
    "ipv6: {enabled: false}}\n"
    for name in ("pf0", "pf1")
)
UPLINK = """
interfaces:
- name: pf0
  type: ethernet
  state: up
  ipv4: {enabled: true, dhcp: false, address: [{ip: 192.168.100.10, prefix-length: 24}]}
"""
MIIMON = "interfaces: [{name: bond0, link-aggregation: {options: {miimon: %d}}}]"
GONE = "interfaces: [{name: bond0, type: bond, state: absent}]"
FAR = "192.168.100.1"


@pytest.fixture
def changes(tmp_path: Path) -> Iterator[Changes]:
    assert rigs.layout().wiring == "p2p", "make vm WIRING=p2p"
    with this_node(tmp_path) as node:
        try:
            yield Changes(node, [])
        finally:
            if node.pod.link("bond0"):
                ip("link del bond0")
            batch(*(f"link set pf{n} mtu 1500 up" for n in (0, 1)))
            rigs.reset_vfs()


@contextmanager
def a_switch(mode: str) -> Iterator[Pod]:
    """Make a group of the far sides' first two ports, as a switch's port-channel."""
    remote = rigs.layout().remote
    far = Pod(remote.netns, remote.netns)
    ports = remote.names[:2]
    far.batch(
        f"link add trunk type bond mode {mode} miimon 100",
        *(f"link set {port} down" for port in ports),
        *(f"link set {port} master trunk" for port in ports),
        "link set trunk up",
        f"address add {FAR}/24 dev trunk",
    )
    try:
        yield far
    finally:
        far.batch("link del trunk", *(f"link set {port} up" for port in ports))


def findings(changes: Changes) -> set[str]:
    node = changes.node
    answers = lacp.read(node.site.node)
    return {str(row.rule) for row in diagnosis.examine(Patient(node.read(), answers))}


def answers(changes: Changes) -> bool:
    return changes.node.pod.run("ping", "-c", "1", "-W", "2", FAR).returncode == 0


def tell(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        sys.stdout.write(f"{text}\n")


def test_lacp_has_a_partner_and_nothing_is_found_wrong(changes: Changes) -> None:
    with a_switch("802.3ad lacp_rate fast"):
        assert changes.apply(LACP + PORTS) is ChangeOutcome.COMMITTED

        wait_until(lambda: answers(changes) and not findings(changes))
        assert findings(changes) == set()
        state = lacp.read(changes.node.site.node)["bond0"]
        assert state.has_partner
        assert {port.aggregator for port in state.ports} == {state.aggregator}
        assert answers(changes)
        assert changes.apply(LACP + PORTS) is ChangeOutcome.NOTHING_TO_DO


def test_a_switch_without_lacp_is_found(changes: Changes) -> None:
    assert changes.apply(LACP) is ChangeOutcome.COMMITTED

    wait_until(lambda: "lacp-partner-missing" in findings(changes))

    assert "lacp-partner-missing" in findings(changes)


def test_packets_in_turn_over_a_static_group_arrive(changes: Changes) -> None:
    with a_switch("balance-xor"):
        assert changes.apply(IN_TURN) is ChangeOutcome.COMMITTED

        wait_until(lambda: answers(changes))
        assert answers(changes)


def test_an_uplink_moves_onto_a_bond_and_fails_over(
    changes: Changes, capsys: pytest.CaptureFixture[str]
) -> None:
    """The far side is one host with both ports: a bridge, as two ports of one switch."""
    with a_bridge():
        changes.apply(UPLINK)
        wait_until(lambda: answers(changes))
        began = time.monotonic()
        with traffic.pings(changes.node.pod, FAR) as moved:
            moved.await_answer()
            assert changes.apply(BACKUP) is ChangeOutcome.COMMITTED
            took_s = time.monotonic() - began
            moved.await_answer(time.time())
        tell(f"an uplink moves onto a bond in {took_s:.1f} s: {moved}", capsys)

        with traffic.pings(changes.node.pod, FAR) as failed:
            failed.await_answer()
            rigs.pull_cable("pf0")
            wait_until(lambda: _active(changes) == "pf1")
            failed.await_answer(time.time())
        tell(f"its cable is pulled: {failed}", capsys)
        assert _active(changes) == "pf1"
        rigs.plug_cable("pf0")


def _active(changes: Changes) -> str:
    members = changes.node.pod.the_bond("bond0").members
    return next((row.name for row in members if row.is_active), "")


@contextmanager
def a_bridge() -> Iterator[Pod]:
    """Make a switch of the far sides' first two ports, which are not grouped."""
    remote = rigs.layout().remote
    far = Pod(remote.netns, remote.netns)
    far.batch(
        "link add switch type bridge",
        *(f"link set {port} master switch up" for port in remote.names[:2]),
        "link set switch up",
        f"address add {FAR}/24 dev switch",
    )
    try:
        yield far
    finally:
        far.batch("link del switch")


def test_a_change_in_place_loses_no_ping(
    changes: Changes, capsys: pytest.CaptureFixture[str]
) -> None:
    with a_bridge():
        changes.apply(BACKUP)
        wait_until(lambda: answers(changes))
        with traffic.pings(changes.node.pod, FAR) as running:
            running.await_answer()
            began = time.monotonic()
            for milliseconds in (50, 200, 100):
                assert changes.apply(MIIMON % milliseconds) is ChangeOutcome.COMMITTED
            took_s = (time.monotonic() - began) / 3
            running.await_answer(time.time())
        tell(f"miimon is changed in {took_s:.1f} s, three times: {running}", capsys)

    assert running.lost == 0


def test_how_long_a_bond_takes_beside_ip(
    changes: Changes, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `ip` does with the same messages; the second port waits for the first in both."""
    times: list[float] = []

    def note(request: NetlinkRequest) -> None:
        if request.changes:
            times.append(time.monotonic())

    with a_bridge():
        nl.taps.append(note)
        try:
            changes.apply(BACKUP)
        finally:
            nl.taps.remove(note)
        ours_s = times[-1] - times[0]
        changes.apply(GONE)
        batch("link set pf0 up", "link set pf1 up")
        rigs.reset_vfs()
        bare_s = _by_ip()
    tell(f"from first to last request {ours_s:.2f} s, ip {bare_s:.2f} s", capsys)


def _by_ip() -> float:
    """Make the same bond by `ip`, in the same order; return the seconds."""
    began = time.monotonic()
    batch(
        "link add bond0 type bond mode active-backup miimon 100",
        "link set bond0 up",
        "link set pf0 down",
        "link set pf0 master bond0",
        "address add 192.168.100.10/24 dev bond0",
    )
    while "state UP" not in Path("/proc/net/bonding/bond0").read_text() and (
        "Currently Active Slave: pf0" not in Path("/proc/net/bonding/bond0").read_text()
    ):
        time.sleep(0.01)
    batch("link set pf1 down", "link set pf1 master bond0")
    return time.monotonic() - began
