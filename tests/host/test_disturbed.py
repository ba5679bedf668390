"""What may end a change or disturb it: each time it is reverted whole, and nothing else is."""

import errno
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sriovbond.errors import KernelError, MachineError
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.netlink import NetlinkRequest
from sriovbond.trial import ending, guard, watchdog
from sriovbond.trial.ending import StuckError
from sriovbond.trial.transaction import ChangeOutcome, RevertedError
from tests.support import disks
from tests.support.changes import Changes, await_end
from tests.support.uplinks import BEYOND_REACH, BRIDGE, DNS

SOON_S = 30.0


def test_the_change_of_a_killed_process_is_reverted_before_the_next_one(changes: Changes) -> None:
    before = changes.node.settle()
    assert changes.kill_at(BRIDGE, 6)

    outcome = changes.apply("interfaces: [{name: eth2, mtu: 1490}]")

    assert outcome is ChangeOutcome.COMMITTED
    assert "a change that was left in the middle is reverted" in changes.said
    changes.apply("interfaces: [{name: eth2, mtu: 1500}]")
    changes.node.assert_is(before)


def test_a_change_that_waits_too_long_is_reverted_by_the_watchdog(changes: Changes) -> None:
    before = changes.node.settle()
    changes.apply(BRIDGE + DNS, 40, is_waiting=True)

    await_end(changes, 130)

    changes.node.assert_is(before)


def test_a_process_that_hangs_past_its_time_is_killed_and_its_change_reverted(
    changes: Changes,
) -> None:
    before = changes.node.settle()
    process = changes.start(BRIDGE, SOON_S, "stop=5")

    assert process.wait(90) == -signal.SIGKILL

    await_end(changes, 60)
    changes.node.assert_is(before)
    if process.stdout:
        process.stdout.close()


def test_a_terminated_process_reverts_its_change_first(changes: Changes) -> None:
    before = changes.node.settle()
    with changes.start(BRIDGE, 600, "stop=5") as process:
        while Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            time.sleep(0.1)
        process.terminate()
        process.send_signal(signal.SIGCONT)
        output, _ = process.communicate(timeout=120)

    assert "RevertedError: SIGTERM ended it" in output
    changes.node.assert_is(before)
    assert changes.checkpoint is None


class _ClosedPipe(list[str]):
    """What is said when the reader has gone, as in `host apply FILE | true`."""

    def append(self, line: str) -> None:
        raise BrokenPipeError(errno.EPIPE, f"nobody reads {line!r}")


def test_a_change_is_reverted_at_once_where_its_messages_have_no_reader(changes: Changes) -> None:
    before = changes.node.settle()

    with pytest.raises(RevertedError, match=r"nobody reads .* reverts the change in 600 s"):
        replace(changes, said=_ClosedPipe()).apply(BRIDGE)

    assert changes.checkpoint is None
    changes.node.assert_is(before)


def test_a_disk_that_is_full_before_the_change_keeps_it_from_beginning(changes: Changes) -> None:
    with disks.a_small_disk(changes.node.host.state):
        disks.fill(changes.node.host.state, "bytes")
        with pytest.raises(MachineError, match="No space left"):
            changes.apply(BRIDGE)
        disks.empty(changes.node.host.state)

        assert changes.node.sent == []
        assert changes.apply(BRIDGE) is ChangeOutcome.COMMITTED


def test_a_disk_that_is_full_in_the_middle_reverts_the_change(changes: Changes) -> None:
    before = changes.node.settle()

    def fill(request: NetlinkRequest) -> None:
        if request.changes and len(changes.node.sent) == 4:
            disks.fill(changes.node.host.state, "bytes")

    with disks.a_small_disk(changes.node.host.state):
        nl.taps.append(fill)
        try:
            with pytest.raises(RevertedError, match="No space left"):
                changes.apply(BRIDGE)
        finally:
            nl.taps.remove(fill)

        assert changes.checkpoint is None
        changes.node.assert_is(before)


def test_sysctls_and_a_bridges_settings_for_a_port_are_reverted(changes: Changes) -> None:
    changes.apply(BRIDGE)
    changes.node.ip("link set eth2 type bridge_slave isolated on learning off cost 77 hairpin on")
    before = changes.node.settle()
    ports = changes.node.pod.run("bridge", "-d", "link").stdout
    text = """
interfaces:
- {name: br0, type: linux-bridge, bridge: {port: [{name: eth1}]}, ipv4: {forwarding: true}}
- {name: br1, type: linux-bridge, bridge: {port: [{name: eth2}]}}
- {name: eth1, ipv6: {enabled: false}}
"""
    changes.apply(text, is_waiting=True)

    changes.rollback()

    changes.node.assert_is(before)
    assert changes.node.pod.run("bridge", "-d", "link").stdout == ports


def test_a_resolver_that_cannot_be_restored_hinders_nothing_else(changes: Changes) -> None:
    before = changes.node.settle()
    changes.apply(BRIDGE + DNS, is_waiting=True)
    file = changes.node.host.root / "etc/resolv.conf"
    file.unlink()
    file.mkdir()

    with pytest.raises(StuckError, match=r"resolv\.conf"):
        changes.rollback()

    with pytest.raises(StuckError, match="reverted only in part"):
        changes.apply(BRIDGE)
    file.rmdir()
    changes.node.assert_is({key: row for key, row in before.items() if "resolv" not in key})
    changes.rollback()
    changes.node.assert_is(before)


def test_a_reversal_that_cannot_even_read_is_distinguished_from_a_refusal(
    changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, why: str) -> None:
        raise MachineError(f"cannot list the links: interrupted, after: {why}")

    monkeypatch.setattr(ending, "revert", fail)  # no namespace refuses to be read for as long

    with pytest.raises(StuckError, match=r"10\.0\.0\.0/8.*; cannot list the links"):
        changes.apply(BRIDGE + BEYOND_REACH)


def test_an_address_that_left_by_itself_is_not_put_back(changes: Changes) -> None:
    text = """
interfaces:
- name: eth1
  ipv4:
    enabled: true
    address:
    - {ip: 192.0.2.9, prefix-length: 24}
    - {ip: 192.0.2.100, prefix-length: 32}
    - {ip: 192.0.2.77, prefix-length: 24}
"""
    changes.apply(text, is_waiting=True)
    changes.node.ip("address del 192.0.2.100/32 dev eth1", "address add 192.0.2.101/32 dev eth1")

    changes.rollback()

    addresses = changes.node.pod.run("ip", "-o", "address", "show", "eth1").stdout
    assert "192.0.2.100" not in addresses
    assert "192.0.2.101" in addresses
    assert "192.0.2.77" not in addresses
    assert "192.0.2.9/24" in addresses


def test_addresses_and_routes_changed_in_place_are_reverted(
    changes: Changes,
) -> None:
    changes.node.ip("address add 192.0.2.60/24 dev eth1 valid_lft 9000 preferred_lft 9000")
    before = changes.node.settle()
    text = """
interfaces:
- name: eth1
  ipv4:
    enabled: true
    dhcp: false
    prefix-route-metric: 77
    address:
    - {ip: 192.0.2.9, prefix-length: 24}
    - {ip: 192.0.2.100, prefix-length: 32}
    - {ip: 192.0.2.60, prefix-length: 24}
routes:
  config:
  - destination: 0.0.0.0/0
    next-hop-interface: eth1
    next-hop-address: 192.0.2.1
    metric: 50
    advmss: 1000
"""
    changes.apply(text, is_waiting=True)

    changes.rollback()

    changes.node.assert_is(before)


def test_an_address_that_is_refused_hinders_no_other(changes: Changes) -> None:
    before = changes.node.settle()
    changes.apply(BRIDGE, is_waiting=True)

    def refuse(request: NetlinkRequest) -> None:
        if "192.0.2.9/24 back" in str(request):
            raise KernelError("cannot put 192.0.2.9/24 back: out of memory", errno.ENOMEM)

    nl.taps.append(refuse)
    with pytest.raises(StuckError, match=r"192\.0\.2\.9/24 back"):
        changes.rollback()
    nl.taps.remove(refuse)

    text = changes.node.pod.run("ip", "-o", "address", "show", "eth1").stdout
    assert "192.0.2.9/24" not in text
    assert all(address in text for address in ("192.0.2.100/32", "2001:db8::9/64"))
    changes.rollback()
    changes.node.assert_is(before)


def test_the_watchdog_outlives_whatever_goes_wrong(
    changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is another process that is armed: it is not in the way, and this one tries alone."""
    monkeypatch.setattr(watchdog, "arm", lambda *_: "no watchdog")
    before = changes.node.settle()
    changes.apply(BRIDGE, 20, is_waiting=True)
    checkpoint = changes.checkpoint
    assert checkpoint is not None
    tries = iter([ZeroDivisionError("odd"), MemoryError(), OSError("disk")])
    whole = ending.revert

    def revert(*arguments: object, **options: object) -> None:
        error = next(tries, None)
        if error:
            raise error
        whole(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(ending, "revert", revert)  # these errors cannot be brought about

    assert guard.watch(changes.node.site, changes.node.host, checkpoint.id, lambda: None)
    changes.node.assert_is(before)


def test_two_changes_at_once_wait_for_each_other(changes: Changes) -> None:
    outcomes: list[ChangeOutcome] = []
    threads = [
        threading.Thread(target=lambda text=text: outcomes.append(changes.apply(text)))
        for text in (BRIDGE, DNS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)

    assert outcomes == [ChangeOutcome.COMMITTED, ChangeOutcome.COMMITTED]
    assert changes.node.left(BRIDGE + DNS) == []


def test_a_route_that_the_change_added_before_another_was_refused_goes(changes: Changes) -> None:
    before = changes.node.settle()
    text = """
interfaces:
- name: eth2
  ipv4: {enabled: true, dhcp: false, address: [{ip: 198.51.100.9, prefix-length: 24}]}
routes:
  config:
  - {destination: 10.1.0.0/16, next-hop-interface: eth2, next-hop-address: 198.51.100.1}
  - {destination: 10.2.0.0/16, next-hop-interface: eth2, next-hop-address: 198.18.0.1}
"""
    with pytest.raises(RevertedError, match=r"10\.2\.0\.0/16"):
        changes.apply(text)

    changes.node.assert_is(before)
