"""A document as the files of the node's own network manager; both read them in other tests."""

import configparser
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sriovbond.cli import sriovbond

STATE = """\
interfaces:
- {name: eth1, type: ethernet, state: up, mac-address: 02:00:00:00:00:01}
- {name: eth2, type: ethernet, state: up, mac-address: 02:00:00:00:00:02}
- {name: eth3, type: ethernet, state: up, ipv4: {enabled: true, dhcp: false,
   address: [{ip: 198.51.100.3, prefix-length: 24}]}}
- {name: bond7, type: bond, state: up, bond: {mode: active-backup,
   options: {miimon: 100, resend_igmp: 1, updelay: 200}, port: [eth4]}}
- {name: eth4, type: ethernet, state: up, controller: bond7}
- {name: eth5, type: ethernet, state: up, ipv4: {enabled: true, dhcp: false, forwarding: true,
   address: [{ip: 198.51.100.5, prefix-length: 24}]}, ipv6: {enabled: true, dhcp: false,
   autoconf: true, forwarding: false, addr-gen-mode: MODE}}
routes: {config: [{destination: 203.0.113.0/24, next-hop-interface: eth3,
  next-hop-address: 198.51.100.1}]}
"""
ADDRESSES = "{enabled: true, address: [{ip: 198.51.100.7, prefix-length: 24}]%s}"
BOND = """\
interfaces:
- {name: bond0, type: bond, bond: {mode: 1, options: {miimon: 50, primary: eth2},
   port: [eth1, eth2]}, ipv4: {enabled: true, address: [{ip: 192.0.2.9, prefix-length: 24}]}}
- {name: bond0.7, type: vlan, vlan: {base-iface: bond0, id: 7}}
routes: {config: [{destination: 0.0.0.0/0, next-hop-interface: bond0, next-hop-address: 192.0.2.1}]}
dns-resolver: {config: {server: [192.0.2.53], search: [a.example]}}
"""


LINK = f"interfaces: [{{name: eth1, type: ethernet, ipv4: {ADDRESSES % ''}}}]\n"


def _render(tmp_path: Path, document: str, form: str, *more: str, mode: str = "none") -> Result:
    state = tmp_path / "state.yml"
    state.write_text(STATE.replace("MODE", mode), encoding="utf-8")
    command = ["host", "render", "-", "--as", form, "--state", str(state), *more]
    return CliRunner().invoke(sriovbond, command, input=document)


def _files(tmp_path: Path, document: str, form: str) -> dict[str, dict[str, dict[str, str]]]:
    """Return the values of each file; of sections of one name the last."""
    root = tmp_path / "root"
    root.mkdir()
    result = _render(tmp_path, document, form, "--root", str(root))
    assert (result.exit_code, result.stderr) == (0, ""), result.stderr
    files = {}
    for path in root.rglob("*.*"):
        parser = configparser.RawConfigParser(strict=False)
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        parser.read(path, encoding="utf-8")
        files[path.name] = {name: dict(parser[name]) for name in parser.sections()}
    return files


def test_a_bond_for_network_manager_has_its_ports_addresses_routes_and_dns(tmp_path: Path) -> None:
    files = _files(tmp_path, BOND, "nmconnection")

    bond, port = files["sriovbond-bond0.nmconnection"], files["sriovbond-eth2.nmconnection"]
    assert bond["bond"] == {"mode": "active-backup", "miimon": "50", "primary": "eth2"}
    assert bond["ethernet"] == {"cloned-mac-address": "02:00:00:00:00:01"}
    assert bond["ipv4"] == {
        "method": "manual",
        "address1": "192.0.2.9/24",
        "route1": "0.0.0.0/0,192.0.2.1",
        "dns": "192.0.2.53;",
        "dns-search": "a.example;",
    }
    assert (port["connection"]["master"], port["connection"]["slave-type"]) == ("bond0", "bond")
    assert "ipv4" not in port
    assert files["sriovbond-bond0.7.nmconnection"]["vlan"]["parent"] == "bond0"


def test_a_profile_has_the_name_of_the_document(tmp_path: Path) -> None:
    document = BOND.replace("{name: bond0.7,", "{name: bond0.7, profile-name: guests,")

    files = _files(tmp_path, document, "nmconnection")

    assert files["sriovbond-bond0.7.nmconnection"]["connection"]["id"] == "guests"
    assert files["sriovbond-bond0.nmconnection"]["connection"]["id"] == "sriovbond-bond0"


def test_a_bond_for_networkd_has_them_too_and_its_vlan(tmp_path: Path) -> None:
    files = _files(tmp_path, BOND, "networkd")

    device, network = files["10-sriovbond-bond0.netdev"], files["10-sriovbond-bond0.network"]
    assert device["NetDev"] == {"Name": "bond0", "Kind": "bond", "MACAddress": "02:00:00:00:00:01"}
    assert device["Bond"] == {"Mode": "active-backup", "MIIMonitorSec": "50ms"}
    assert network["Network"]["VLAN"] == "bond0.7"
    assert network["Network"]["DNS"] == "192.0.2.53"
    assert network["Address"] == {"Address": "192.0.2.9/24"}
    assert network["Route"] == {"Destination": "0.0.0.0/0", "Gateway": "192.0.2.1"}
    assert files["10-sriovbond-eth2.network"]["Network"]["PrimarySlave"] == "yes"
    assert "10-sriovbond-eth2.netdev" not in files


def test_networkd_takes_no_dns_of_a_lease_without_auto_dns(tmp_path: Path) -> None:
    document = "interfaces: [{name: eth1, ipv4: {enabled: true, dhcp: true, auto-dns: false}}]"

    files = _files(tmp_path, document, "networkd")

    lease = files["10-sriovbond-eth1.network"]["DHCPv4"]
    assert (lease["UseDNS"], lease["UseRoutes"]) == ("no", "yes")


def test_a_rule_for_networkd_has_a_whole_mark(tmp_path: Path) -> None:
    rule = "{ip-from: 198.51.100.3/32, route-table: 200, priority: 9, fwmark: 0x30}"
    route = "{destination: 0.0.0.0/0, next-hop-interface: eth3, table-id: 200}"
    link = "{name: eth3, type: ethernet}"
    document = f"interfaces: [{link}]\nroutes: {{config: [{route}]}}"

    files = _files(tmp_path, f"{document}\nroute-rules: {{config: [{rule}]}}", "networkd")

    policy = files["10-sriovbond-eth3.network"]["RoutingPolicyRule"]
    assert policy["FirewallMark"] == f"{0x30}/{0xFFFFFFFF}"
    assert (policy["From"], policy["Priority"], policy["Table"]) == ("198.51.100.3/32", "9", "200")


@pytest.mark.parametrize(
    ("vlan", "written"),
    [
        ("{mode: access, tag: 4}", "4 pvid untagged"),
        ("{mode: trunk, trunk-tags: [{id: 5}, {id-range: {min: 10, max: 20}}]}", "5,10-20"),
    ],
)
def test_a_bridges_vlans_of_a_port_are_written_for_network_manager(
    tmp_path: Path, vlan: str, written: str
) -> None:
    bridge = f"bridge: {{port: [{{name: eth1, vlan: {vlan}}}]}}"

    files = _files(
        tmp_path, f"interfaces: [{{name: br0, type: linux-bridge, {bridge}}}]", "nmconnection"
    )

    assert files["sriovbond-eth1.nmconnection"]["bridge-port"] == {"vlans": written}


def test_a_bridges_vlans_of_a_port_are_written_for_networkd(tmp_path: Path) -> None:
    port = "{name: eth1, stp-path-cost: 7, vlan: {mode: access, tag: 4}}"
    document = f"interfaces: [{{name: br0, type: linux-bridge, bridge: {{port: [{port}]}}}}]"

    files = _files(tmp_path, document, "networkd")

    network = files["10-sriovbond-eth1.network"]
    assert network["Network"]["Bridge"] == "br0"
    assert network["Bridge"] == {"Cost": "7"}
    # either has the VLAN itself, too (systemd.network(5))
    assert network["BridgeVLAN"] == {"PVID": "4", "EgressUntagged": "4"}


def test_a_file_of_an_interface_that_is_down_keeps_its_routes(tmp_path: Path) -> None:
    """The kernel loses them, and the manager makes them when it brings the interface up."""
    document = "interfaces: [{name: eth3, type: ethernet, state: down}]"

    files = _files(tmp_path, document, "networkd")

    assert files["10-sriovbond-eth3.network"]["Link"] == {"ActivationPolicy": "down"}
    assert files["10-sriovbond-eth3.network"]["Route"]["Destination"] == "203.0.113.0/24"


@pytest.mark.parametrize("form", ["nmconnection", "networkd"])
def test_rendered_files_keep_the_nodes_other_settings(tmp_path: Path, form: str) -> None:
    document = "interfaces: [{name: eth3, mtu: 1400}, {name: bond7, bond: {options: {miimon: 50}}}]"

    text = _render(tmp_path, document, form).stdout

    assert "198.51.100.3/24" in text
    assert "203.0.113.0/24" in text
    assert "1400" in text
    assert ("updelay=200" in text) or ("UpDelaySec=200ms" in text)
    assert "resend" not in text.lower()
    assert "eth4" in text
    assert "active-backup" in text


@pytest.mark.parametrize("form", ["nmconnection", "networkd"])
@pytest.mark.parametrize("mode", ["none", "eui64"])
@pytest.mark.parametrize(
    "settings",
    [
        "mtu: 1400",
        "accept-all-mac-addresses: false",
        f"ipv4: {ADDRESSES % ''}",
        "ipv6: {enabled: true, dhcp: false, autoconf: true}",
    ],
)
def test_settings_of_the_kernel_that_no_document_mentions_hinder_no_file(
    tmp_path: Path, form: str, mode: str, settings: str
) -> None:
    """Each node of Kubernetes forwards; NetworkManager sets addr-gen-mode to none."""
    result = _render(tmp_path, f"interfaces: [{{name: eth5, {settings}}}]", form, mode=mode)

    assert (result.exit_code, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("document", "form", "fault"),
    [
        (
            "interfaces: [{name: m0, type: mac-vlan, mac-vlan: {base-iface: eth3, mode: bridge}}]",
            "networkd",
            "line 1, column 14: m0: type mac-vlan is not written for systemd-networkd",
        ),
        (
            "interfaces: [{name: eth3, ethernet: {sr-iov: {total-vfs: 2}}}]",
            "nmconnection",
            "eth3: ethernet.sr-iov.total-vfs is not written for NetworkManager",
        ),
        (
            "interfaces: [{name: eth3, ethernet: {sr-iov: {total-vfs: 2}}}]",
            "networkd",
            "eth3: ethernet.sr-iov.total-vfs is not written for systemd-networkd",
        ),
        (
            "interfaces: [{name: bond7, bond: {options: {arp_missed_max: 3}}}]",
            "networkd",
            "bond7: link-aggregation.options.arp_missed_max is not written",
        ),
        (
            "interfaces: [{name: v, type: vlan, vlan: {base-iface: eth3, id: 7}}]",
            "networkd",
            "v: a VLAN on eth3, which the document has to have, too, is not written",
        ),
        (
            "routes: {config: [{destination: 203.0.113.7/32, next-hop-interface: eth3}]}",
            "nmconnection",
            "a route over eth3 has no file: the document has to have the interface",
        ),
        (
            f"interfaces: [{{name: eth5, ipv4: {ADDRESSES % ', forwarding: true'}}}]",
            "networkd",
            "eth5: ipv4.forwarding is not written for systemd-networkd",
        ),
        (
            f"interfaces: [{{name: eth5, ipv4: {ADDRESSES % ', forwarding: true'}}}]",
            "nmconnection",
            "eth5: ipv4.forwarding is not written for NetworkManager",
        ),
        *(
            (
                "interfaces: [{name: eth5, ipv6: {enabled: true, addr-gen-mode: none}}]",
                form,
                "eth5: ipv6.addr-gen-mode none is not written",
            )
            for form in ("nmconnection", "networkd")
        ),
        *(
            (
                f"{LINK}dns-resolver: {{config: {{server: [192.0.2.53], search: ['{word}']}}}}",
                "nmconnection",
                "eth1: a word of dns-search is not written for NetworkManager",
            )
            for word in ("a;b", "a\\b")
        ),
        ("hostname: {config: x}", "networkd", "hostname has no file: hostnamectl sets it"),
    ],
)
def test_a_setting_that_the_manager_does_not_have_is_refused(
    tmp_path: Path, document: str, form: str, fault: str
) -> None:
    result = _render(tmp_path, document, form)

    assert fault in result.stderr
    assert (result.exit_code, result.stdout) == (2, "")


def test_files_of_network_manager_are_roots_alone(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()

    _render(tmp_path, BOND, "nmconnection", "--root", str(root))

    modes = {path.stat().st_mode & 0o777 for path in root.rglob("*.nmconnection")}
    assert modes == {0o600}
