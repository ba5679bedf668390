"""What is written for NetworkManager, read by its own parser: nmcli --offline, Debian's."""

import configparser
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.programs import ProgramsPlace, a_place

STATE = "interfaces: [{name: eth1, type: ethernet}, {name: eth2, type: ethernet}]"
DOCUMENT = """
interfaces:
- name: bond0
  type: bond
  mtu: 9000
  link-aggregation:
    mode: 802.3ad
    options: {miimon: 100, updelay: 200, lacp_rate: fast, xmit_hash_policy: layer3+4, min_links: 1,
              ad_select: bandwidth, ad_actor_system: '02:00:00:00:00:09', all_slaves_active: on,
              ad_actor_sys_prio: 7, ad_user_port_key: 5, use_carrier: on, resend_igmp: 3}
    port: [eth1, eth2]
- name: br0
  type: linux-bridge
  ipv4: {enabled: true, dhcp: false, address: [{ip: 192.0.2.9, prefix-length: 24}]}
  ipv6: {enabled: true, autoconf: true, auto-dns: false, token: '::7'}
  bridge:
    options: {stp: {enabled: true, priority: 4096, forward-delay: 10, hello-time: 3, max-age: 30},
              mac-ageing-time: 200, group-forward-mask: 8, multicast-snooping: false}
    port: [{name: bond0, stp-path-cost: 7, stp-priority: 9, stp-hairpin-mode: true,
            vlan: {mode: trunk, trunk-tags: [{id: 5}, {id-range: {min: 10, max: 20}}],
                   tag: 4, enable-native: true}}]
- {name: br0.7, type: vlan, vlan: {base-iface: br0, id: 7, protocol: 802.1ad},
   ipv4: {enabled: true, dhcp: true, auto-routes: false, auto-gateway: false, dhcp-client-id: ll}}
- {name: d0, type: dummy, state: down, ipv6: {enabled: true, dhcp: false, autoconf: false,
   address: [{ip: '2001:db8::9', prefix-length: 64}]}}
- {name: red, type: vrf, vrf: {port: [d0], route-table-id: 500}}
routes:
  config:
  - {destination: 0.0.0.0/0, next-hop-interface: br0, next-hop-address: 192.0.2.1, metric: 100}
  - {destination: 203.0.113.0/24, next-hop-interface: br0, table-id: 200, source: 192.0.2.9,
     advmss: 1300, cwnd: 20}
route-rules:
  config:
  - {ip-from: 192.0.2.9/32, route-table: 200, priority: 1000, fwmark: 0x30, iif: eth1}
dns-resolver:
  config: {server: [192.0.2.53, '2001:db8::53'], search: [a.example], options: [rotate]}
"""
DEFAULTS = frozenset(
    {
        ("never-default", "false"),
        ("ignore-auto-routes", "false"),
        ("ignore-auto-dns", "false"),
        ("stp", "true"),
    }
)
"""What is left out where it is written again: it says what holds without it."""


@pytest.fixture(scope="module")
def place() -> Iterator[ProgramsPlace]:
    with a_place() as made:
        yield made


@pytest.fixture(scope="module")
def profiles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("keyfiles")
    (folder / "wish.yml").write_text(DOCUMENT, encoding="utf-8")
    (folder / "state.yml").write_text(STATE, encoding="utf-8")
    files = [str(folder / "wish.yml"), "--state", str(folder / "state.yml"), "--root", str(folder)]
    command = [sys.executable, "-m", "sriovbond", "host", "render", "--as", "nmconnection", *files]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return {Path(line).stem: Path(line).read_text("utf-8") for line in done.stdout.splitlines()}


def _values(text: str) -> set[tuple[str, str, str]]:
    parser = configparser.RawConfigParser(strict=False)
    parser.read_string(text)
    return {(name, *pair) for name in parser.sections() for pair in parser.items(name)}


@pytest.mark.parametrize("name", ["bond0", "br0", "br0.7", "d0", "red", "eth1", "eth2"])
def test_network_manager_has_every_value_that_is_written(
    place: ProgramsPlace, profiles: dict[str, str], name: str
) -> None:
    text = profiles[f"sriovbond-{name}"]

    read = place.run("nmcli --offline connection modify connection.zone ''", text)

    assert (read.returncode, read.stderr) == (0, "")
    lost = _values(text) - _values(read.stdout)
    assert {row for row in lost if row[1:] not in DEFAULTS} == set()


def test_a_value_that_network_manager_does_not_know_is_lost_there(place: ProgramsPlace) -> None:
    text = "[connection]\nid=x\ntype=bond\ninterface-name=x\n[bond]\nmode=1\nbad=1\n"

    read = place.run("nmcli --offline connection modify connection.zone ''", text).stdout

    assert ("bond", "mode", "active-backup") in _values(read)
    assert ("bond", "bad", "1") in _values(text) - _values(read)
