"""A lease that a server no longer gives, or refuses, is taken off; another one is asked for."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sriovbond.dhcp import files
from tests.support import dhcp, disks
from tests.support.dhcp_clients import MAC, OPTIONS, LeasedNode, a_leased_node
from tests.support.sites import wait_until


@pytest.fixture
def leased(tmp_path: Path) -> Iterator[LeasedNode]:
    with a_leased_node(tmp_path) as made:
        yield made


def test_a_server_that_is_gone_takes_the_address_in_time_and_gives_one_when_it_is_back(
    leased: LeasedNode,
) -> None:
    with dhcp.server(leased.far, "far1", lease_s=10):
        leased.start()
        leased.await_lease()
        (first,) = leased.addresses()
    leased.await_status(lambda status: not status.is_holding)
    gone = leased.addresses(), leased.routes()
    with dhcp.server(leased.far, "far1", lease_s=10):
        leased.await_lease()

    assert gone == ([], {})
    assert leased.addresses() == [first]


def test_a_server_that_refuses_ends_the_lease_at_once(leased: LeasedNode) -> None:
    with dhcp.server(leased.far, "far1"):
        leased.start()
        leased.await_lease()
        (first,) = leased.addresses()
    leased.node.ip("link set wire1 down")
    leased.await_status(lambda status: not status.has_carrier)
    with dhcp.server(
        leased.far, "far1", "start 192.0.2.105", "static_lease 02:00:00:00:00:01 192.0.2.108"
    ):
        leased.node.ip("link set wire1 up")
        leased.await_status(lambda status: "192.0.2.108" in status.note)

    assert first != "192.0.2.108/24"
    assert leased.addresses() == ["192.0.2.108/24"]


def test_a_lease_that_ends_leaves_others_addresses_and_the_mtu_of_before(
    leased: LeasedNode,
) -> None:
    promoting = "ipv4/conf/eth1/promote_secondaries"
    leased.node.site.node.set_sysctls({promoting: "0"})
    with dhcp.server(leased.far, "far1", *OPTIONS, lease_s=10):
        leased.start()
        leased.await_lease()
        leased.node.ip("address add 192.0.2.60/24 dev eth1")
        mtu = leased.node.site.link("eth1").number(4)
        kept = leased.node.site.node.sysctl(promoting)
        os.kill(int(files.lock_path(leased.node.host, "eth1").read_text()), signal.SIGKILL)
        wait_until(lambda: not files.is_running(leased.node.host, "eth1"))
        leased.start()
        leased.await_lease()
    leased.await_status(lambda status: not status.is_holding)

    assert (mtu, kept) == (1400, "1")
    assert leased.addresses() == ["192.0.2.60/24"]
    assert leased.node.site.link("eth1").number(4) == 1500
    assert leased.node.site.node.sysctl(promoting) == "0"


def life_s(leased: LeasedNode) -> int:
    (row,) = leased.node.pod.ip("-j -4 address show dev eth1")[0]["addr_info"]
    return int(row["valid_life_time"])


def test_a_full_disk_ends_no_lease_and_has_it_once_there_is_room(leased: LeasedNode) -> None:
    host = leased.node.host
    with disks.a_small_disk(host.state), dhcp.server(leased.far, "far1", lease_s=12):
        leased.start()
        leased.await_lease()
        first = files.read_lease(host, "eth1")
        disks.fill(host.state, "bytes")
        wait_until(lambda: life_s(leased) < 8)
        wait_until(lambda: life_s(leased) > 8)
        renewed = life_s(leased), files.read_lease(host, "eth1")
        disks.empty(host.state)
        wait_until(lambda: files.read_lease(host, "eth1") != first)

        assert renewed[0] > 8
        assert renewed[1] == first
        assert files.read_lease(host, "eth1") != first
        leased.stop()


LONGER_THAN_THE_LEASE_S = 12
REMADE = (
    "link del eth1",
    f"link add eth1 address {MAC.hex(':')} type veth peer wire1",
    "link set wire1 master switch",
    "link set wire1 up",
    "link set eth1 up",
)


def test_an_interface_that_is_remade_at_once_has_its_lease(leased: LeasedNode) -> None:
    with dhcp.server(leased.far, "far1"):
        leased.start()
        leased.await_lease()
        before = leased.addresses()
        with stopped(leased):
            leased.node.ip(*REMADE)
            assert leased.addresses() == []
        wait_until(lambda: leased.addresses() == before)

    assert leased.addresses() == before


def test_an_interface_that_was_elsewhere_for_a_moment_hears_its_server(leased: LeasedNode) -> None:
    with dhcp.server(leased.far, "far1", lease_s=10):
        leased.start()
        leased.await_lease()
        before = leased.addresses()
        with stopped(leased):
            leased.node.ip(f"link set eth1 netns {leased.far.name}")
            leased.far.ip(f"link set eth1 netns {leased.node.pod.name}")
            leased.node.ip("link set eth1 up")
        time.sleep(LONGER_THAN_THE_LEASE_S)
        after = leased.addresses(), leased.status().is_leased

    assert after == (before, True)


@contextmanager
def stopped(leased: LeasedNode) -> Iterator[None]:
    """Have the client do nothing: what happens is over when it looks."""
    client = int(files.lock_path(leased.node.host, "eth1").read_text())
    os.kill(client, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(client, signal.SIGCONT)
