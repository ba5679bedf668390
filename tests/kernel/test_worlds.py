"""The comparison of before and after: it finds every planted difference."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import worlds
from tests.support.pods import Pod

PLANTS = {
    "a link": ("link add stray0 type dummy", "stray0"),
    "a link left up": ("link set net1 down", "net1"),
    "an MTU": ("link set net1 mtu 1400", "1400"),
    "a MAC": ("link set net1 address 02:00:00:00:09:09", "02:00:00:00:09:09"),
    "an alias": ("link set net1 alias planted", "planted"),
    "an IPv4 address": ("addr add 203.0.113.7/24 dev net1", "203.0.113.7/24"),
    "an IPv6 address": ("addr add 2001:db8:7::7/64 dev net1", "2001:db8:7::7/64"),
    "an IPv4 route": ("route add 203.0.113.0/24 dev net1", "203.0.113.0"),
    "a route of another table": ("route add 203.0.113.0/24 dev net1 table 77", "table 77"),
    "an IPv6 route": ("-6 route add 2001:db8:7::/64 dev net1", "2001:db8:7::"),
}
SYSCTLS = {
    "an IPv4 sysctl": "net.ipv4.conf.net1.arp_notify=1",
    "an IPv6 sysctl": "net.ipv6.conf.net1.ndisc_notify=1",
}
FILES = {
    "a record": "state/records/c1@bond0.json",
    "a half-written record": "state/records/.c1@bond0.new",
    "a lock": "run/c1@bond0",
    "a lease": "leases/test-bond/198.51.100.2",
}


@pytest.fixture
def linked(pod: Pod) -> Pod:
    """A pod with a link that is up."""
    pod.ip("link add net1 address 02:00:00:00:01:01 up type dummy")
    return pod


def test_comparison_finds_nothing_where_nothing_was_changed(linked: Pod, tmp_path: Path) -> None:
    look = _look(linked, tmp_path)

    assert worlds.differences(look(), look()) == []


@pytest.mark.parametrize(("command", "sign"), PLANTS.values(), ids=PLANTS.keys())
def test_comparison_finds_each_change_in_a_pod(
    linked: Pod, tmp_path: Path, command: str, sign: str
) -> None:
    look = _look(linked, tmp_path)
    before = look()

    linked.ip(command)

    assert sign in " ".join(worlds.differences(before, look()))


@pytest.mark.parametrize("assignment", SYSCTLS.values(), ids=SYSCTLS.keys())
def test_comparison_finds_a_sysctl(linked: Pod, tmp_path: Path, assignment: str) -> None:
    look = _look(linked, tmp_path)
    before = look()

    done = linked.run("sysctl", "-qw", assignment)

    assert done.returncode == 0, done.stderr
    assert "net1 sysctls" in " ".join(worlds.differences(before, look()))


@pytest.mark.parametrize("name", FILES.values(), ids=FILES.keys())
def test_comparison_finds_a_file(pod: Pod, tmp_path: Path, name: str) -> None:
    look = _look(pod, tmp_path)
    before = look()
    planted = tmp_path / name

    planted.parent.mkdir(parents=True)
    planted.write_text("planted")

    assert name in " ".join(worlds.differences(before, look()))


def _look(pod: Pod, folder: Path) -> Callable[[], worlds.World]:
    return lambda: worlds.settled(worlds.world({"pod": pod.path}, [folder]))
