"""Debian's own NetworkManager: what it manages, how it lets go, and what it makes of keyfiles."""

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sriovbond.host import Host
from sriovbond.kernel import netns
from sriovbond.nodenet import document
from sriovbond.nodenet.joined import join
from sriovbond.nodenet.steps import plan
from sriovbond.survey import node as survey
from sriovbond.survey import owners
from tests.support.agents import wait_for
from tests.support.programs import ProgramsPlace, a_place

PROGRAM = ("/usr/sbin/NetworkManager", "--no-daemon")
PROFILES = "/etc/NetworkManager/system-connections"
UPLINK = """[connection]
id=uplink
uuid=5c61e877-9160-52cd-8608-cc2c820d6e59
type=ethernet
interface-name=eth1
[ipv4]
method=manual
address1=192.0.2.9/24
[ipv6]
method=disabled
"""
DOCUMENT = """
interfaces:
- name: br0
  type: linux-bridge
  mtu: 1400
  ipv4: {enabled: true, dhcp: false, address: [{ip: 192.0.2.9, prefix-length: 24}]}
  ipv6: {enabled: false}
  bridge: {options: {stp: {enabled: false}, mac-ageing-time: 200}, port: [{name: eth1}]}
- {name: eth1, type: ethernet, mtu: 1400}
routes:
  config:
  - {destination: 0.0.0.0/0, next-hop-interface: br0, next-hop-address: 192.0.2.1, metric: 100}
  - {destination: 203.0.113.0/24, next-hop-interface: br0, next-hop-address: 192.0.2.3,
     table-id: 200}
route-rules: {config: [{ip-from: 192.0.2.9/32, route-table: 200, priority: 1000}]}
"""


@pytest.fixture
def place() -> Iterator[ProgramsPlace]:
    with a_place() as made:
        done = made.run(
            "ip link add eth1 type veth peer far1; ip link set far1 up; ip link set eth1 up;"
            "dbus-daemon --system --fork; mkdir -p /var/lib/NetworkManager /run/systemd/units;"
            "mkdir -p /etc/NetworkManager/conf.d /etc/NetworkManager/system-connections;"
            "printf '[device]\\nmatch-device=interface-name:far1\\nmanaged=0\\n'"
            " > /etc/NetworkManager/conf.d/far.conf;"
            "ln -s 0123 /run/systemd/units/invocation:NetworkManager.service"  # as systemd does
        )
        assert done.returncode == 0, done.stderr
        yield made


def _put_profile(place: ProgramsPlace, name: str, text: str) -> None:
    file = f"{PROFILES}/{name}.nmconnection"
    assert place.run(f"cat > {file} && chmod 600 {file}", text).returncode == 0


def _owners(place: ProgramsPlace) -> dict[str, str]:
    """Return the words that hand over each interface which a program manages."""
    with netns.opened(f"/proc/{place.pid}/ns/net") as namespace:
        links = {name: index for index, name in namespace.run(socket.if_nameindex)}
    found = owners.find(place.files, links)
    return {name: owner.handover for name, owner in found.items() if name in ("eth1", "far1")}


def _has_address(place: ProgramsPlace, name: str) -> bool:
    return "192.0.2.9/24" in place.run(f"ip -o addr show {name}").stdout


def test_its_interfaces_are_recognised_without_its_pid_and_the_command_hands_them_over(
    place: ProgramsPlace,
) -> None:
    _put_profile(place, "uplink", UPLINK)
    with place.running(*PROGRAM):
        wait_for(lambda: _has_address(place, "eth1") and list(_owners(place)) == ["eth1"])
        words = _owners(place)["eth1"]
    assert not (place.files / "run/NetworkManager/NetworkManager.pid").exists()

    pattern = "`(.*) && systemctl stop NetworkManager && (.*) && systemctl start NetworkManager`"
    ((first, second),) = re.findall(pattern, words)
    assert place.run(f"{first} && {second}").returncode == 0
    with place.running(*PROGRAM):
        wait_for(lambda: "eth1:unmanaged" in place.run("nmcli -t -f DEVICE,STATE device").stdout)
        wait_for(lambda: not _owners(place))
        assert _has_address(place, "eth1")
    assert _has_address(place, "eth1")


def _left(place: ProgramsPlace) -> list[str]:
    with netns.opened(f"/proc/{place.pid}/ns/net") as namespace:
        state = survey.read(namespace, Host(root=place.files))
    joined = join(document.unite(document.read(DOCUMENT)).state, state)
    lines = [line for step in plan(joined) for line in step.lines]
    return [*(row.text for row in joined.complaints), *lines]


def test_it_applies_the_rendered_profiles(place: ProgramsPlace, tmp_path: Path) -> None:
    (tmp_path / "wish.yml").write_text(DOCUMENT, encoding="utf-8")
    enter = ["nsenter", f"--net=/proc/{place.pid}/ns/net", sys.executable, "-m", "sriovbond"]
    shown = subprocess.run([*enter, "host", "show"], check=True, capture_output=True, text=True)
    (tmp_path / "state.yml").write_text(shown.stdout, encoding="utf-8")
    files = [str(tmp_path / "wish.yml"), "--state", str(tmp_path / "state.yml")]
    form = ["--as", "nmconnection", "--root", str(tmp_path)]
    done = subprocess.run(
        [*enter, "host", "render", *files, *form], check=True, capture_output=True, text=True
    )
    for line in done.stdout.splitlines():
        _put_profile(place, Path(line).stem, Path(line).read_text("utf-8"))

    with place.running(*PROGRAM):
        wait_for(lambda: not _left(place))
