"""A bridge of the node becomes a network of Debian's own libvirt, by its own virsh."""

from collections.abc import Iterator

import pytest

from tests.docs_tables import CHECKOUT
from tests.support.agents import wait_for
from tests.support.guests import a_guest
from tests.support.pods import a_pod, ip
from tests.support.programs import ProgramsPlace, a_place

COMMAND = f"{CHECKOUT}/.venv/bin/python -m sriovbond host libvirt-network"
NODE = """
ip link add eth1 type dummy; ip link add eth2 type dummy
ip link add bond0 type bond mode active-backup; ip link set eth1 master bond0
ip link add br0 type bridge; ip link set bond0 master br0
for link in eth1 eth2 bond0 br0; do ip link set "$link" up; done
"""
WIRES = """
for n in 1 2; do
  ip link del eth$n; ip link add eth$n type veth peer port$n; ip link set port$n up
  ip link set eth$n master bond0
done
ip link set bond0 type bond miimon 50
ip link add switch type bridge; ip link set switch up
for port in port1 port2 port3; do ip link set $port master switch up; done
"""
WITHIN_S = 20.0
CONF = """
printf 'auth_unix_rw = "none"\nauth_unix_ro = "none"\n' > /etc/libvirt/libvirtd.conf
mkdir -p /var/lib/libvirt/qemu /var/cache/libvirt/qemu /var/log/libvirt
dbus-daemon --system --fork
"""


@pytest.fixture
def place() -> Iterator[ProgramsPlace]:
    with a_place() as made:
        assert made.run(NODE).returncode == 0
        yield made


@pytest.fixture
def libvirt(place: ProgramsPlace) -> Iterator[ProgramsPlace]:
    done = place.run(CONF)
    assert done.returncode == 0, done.stderr
    with place.running("/usr/sbin/libvirtd"):
        wait_for(lambda: place.run("virsh -c qemu:///system uri").returncode == 0)
        yield place


def test_a_bridge_is_defined_started_and_set_to_autostart_and_so_again(
    libvirt: ProgramsPlace,
) -> None:
    for _ in range(2):
        done = libvirt.run(f"{COMMAND} br0 --define")
        assert done.returncode == 0, done.stderr
        assert done.stderr.endswith("defined, started and set to autostart: br0\n")

    networks = libvirt.run("virsh -q -c qemu:///system net-list --all").stdout
    assert networks.split() == ["br0", "active", "yes", "yes"]
    xml = libvirt.run("virsh -q -c qemu:///system net-dumpxml br0").stdout
    assert "<forward mode='bridge'/>" in xml
    assert "<bridge name='br0'/>" in xml


def test_frames_of_a_guest_pass_the_bond_while_a_port_loses_its_cable(
    libvirt: ProgramsPlace,
) -> None:
    """A tap is put into the network's bridge, as libvirt does for a guest: no QEMU runs here."""
    with a_pod("far") as far:
        ip(f"link add port3 netns {libvirt.pid} type veth peer far1 netns {far.name}")
        far.batch("link set far1 up", "address add 192.0.2.1/24 dev far1")
        assert libvirt.run(WIRES).returncode == 0
        assert libvirt.run(f"{COMMAND} br0 --define").returncode == 0
        with a_guest(f"/proc/{libvirt.pid}/ns/net", "vnet0", "192.0.2.77") as guest:
            assert libvirt.run("ip link set vnet0 master br0 up").returncode == 0
            assert guest.finds("192.0.2.1", WITHIN_S)

            libvirt.run("ip link set port1 down")

            assert guest.finds("192.0.2.1", WITHIN_S)
            networks = libvirt.run("virsh -q -c qemu:///system net-list").stdout
            assert networks.split()[:2] == ["br0", "active"]


def test_a_network_of_anothers_making_is_left_alone(libvirt: ProgramsPlace) -> None:
    xml = "<network><name>br0</name><forward mode='bridge'/><bridge name='other'/></network>"
    assert libvirt.run("virsh -c qemu:///system net-define /dev/stdin", xml).returncode == 0

    done = libvirt.run(f"{COMMAND} br0 --define")

    assert done.returncode == 2
    assert "cannot define the network (virsh net-define)" in done.stderr
    assert "already exists with uuid" in done.stderr
    assert "it is not of sriovbond's making" in done.stderr
    assert "name='other'" in libvirt.run("virsh -c qemu:///system net-dumpxml br0").stdout


def test_without_libvirtd_it_says_so(place: ProgramsPlace) -> None:
    done = place.run(f"{COMMAND} br0 --define")

    assert done.returncode == 2
    assert "is libvirtd running?" in done.stderr
    assert done.stdout.startswith("<network>")


def test_a_name_of_no_bridge_is_refused(place: ProgramsPlace) -> None:
    assert "bond0 is no bridge, it is bond" in place.run(f"{COMMAND} bond0").stderr
    assert place.run(f"{COMMAND} nosuch").returncode == 2
