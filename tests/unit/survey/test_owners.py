"""Whose an interface is, by the files that each manager really has."""

from pathlib import Path

import pytest

from sriovbond.kernel import netns
from sriovbond.nodenet import document
from sriovbond.nodenet.joined import Joined, join
from sriovbond.survey import owners

LINKS = {"eth1": 3, "eth2": 4, "br0": 5}
NM_STATE = """[device]
managed={managed}
connection-uuid=0b5e7a3c-3a43-4b52-9d5b-3f3f4f2f0d11
nm-owned=0
route-metric-default-aspired=100
route-metric-default-effective=100
"""
NETWORKD_STATE = """# This is private data. Do not parse.
ADMIN_STATE={admin}
OPER_STATE=routable
CARRIER_STATE=carrier
ADDRESS_STATE=routable
IPV4_ADDRESS_STATE=routable
IPV6_ADDRESS_STATE=degraded
ONLINE_STATE=online
REQUIRED_FOR_ONLINE=yes
NETWORK_FILE={file}
DNS=192.0.2.1
"""
NETPLAN = """network:
  version: 2
  renderer: networkd
  ethernets:
    eth2: {dhcp4: true}
    uplink: {match: {macaddress: '02:00:00:00:00:01'}, dhcp4: true}
    named: {match: {driver: igb}, set-name: eth9}
  bridges:
    br0: {interfaces: [eth2]}
"""
INTERFACES = """# interfaces(5)
source /etc/network/interfaces.d/*
auto lo
iface lo inet loopback
allow-hotplug eth1
iface eth1 inet static
    address 192.0.2.9/24
iface eth1:1 inet static
    address 192.0.2.10/24
"""


def _write(root: Path, path: str, text: str = "") -> None:
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def _programs(root: Path) -> dict[str, str]:
    return {name: owner.program for name, owner in owners.find(root, LINKS).items() if name}


def _run_network_manager(root: Path) -> None:
    _write(root, "/run/NetworkManager/NetworkManager.pid", "812\n")
    _write(root, "/proc/812/comm", "NetworkManager\n")


def test_a_node_without_managers_owns_its_interfaces(tmp_path: Path) -> None:
    assert owners.find(tmp_path, LINKS) == {}


def test_networkmanagers_interfaces_are_read_from_its_state_of_devices(tmp_path: Path) -> None:
    _run_network_manager(tmp_path)
    _write(tmp_path, "/run/NetworkManager/devices/3", NM_STATE.format(managed="true"))
    _write(tmp_path, "/run/NetworkManager/devices/4", NM_STATE.format(managed="false"))

    found = owners.find(tmp_path, LINKS)

    assert list(found) == ["eth1"]
    assert found["eth1"].program == "NetworkManager"
    assert "[keyfile]\\nunmanaged-devices+=interface-name:eth1" in found["eth1"].handover
    assert "/etc/NetworkManager/conf.d/90-sriovbond-eth1.conf" in found["eth1"].handover


def test_network_manager_that_is_gone_manages_nothing_unless_it_starts_at_boot(
    tmp_path: Path,
) -> None:
    _write(tmp_path, "/run/NetworkManager/NetworkManager.pid", "812\n")
    _write(tmp_path, "/proc/812/comm", "bash\n")
    _write(tmp_path, "/run/NetworkManager/devices/3", NM_STATE.format(managed="true"))

    assert owners.find(tmp_path, LINKS) == {}

    wants = tmp_path / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True)
    (wants / "NetworkManager.service").symlink_to("/usr/lib/systemd/system/NetworkManager.service")

    assert _programs(tmp_path) == {"eth1": "NetworkManager"}


@pytest.mark.parametrize(
    "path",
    [
        "run/systemd/units/invocation:NetworkManager.service",
        "run/systemd/generator/graphical.target.wants/NetworkManager.service",
        "etc/systemd/system/network-online.target.requires/NetworkManager.service",
    ],
)
def test_network_manager_runs_or_will_by_any_of_systemds_links(tmp_path: Path, path: str) -> None:
    _write(tmp_path, "/run/NetworkManager/devices/3", NM_STATE.format(managed="true"))
    link = tmp_path / path
    link.parent.mkdir(parents=True)
    link.symlink_to("5f8a1b0c0d4e4b8e9a6c2f1e3d5b7a90")

    assert _programs(tmp_path) == {"eth1": "NetworkManager"}


def test_network_manager_runs_where_its_control_group_is(tmp_path: Path) -> None:
    _write(tmp_path, "/run/NetworkManager/devices/3", NM_STATE.format(managed="true"))
    _write(tmp_path, "/sys/fs/cgroup/system.slice/NetworkManager.service/cgroup.procs", "812\n")

    assert _programs(tmp_path) == {"eth1": "NetworkManager"}


def test_a_profile_of_networkmanager_makes_its_interface_networkmanagers(tmp_path: Path) -> None:
    _run_network_manager(tmp_path)
    _write(tmp_path, "/run/NetworkManager/devices/4", "[device]\nnm-owned=0\n")
    for name in ("eth2", "br0"):
        profile = f"[connection]\nid=x\ninterface-name={name}\n"
        _write(tmp_path, f"/etc/NetworkManager/system-connections/{name}.nmconnection", profile)

    assert _programs(tmp_path) == {"eth2": "NetworkManager", "br0": "NetworkManager"}

    conf = "[keyfile]\nunmanaged-devices+=interface-name:eth2\n"
    _write(tmp_path, "/etc/NetworkManager/conf.d/90-sriovbond-eth2.conf", conf)

    assert _programs(tmp_path) == {"br0": "NetworkManager"}


@pytest.mark.parametrize(
    ("conf", "programs"),
    [
        ("", {"eth1": "NetworkManager"}),
        ("[keyfile]\nunmanaged-devices=interface-name:eth1\n", {}),
        ("[keyfile]\nunmanaged-devices+=interface-name:eth1\n", {}),
        ("[keyfile]\nunmanaged-devices=interface-name:wl*;mac:02:00:00:00:00:01\n", {}),
        ("[keyfile]\nunmanaged-devices=interface-name:wl*\n", {"eth1": "NetworkManager"}),
        ("[device-a]\nmatch-device=interface-name:eth?\nmanaged=0\n", {}),
        ("[device-a]\nmatch-device=interface-name:eth1\nmanaged=1\n", {"eth1": "NetworkManager"}),
    ],
)
def test_network_manager_has_each_nic_that_nothing_excludes(
    tmp_path: Path, conf: str, programs: dict[str, str]
) -> None:
    _run_network_manager(tmp_path)
    _write(tmp_path, "/sys/class/net/eth1/device/vendor")
    _write(tmp_path, "/etc/NetworkManager/conf.d/90-a.conf", conf)

    assert _programs(tmp_path) == programs


def test_kubernetes_nmstate_is_named_where_its_handler_runs(tmp_path: Path) -> None:
    _run_network_manager(tmp_path)
    _write(tmp_path, "/run/NetworkManager/devices/3", NM_STATE.format(managed="true"))
    _write(tmp_path, "/var/k8s_nmstate/handler_lock")

    owner = owners.find(tmp_path, LINKS)["eth1"]

    assert owner.program == "kubernetes-nmstate, by NetworkManager"
    assert owner.handover.startswith("take eth1 out of its policies (`kubectl get nncp`)")


@pytest.mark.parametrize(
    ("admin", "file", "programs"),
    [
        ("configured", "/etc/systemd/network/80-dhcp.network", {"eth1": "systemd-networkd"}),
        ("configuring", "/etc/systemd/network/80-dhcp.network", {"eth1": "systemd-networkd"}),
        ("unmanaged", "/etc/systemd/network/00-sriovbond-eth1.network", {}),
        ("pending", "", {}),
    ],
)
def test_networkds_interfaces_are_read_from_its_state_of_links(
    tmp_path: Path, admin: str, file: str, programs: dict[str, str]
) -> None:
    state = NETWORKD_STATE.format(admin=admin, file=file)
    _write(tmp_path, "/run/systemd/netif/links/3", state)

    assert _programs(tmp_path) == programs


def test_a_lease_of_networkd_is_kept_before_it_stops(tmp_path: Path) -> None:
    file = "/run/systemd/network/80-dhcp.network"
    for index in (3, 4):
        state = NETWORKD_STATE.format(admin="configured", file=file)
        _write(tmp_path, f"/run/systemd/netif/links/{index}", state)
    _write(tmp_path, "/run/systemd/netif/leases/3", "ADDRESS=192.0.2.9\n")

    found = owners.find(tmp_path, LINKS)

    assert "releases when it stops, and which nothing renews" in found["eth1"].handover
    assert "mkdir -p /etc/systemd/network/80-dhcp.network.d && printf" in found["eth1"].handover
    assert "KeepConfiguration=dhcp-on-stop" in found["eth1"].handover
    assert "KeepConfiguration" not in found["eth2"].handover


def test_netplan_is_named_before_the_renderer_that_it_writes_for(tmp_path: Path) -> None:
    _write(tmp_path, "/etc/netplan/50-cloud-init.yaml", NETPLAN)
    for index, name in ((3, "uplink"), (4, "eth2")):
        file = f"/run/systemd/network/10-netplan-{name}.network"
        state = NETWORKD_STATE.format(admin="configured", file=file)
        _write(tmp_path, f"/run/systemd/netif/links/{index}", state)

    found = owners.find(tmp_path, LINKS)

    assert _programs(tmp_path) == dict.fromkeys(("eth1", "eth2", "eth9", "br0"), "netplan")
    assert found["eth1"].file == "/etc/netplan/50-cloud-init.yaml"
    assert "`netplan set ethernets.uplink=NULL" in found["eth1"].handover
    assert "`netplan set bridges.br0=NULL" in found["br0"].handover


def test_an_interface_of_netplan_and_network_manager_is_taken_from_both(tmp_path: Path) -> None:
    document = NETPLAN.replace("renderer: networkd", "renderer: NetworkManager")
    _write(tmp_path, "/etc/netplan/50-cloud-init.yaml", document)
    _write(tmp_path, "/usr/lib/systemd/system/multi-user.target.wants/NetworkManager.service")
    _write(tmp_path, "/run/NetworkManager/devices/4", "[device]\nmanaged=1\n")

    handover = owners.find(tmp_path, LINKS)["eth2"].handover

    assert "=NULL && netplan generate`, then `printf" in handover
    assert "systemctl start NetworkManager" in handover
    assert "systemd-networkd" not in handover


def test_a_file_of_netplan_hides_one_of_its_name_elsewhere(tmp_path: Path) -> None:
    _write(tmp_path, "/etc/netplan/a.yaml", "network: {renderer: NetworkManager}")
    _write(tmp_path, "/usr/lib/netplan/a.yaml", NETPLAN)

    assert owners.find(tmp_path, LINKS) == {}


def test_interfaces_with_a_stanza_are_ifupdowns(tmp_path: Path) -> None:
    _write(tmp_path, "/etc/network/interfaces", INTERFACES)
    _write(tmp_path, "/etc/network/interfaces.d/br0", "iface br0 inet manual\n")
    assert owners.find(tmp_path, LINKS) == {}  # ifup is not installed

    _write(tmp_path, "/usr/sbin/ifup")
    found = owners.find(tmp_path, LINKS)

    assert set(found) == {"lo", "eth1", "br0"}
    assert found["br0"].file == "/etc/network/interfaces.d/br0"
    assert "take `iface eth1` out of /etc/network/interfaces" in found["eth1"].handover


@pytest.mark.slow
def test_files_that_source_each_other_are_read_once(tmp_path: Path) -> None:
    _write(tmp_path, "/sbin/ifup")
    _write(tmp_path, "/etc/network/interfaces", "source interfaces\nsource-directory more\n")
    _write(tmp_path, "/etc/network/more/a", "source ../interfaces\niface \\\n eth2 inet dhcp\n")

    assert _programs(tmp_path) == {"eth2": "ifupdown"}


@pytest.mark.parametrize("line", ["source\tmore/a", "source-directory \t more"])
def test_a_file_is_sourced_behind_any_space(tmp_path: Path, line: str) -> None:
    _write(tmp_path, "/sbin/ifup")
    _write(tmp_path, "/etc/network/interfaces", f"{line}\n")
    _write(tmp_path, "/etc/network/more/a", "iface eth2 inet dhcp\n")

    assert _programs(tmp_path) == {"eth2": "ifupdown"}


def test_interfaces_of_a_document_in_etc_nmstate_are_nmstates(tmp_path: Path) -> None:
    _write(tmp_path, "/usr/bin/nmstatectl")
    text = "interfaces: [{name: eth1, type: ethernet}, {name: eth2, state: ignore}, 7]"
    _write(tmp_path, "/etc/nmstate/uplink.yml", text)

    assert _programs(tmp_path) == {"eth1": "nmstate.service"}


@pytest.mark.parametrize(
    "content",
    [
        *("[", "a: [", "- 1", "network: 7", "network: {ethernets: 7}", "\0"),
        *("!!int ''", "!!bool x", "!!timestamp x", "a: !!float ''", "source " + "a/" * 3000),
    ],
    ids=range(11),
)
def test_files_without_an_interface_name_no_owner(tmp_path: Path, content: str) -> None:
    _run_network_manager(tmp_path)
    _write(tmp_path, "/usr/bin/nmstatectl")
    _write(tmp_path, "/sbin/ifup")
    for path in (
        "/run/NetworkManager/devices/3",
        "/run/systemd/netif/links/3",
        "/etc/netplan/a.yaml",
        "/etc/network/interfaces",
        "/etc/nmstate/a.yml",
    ):
        _write(tmp_path, path, content)

    assert owners.find(tmp_path, LINKS) == {}


STATE = """
dns-resolver: {config: {server: [192.0.2.1]}}
routes: {config: [{destination: 203.0.113.0/24, next-hop-interface: lo}]}
interfaces:
- {name: lo, type: dummy, state: up, mtu: 1500, ipv4: {enabled: true}}
- {name: eth8, type: ethernet, state: up}
- {name: eth7, type: ethernet, state: up, mtu: 1500, pci-address: '0000:3b:00.0',
   ethernet: {sr-iov: {total-vfs: 4, vfs: [{id: 0, trust: false}]}}}
"""
OF_LO = "managed by systemd-networkd (/etc/systemd/network/lo.network)"


def _joined(text: str) -> Joined:
    return join(document.unite(document.read(text)).state, document.read_state(STATE))


def _texts(root: Path, text: str) -> list[str]:
    """Return what is refused where networkd has lo, the one interface of every machine."""
    state = NETWORKD_STATE.format(admin="configured", file="/etc/systemd/network/lo.network")
    _write(root, "/run/systemd/netif/links/1", state)
    with netns.own() as own:
        return [complaint.text for complaint in owners.judge(_joined(text), own, root)]


@pytest.mark.parametrize(
    "text",
    [
        "interfaces: [{name: lo, mtu: 9000}]",
        "interfaces: [{name: lo, state: absent}]",
        "interfaces: [{name: br0, type: linux-bridge, bridge: {port: [{name: lo}]}}]",
        "routes: {config: [{destination: 198.51.100.0/24, next-hop-interface: lo}]}",
        "routes: {config: [{destination: 203.0.113.0/24, state: absent}]}",
    ],
)
def test_a_change_of_an_interface_of_another_program_is_refused(tmp_path: Path, text: str) -> None:
    (refusal,) = _texts(tmp_path, text)

    assert OF_LO in refusal
    assert "to hand it over: `printf '[Match]\\nName=lo\\n[Link]\\nUnmanaged=yes\\n'" in refusal


@pytest.mark.parametrize(
    "text",
    [
        "interfaces: [{name: lo, mtu: 1500}]",
        "interfaces: [{name: eth8, mtu: 9000}]",
        "interfaces: [{name: lo, state: ignore, type: loopback}]",
        "dns-resolver: {config: {server: [192.0.2.1]}}",
    ],
)
def test_an_unchanged_interface_may_be_another_programs(tmp_path: Path, text: str) -> None:
    _write(tmp_path, "/etc/resolv.conf", "# Generated by NetworkManager\n")

    assert _texts(tmp_path, text) == []


PF = "{name: eth7, ethernet: {sr-iov: {%s}}}"
APPLIED = '{"pciAddress": "0000:3b:00.0", "numVfs": %d, "mtu": 1500, "name": "eth7"%s}'


@pytest.mark.parametrize("wish", ["total-vfs: 8", "vfs: [{id: 0, trust: true}]"])
def test_vfs_that_the_sriov_operator_makes_are_not_changed_beside_it(
    tmp_path: Path, wish: str
) -> None:
    """As its store has what it applied (pkg/host/store/store.go)."""
    file = "/etc/sriov-operator/pci/0000:3b:00.0"
    _write(tmp_path, file, APPLIED % (4, ""))

    (refusal,) = _texts(tmp_path, f"interfaces: [{PF % wish}]")

    assert refusal == (
        f"the VFs of eth7 are managed by the SR-IOV operator ({file}); to hand them over: take "
        "eth7 out of its SriovNetworkNodePolicies, or give these `externallyManaged: true`"
    )
    assert _texts(tmp_path, "interfaces: [{name: eth7, mtu: 9000}]") == []
    assert _texts(tmp_path, f"interfaces: [{PF % 'total-vfs: 4'}]") == []


@pytest.mark.parametrize(
    "content", [APPLIED % (4, ', "externallyManaged": true'), APPLIED % (0, ""), "[]", "torn: {"]
)
def test_vfs_that_the_sriov_operator_leaves_to_others_are_changed(
    tmp_path: Path, content: str
) -> None:
    _write(tmp_path, "/etc/sriov-operator/pci/0000:3b:00.0", content)

    assert _texts(tmp_path, f"interfaces: [{PF % 'total-vfs: 8'}]") == []


def test_a_resolver_that_another_writes_is_refused_by_name(tmp_path: Path) -> None:
    _write(tmp_path, "/etc/resolv.conf", "# Generated by NetworkManager\n")

    (refusal,) = _texts(tmp_path, "dns-resolver: {config: {server: [192.0.2.7]}}")

    assert refusal.startswith("/etc/resolv.conf is written by NetworkManager; to hand it over:")
