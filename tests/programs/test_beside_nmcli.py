"""The same edits by nmcli and by `host apply`: seconds, and pings lost.

The node is wired to a far host by a switch: eth1 and eth2 - switch - far.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.docs_tables import CHECKOUT
from tests.support import traffic
from tests.support.agents import wait_for
from tests.support.pods import Pod, a_pod, ip
from tests.support.programs import ProgramsPlace, a_place
from tests.support.uplinks import UPLINK

PROGRAM = ("/usr/sbin/NetworkManager", "--no-daemon")
FAR = "192.0.2.1"
NODE = """
for n in 1 2; do
  ip link add eth$n address 02:00:00:00:00:0$n type veth peer port$n
  ip link set port$n up; ip link set eth$n up
done
ip link add switch type bridge; ip link set switch up
for port in port1 port2 port3; do ip link set $port master switch up; done
dbus-daemon --system --fork; mkdir -p /var/lib/NetworkManager /run/systemd/units
mkdir -p /etc/NetworkManager/conf.d /etc/NetworkManager/system-connections
printf '[keyfile]\\nunmanaged-devices=interface-name:port*,interface-name:switch\\n' \
  > /etc/NetworkManager/conf.d/far.conf
"""
WITHOUT_IPV6 = UPLINK + "  ipv6: {enabled: false}\n"
BOND = """
interfaces:
- name: bond0
  type: bond
  state: up
  ipv4: {enabled: true, dhcp: false, address: [{ip: 192.0.2.9, prefix-length: 24}]}
  ipv6: {enabled: false}
  link-aggregation:
    mode: active-backup
    options: {miimon: 100, primary: eth1}
    port: [eth1, eth2]
"""
MIIMON = "interfaces: [{name: bond0, link-aggregation: {options: {miimon: 50}}}]"
UPLINK_BY_NMCLI = """
nmcli connection add type ethernet con-name uplink ifname eth1 \
  ipv4.method manual ipv4.addresses 192.0.2.9/24 ipv6.method disabled
nmcli connection up uplink
"""
BOND_BY_NMCLI = """
nmcli connection add type bond con-name bond0 ifname bond0 \
  bond.options mode=active-backup,miimon=100,primary=eth1 \
  ipv4.method manual ipv4.addresses 192.0.2.9/24 ipv6.method disabled \
  connection.autoconnect-slaves 1
nmcli connection add type ethernet con-name port1 ifname eth1 master bond0
nmcli connection add type ethernet con-name port2 ifname eth2 master bond0
nmcli connection up bond0
"""
MIIMON_BY_NMCLI = """
nmcli connection modify bond0 +bond.options miimon=50
nmcli device reapply bond0 || nmcli connection up bond0
"""


@pytest.fixture
def place() -> Iterator[ProgramsPlace]:
    with a_place() as made, a_pod("far") as far:
        ip(f"link add port3 netns {made.pid} type veth peer far1 netns {far.name}")
        far.batch("link set far1 up", f"address add {FAR}/24 dev far1")
        done = made.run(NODE)
        assert done.returncode == 0, done.stderr
        yield made


@contextmanager
def named(place: ProgramsPlace) -> Iterator[Pod]:
    """Name the namespace, for pings."""
    ip(f"netns attach beside {place.pid}")
    try:
        yield Pod("beside", "beside")
    finally:
        ip("netns del beside")


def _apply(place: ProgramsPlace, text: str) -> None:
    command = f"{CHECKOUT}/.venv/bin/python -m sriovbond host apply - --memory-only"
    done = place.run(command, text)
    assert done.returncode == 0, done.stdout + done.stderr


def _nmcli(place: ProgramsPlace, script: str) -> None:
    done = place.run(script)
    assert done.returncode == 0, done.stdout + done.stderr


def _measured(place: ProgramsPlace, edit: str, way: str, doing: Callable[[], None]) -> str:
    """Do the edit under pings; return what it took, in words."""
    with named(place) as node, traffic.pings(node, FAR) as running:
        running.await_answer()
        began = time.monotonic()
        doing()
        took_s = time.monotonic() - began
        running.await_answer(time.time())
    return f"{edit}, {way}: {took_s:.1f} s, {running}"


def test_an_uplink_onto_a_bond_and_an_option_of_it(
    place: ProgramsPlace, capsys: pytest.CaptureFixture[str]
) -> None:
    move, option = "an uplink moves onto a bond", "miimon is changed"
    _apply(place, WITHOUT_IPV6)
    lines = [_measured(place, move, "host apply", lambda: _apply(place, BOND))]
    lines.append(_measured(place, option, "host apply", lambda: _apply(place, MIIMON)))
    ours = place.run("cat /proc/net/bonding/bond0").stdout
    place.run("ip link del bond0; ip link set eth1 up; ip link set eth2 up")

    with place.running(*PROGRAM):
        wait_for(lambda: place.run("nmcli general status").returncode == 0)
        # read-only until now, so that it awaited no udev; it writes a bond's options there
        assert place.run("mount -o remount,rw /sys").returncode == 0
        _nmcli(place, UPLINK_BY_NMCLI)
        lines.append(_measured(place, move, "nmcli", lambda: _nmcli(place, BOND_BY_NMCLI)))
        lines.append(_measured(place, option, "nmcli", lambda: _nmcli(place, MIIMON_BY_NMCLI)))
        theirs = place.run("cat /proc/net/bonding/bond0").stdout

    with capsys.disabled():
        sys.stdout.write("\n".join(["", *lines, ""]))
    for state in (ours, theirs):
        assert "MII Polling Interval (ms): 50" in state, state
        assert "Currently Active Slave: eth1" in state, state
    assert "0 of " in lines[1]
