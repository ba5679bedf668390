"""Leases of a real DHCP server, which the dhcp plugin requests once the bond has its carrier."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.kernel.conftest import Wires
from tests.support import dhcp
from tests.support.agents import wait_for
from tests.support.calls import Runtime, a_config
from tests.support.leases import addresses, over
from tests.support.pods import Pod, bridge_over
from tests.support.watching import active
from tests.vm import rig as rigs


@pytest.fixture
def daemon_log(tmp_path: Path) -> Path:
    return tmp_path / "dhcp.log"


@pytest.fixture
def dhcp_far(wires: Wires, daemon_log: Path) -> Iterator[Wires]:
    """Make the far side a switch with a DHCP server, and start the dhcp plugin's daemon."""
    bridge_over(wires.far, "192.0.2.1/24")
    with dhcp.server(wires.far, "br0"), dhcp.daemon(daemon_log):
        yield wires


@pytest.mark.parametrize("has_record", [True, False])
def test_a_lease_of_dhcp_is_set_on_the_bond_and_is_released_at_del(
    runtime: Runtime, dhcp_far: Wires, daemon_log: Path, *, has_record: bool
) -> None:
    """The server is informed over the bond, which has to be there."""
    config = over(dhcp_far, dhcp.IPAM)

    result = runtime.add(config).ok()
    standing = set(addresses(dhcp_far.pod))
    runtime.check(config, result).ok()
    if not has_record:
        (record,) = runtime.host.records.glob("*.json")
        record.unlink()
    runtime.delete(config).ok()

    assert standing == {one["address"] for one in result["ips"]}
    assert standing <= {f"192.0.2.{number}/24" for number in range(100, 110)}
    assert [(route["dst"], route["gw"]) for route in result["routes"]] == [
        ("0.0.0.0/0", "192.0.2.1")
    ]
    assert dhcp_far.pod.bond() is None
    assert "lease acquired" in daemon_log.read_text()
    assert "failed to release" not in daemon_log.read_text()


def test_dhcp_runs_only_once_the_carrier_is_up(
    runtime: Runtime, dhcp_far: Wires, note: Callable[[str], None]
) -> None:
    config = over(dhcp_far, dhcp.IPAM)
    for number in (1, 2):
        dhcp_far.far.ip(f"link set far{number} down")
    carrier_after_s = 2.0
    started = time.monotonic()

    with dhcp.later(carrier_after_s, lambda: _up(dhcp_far.far)):
        runtime.add(config).ok()

    took = time.monotonic() - started
    note(f"ADD with dhcp, the carrier {carrier_after_s:.0f} s late: {took:.1f} s")
    assert took >= carrier_after_s
    assert len(addresses(dhcp_far.pod)) == 1
    runtime.delete(config).ok()


def _up(far: Pod) -> None:
    for number in (1, 2):
        far.ip(f"link set far{number} up")


def test_the_wait_for_a_carrier_before_dhcp_is_bounded(runtime: Runtime, wires: Wires) -> None:
    for number in (1, 2):
        wires.far.ip(f"link set far{number} down")
    hasty = Runtime(replace(runtime.host, dhcp_carrier_timeout_s=0.5), runtime.pod)
    started = time.monotonic()

    reply = hasty.add(over(wires, dhcp.IPAM))  # no daemon runs, so it fails at once

    assert reply.status == 1
    assert "'dhcp'" in reply.msg
    assert 0.5 <= time.monotonic() - started < runtime.host.dhcp_carrier_timeout_s
    assert wires.pod.bond() is None


def test_a_renewal_is_not_heard_after_a_failover_that_has_changed_the_bonds_mac(
    runtime: Runtime, wires: Wires, tmp_path: Path
) -> None:
    """The rule dhcp-with-active says so, and that the plugin asks anew then."""
    log = tmp_path / "log"
    with failed_over(runtime, wires, log, "active") as leased:
        wait_for(lambda: "lease rebound" in log.read_text())
        kept = set(addresses(wires.pod))

    assert "renewal time expired, rebinding" in log.read_text()
    assert kept == leased
    assert len(leased) == 1


def test_a_renewal_is_heard_after_a_failover_of_a_bond_that_keeps_its_mac(
    runtime: Runtime, wires: Wires, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with failed_over(runtime, wires, log, "none"):
        renewed = log.read_text().count("lease renewed")
        wait_for(lambda: log.read_text().count("lease renewed") > renewed + 1)

    assert "rebinding" not in log.read_text()


@contextmanager
def failed_over(
    runtime: Runtime, wires: Wires, log: Path, fail_over_mac: str
) -> Iterator[set[str]]:
    """Have a bond whose lease is of 10 s and whose first member has failed; yield its addresses.

    The daemon of the dhcp plugin writes the log.
    """
    config = over(wires, dhcp.IPAM, failOverMac=fail_over_mac)
    bridge_over(wires.far, "192.0.2.1/24")
    with dhcp.server(wires.far, "br0", lease_s=10), dhcp.daemon(log, *dhcp.SOON):
        runtime.add(config).ok()
        leased, first = set(addresses(wires.pod)), active(wires.pod)
        wires.far.ip(f"link set {first.replace('net', 'far')} down")
        wait_for(lambda: active(wires.pod) not in ("", first))
        yield leased
        runtime.delete(config).ok()


@pytest.mark.vf
def test_a_lease_of_dhcp_comes_over_vfs_once_they_have_their_carrier(
    runtime: Runtime, vf_pod: Pod, rig: rigs.Layout, note: Callable[[str], None]
) -> None:
    remote = Pod(rig.remote.netns, "remote")
    started = time.monotonic()

    with dhcp.server(remote, rig.remote.name), dhcp.daemon():
        runtime.add(a_config(ipam=dhcp.IPAM)).ok()
        note(f"ADD over VFs with dhcp: {time.monotonic() - started:.1f} s")
        standing = addresses(vf_pod)
        runtime.delete(a_config(ipam=dhcp.IPAM)).ok()

    assert len(standing) == 1
