"""Policies of worker nodes on PFs, each wired to a port of a switch; and pings meanwhile.

In the VM with WIRING=p2p: each PF has a far side of its own, which is the switch.
"""

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sriovbond.dhcp import files, service
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.netlink import NetlinkRequest
from sriovbond.survey import diagnosis, lacp
from sriovbond.survey.diagnosis import Patient
from sriovbond.trial.transaction import ChangeOutcome
from tests.docs_tables import CHECKOUT
from tests.support import dhcp, guests, traffic
from tests.support.changes import Changes
from tests.support.pods import Pod, batch, ip
from tests.support.sites import this_node, wait_until
from tests.vm import rig as rigs
from tests.vm import vfs

DATA = CHECKOUT / "tests/data/host"
FAR = {"lacp": "192.168.100.1", "active-backup": "10.10.0.1", "rr": "192.0.2.1"}
"""A host in the network of each policy's address; for DHCP that of the server."""
GATEWAY = "192.0.2.254"
UPLINK = """
interfaces:
- name: pf0
  type: ethernet
  state: up
  ipv4: {enabled: true, dhcp: false, address: [{ip: 10.10.0.10, prefix-length: 24}]}
"""
MIIMON = "interfaces: [{name: bond0, link-aggregation: {options: {miimon: %d}}}]"
GONE = "interfaces: [{name: bond0, type: bond, state: absent}]"


def policy(name: str) -> str:
    """Return a worker's policy as people write it, over the rig's PFs."""
    text = (DATA / f"worker-bond-{name}.yml").read_text("utf-8")
    return text.replace("ens224", "pf0").replace("ens256", "pf1")


def of_the_page(number: int) -> str:
    """Return a document of the page for nmcli, over the rig's PFs."""
    page = (CHECKOUT / "docs/host.md").read_text("utf-8")
    section = page.partition("## From nmcli to a document")[2].partition("\n## ")[0]
    text: str = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)[number]
    return text.replace("enp7s0", "pf0").replace("enp8s0", "pf1")


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
def a_switch(made: str, address: str) -> Iterator[Pod]:
    """Make a link of this type over the far sides' first two ports: a switch with an address.

    The first port has the rig's own addresses, which are in the network of some documents:
    they are taken from it meanwhile.
    """
    remote = rigs.layout().remote
    far = Pod(remote.netns, remote.netns)
    ports = remote.names[:2]
    far.batch(
        f"link add switch type {made}",
        f"address flush dev {ports[0]}",
        *(f"link set {port} down" for port in ports),
        *(f"link set {port} master switch" for port in ports),
        *(f"link set {port} up" for port in ports),
        "link set switch up",
        f"address add {address}/24 dev switch",
    )
    try:
        yield far
    finally:
        far.batch(
            "link del switch",
            *(f"link set {port} up" for port in ports),
            f"address add {remote.ipv4} dev {ports[0]}",
            f"address add {remote.ipv6} dev {ports[0]} nodad",
        )


def findings(changes: Changes) -> set[str]:
    node = changes.node
    answers = lacp.read(node.site.node)
    return {str(row.rule) for row in diagnosis.examine(Patient(node.read(), answers))}


def answers(changes: Changes, address: str) -> bool:
    return changes.node.pod.run("ping", "-c", "1", "-W", "2", address).returncode == 0


def tell(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        sys.stdout.write(f"{text}\n")


def test_lacp_has_a_partner_and_nothing_is_found_wrong(changes: Changes) -> None:
    far = FAR["lacp"]
    with a_switch("bond mode 802.3ad lacp_rate fast miimon 100", far):
        assert changes.apply(policy("lacp")) is ChangeOutcome.COMMITTED

        wait_until(lambda: answers(changes, far) and not findings(changes))
        assert findings(changes) == set()
        state = lacp.read(changes.node.site.node)["bond0"]
        assert state.has_partner
        assert {port.aggregator for port in state.ports} == {state.aggregator}
        assert answers(changes, far)
        assert changes.apply(policy("lacp")) is ChangeOutcome.NOTHING_TO_DO


def test_a_switch_without_lacp_is_found(changes: Changes) -> None:
    assert changes.apply(policy("lacp")) is ChangeOutcome.COMMITTED

    wait_until(lambda: "lacp-partner-missing" in findings(changes))

    assert "lacp-partner-missing" in findings(changes)


def test_packets_in_turn_over_a_static_group_arrive(changes: Changes) -> None:
    far = FAR["rr"]
    try:
        with a_switch("bond mode balance-xor miimon 100", far) as side, dhcp.server(side, "switch"):
            assert changes.apply(policy("rr")) is ChangeOutcome.COMMITTED

            wait_until(lambda: answers(changes, far))
            assert answers(changes, far)
    finally:
        for name in files.names(changes.node.host):
            service.stop(changes.node.host, name)


def test_an_uplink_moves_onto_a_bond_and_fails_over(
    changes: Changes, capsys: pytest.CaptureFixture[str]
) -> None:
    """The far side is one host with both ports: a bridge, as two ports of one switch."""
    far = FAR["active-backup"]
    with a_switch("bridge", far):
        changes.apply(UPLINK)
        wait_until(lambda: answers(changes, far))
        began = time.monotonic()
        with traffic.pings(changes.node.pod, far) as moved:
            moved.await_answer()
            assert changes.apply(policy("active-backup")) is ChangeOutcome.COMMITTED
            took_s = time.monotonic() - began
            moved.await_answer(time.time())
        tell(f"an uplink moves onto a bond in {took_s:.1f} s: {moved}", capsys)

        with traffic.pings(changes.node.pod, far) as failed:
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


def test_a_change_in_place_loses_no_ping(
    changes: Changes, capsys: pytest.CaptureFixture[str]
) -> None:
    far = FAR["active-backup"]
    with a_switch("bridge", far):
        changes.apply(policy("active-backup"))
        wait_until(lambda: answers(changes, far))
        with traffic.pings(changes.node.pod, far) as running:
            running.await_answer()
            began = time.monotonic()
            for milliseconds in (50, 200, 100):
                assert changes.apply(MIIMON % milliseconds) is ChangeOutcome.COMMITTED
            took_s = (time.monotonic() - began) / 3
            running.await_answer(time.time())
        tell(f"miimon is changed in {took_s:.1f} s, three times: {running}", capsys)

    assert running.lost == 0


@contextmanager
def the_active_cable_pulled(changes: Changes) -> Iterator[None]:
    first = _active(changes)
    rigs.pull_cable(first)
    try:
        wait_until(lambda: _active(changes) not in ("", first))
        assert _active(changes) not in ("", first)
        yield
    finally:
        rigs.plug_cable(first)


def test_the_bond_for_nmcli_keeps_its_gateway_when_a_cable_is_pulled(changes: Changes) -> None:
    with a_switch("bridge", GATEWAY):
        assert changes.apply(of_the_page(0)) is ChangeOutcome.COMMITTED
        wait_until(lambda: answers(changes, GATEWAY))
        with the_active_cable_pulled(changes):
            wait_until(lambda: answers(changes, GATEWAY))
            assert answers(changes, GATEWAY)


def test_a_guest_on_the_bridge_for_nmcli_is_reached_when_a_cable_is_pulled(
    changes: Changes,
) -> None:
    """An emulated PF that has VFs keeps frames for a guest's MAC from a bridge: it has none."""
    node = changes.node.pod
    for pf in rigs.layout().pfs[:2]:
        (vfs.DEVICES / pf.pci / "sriov_numvfs").write_text("0")
    try:
        with a_switch("bridge", GATEWAY):
            assert changes.apply(of_the_page(1)) is ChangeOutcome.COMMITTED
            with guests.a_guest(node.path, "vnet0", "192.0.2.30") as guest:
                node.batch("link set vnet0 master br0", "link set vnet0 up")
                assert guest.finds(GATEWAY, 60)
                with the_active_cable_pulled(changes):
                    assert guest.finds(GATEWAY, 60)
    finally:
        ip("link del br0", check=False)


def test_how_long_a_bond_takes_beside_ip(
    changes: Changes, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `ip` does with the same messages; the second port waits for the first in both."""
    times: list[float] = []

    def note(request: NetlinkRequest) -> None:
        if request.changes:
            times.append(time.monotonic())

    with a_switch("bridge", FAR["active-backup"]):
        nl.taps.append(note)
        try:
            assert changes.apply(policy("active-backup")) is ChangeOutcome.COMMITTED
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
        "address add 10.10.0.10/24 dev bond0",
    )
    while "state UP" not in Path("/proc/net/bonding/bond0").read_text() and (
        "Currently Active Slave: pf0" not in Path("/proc/net/bonding/bond0").read_text()
    ):
        time.sleep(0.01)
    batch("link set pf1 down", "link set pf1 master bond0")
    return time.monotonic() - began
