"""SR-IOV in a document, on the rig's igb PFs: how many VFs, what the PF has for them, and back."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sriovbond.reshape import limits
from sriovbond.trial.transaction import ChangeOutcome
from tests.support.agents import wait_for
from tests.support.changes import Changes
from tests.support.pods import batch, ip
from tests.support.sites import this_node
from tests.vm import rig as rigs

PF = "pf2"
TOTAL = "interfaces: [{name: pf2, type: ethernet, ethernet: {sr-iov: {total-vfs: %d%s}}}]"
NEW = ", vfs: [{id: 5, trust: true, vlan-id: 9, qos: 2, mac-address: 02:00:00:00:0F:05}]"
MAC = "02:00:00:00:0f:01"
WORDS = f"mac {MAC} vlan 7 qos 3 spoofchk off trust on"
"""igb sets no link state."""
BOND = """
interfaces:
- name: bond0
  type: bond
  state: up
  ipv4: {enabled: true, dhcp: false, address: [{ip: 198.51.100.9, prefix-length: 24}]}
  link-aggregation:
    mode: active-backup
    options: {miimon: 100, fail_over_mac: active, primary: 'sriov:pf0:0'}
    port: ['sriov:pf0:0', 'sriov:pf1:0']
"""


@pytest.fixture
def changes(tmp_path: Path) -> Iterator[Changes]:
    """The VM itself as the node; PF's VF 1 has settings that a person gave it, also its MAC."""
    with this_node(tmp_path) as node:
        try:
            ip(f"link set {PF} vf 1 {WORDS}")
            home = (_device() / "virtfn1").resolve()
            (home / "driver/unbind").write_text(home.name)
            _bind(home)
            ip(f"link set {_netdev(home)} name {PF}v1")
            yield Changes(node, [])
        finally:
            _device().joinpath("sriov_numvfs").write_text("0")
            rigs.reset_vfs()


def _bind(home: Path) -> None:
    Path("/sys/bus/pci/drivers_probe").write_text(home.name)


def _netdev(home: Path) -> str:
    (net,) = home.glob("net/*")
    return net.name


def _device() -> Path:
    return Path(f"/sys/class/net/{PF}/device")


def _functions() -> list[dict[str, Any]]:
    """Return what the PF has for its VFs; the MAC of those that a person gave one."""
    rows: list[dict[str, Any]] = ip(f"-d -j link show {PF}")[0]["vfinfo_list"]
    return [{**row, "address": row["address"] if row["vf"] in (1, 5) else ""} for row in rows]


def test_a_nic_that_is_known_by_its_place_is_absent_and_there_again(changes: Changes) -> None:
    vf = rigs.layout().pfs[0].vfs[0]
    nic = f"name: uplink, type: ethernet, identifier: pci-address, pci-address: '{vf.pci}'"
    address = "ipv4: {enabled: true, dhcp: false, address: [{ip: 198.51.100.9, prefix-length: 24}]}"
    up, absent = (
        f"interfaces: [{{{nic}, {words}}}]" for words in (f"state: up, {address}", "state: absent")
    )

    for text, (is_up, addresses) in ((up, (True, ["198.51.100.9"])), (absent, (False, []))) * 2:
        assert changes.apply(text) is ChangeOutcome.COMMITTED
        (row,) = ip(f"-j -4 address show {vf.name}") or [{"addr_info": [], "flags": []}]
        assert [address["local"] for address in row["addr_info"]] == addresses
        assert changes.node.site.link(vf.name).is_up is is_up
        assert changes.apply(text) is ChangeOutcome.NOTHING_TO_DO


def test_vfs_keep_their_settings_when_more_are_made(changes: Changes) -> None:
    before = _functions()

    assert changes.apply(TOTAL % (6, "")) is ChangeOutcome.COMMITTED

    assert len(_functions()) == 6
    assert _functions()[:4] == before
    assert changes.apply(TOTAL % (6, "")) is ChangeOutcome.NOTHING_TO_DO


def test_new_vfs_get_the_documents_settings(changes: Changes) -> None:
    text = TOTAL % (6, NEW)

    assert changes.apply(text) is ChangeOutcome.COMMITTED

    row = _functions()[5]
    assert (row["address"], row["trust"]) == ("02:00:00:00:0f:05", True)
    assert row["vlan_list"] == [{"vlan": 9, "qos": 2}]
    changes.node.sent.clear()
    assert changes.apply(text) is ChangeOutcome.NOTHING_TO_DO
    assert changes.node.sent == []


@pytest.mark.parametrize("total", [0, 1, 6])
def test_the_way_back_restores_the_number_of_vfs_and_the_settings_of_each(
    changes: Changes, total: int
) -> None:
    before, links = _functions(), _interfaces()
    changes.apply(TOTAL % (total, NEW if total == 6 else ""), is_waiting=True)
    assert len(_functions()) == total

    changes.rollback()

    assert _functions() == before
    assert _interfaces() == links


def test_interfaces_have_their_names_mtu_and_state_again(changes: Changes) -> None:
    _give_interfaces_a_person_s_values()
    before = _interfaces()

    changes.apply(TOTAL % (6, ""))

    after = _interfaces()
    assert len(after) == 6
    assert [row[:4] for row in after[:4]] == [row[:4] for row in before]
    assert after[1] == before[1]


def test_a_way_back_that_was_killed_finds_vfs_without_a_driver(changes: Changes) -> None:
    before = _interfaces()
    changes.apply(TOTAL % (6, ""), is_waiting=True)
    assert changes.kill_rollback_at(1)
    assert len(_functions()) == 4
    assert _interfaces() == []

    changes.rollback()

    assert _interfaces() == before
    assert (_device() / "sriov_drivers_autoprobe").read_text() == "1\n"


def test_a_name_that_udev_gives_late_is_the_last(changes: Changes) -> None:
    """Play udev: its record of an interface comes after it has named that."""
    udev = changes.node.host.root / "run/udev"
    (udev / "data").mkdir(parents=True)
    (udev / "control").touch()
    before = _interfaces()
    udev_at_work = threading.Thread(target=_name_late, args=(udev,))
    udev_at_work.start()

    changes.apply(TOTAL % (6, ""))

    udev_at_work.join()
    assert [row[1] for row in _interfaces()[:4]] == [row[1] for row in before]
    assert {row[1] for row in _interfaces()[4:]} == {"late4", "late5"}


def test_no_vf_comes_where_the_kernel_is_not_to_look_for_drivers(changes: Changes) -> None:
    text = TOTAL.replace("sr-iov: {", "sr-iov: {drivers-autoprobe: false, ") % (2, "")
    before = _interfaces()

    changes.apply(text, is_waiting=True)
    assert _interfaces() == []
    changes.rollback()

    assert _interfaces() == before


def test_a_documents_settings_of_a_vf_hold_when_it_is_made_anew(changes: Changes) -> None:
    vf = f"- {{name: pf2v1, type: ethernet, state: up, mtu: 1400, mac-address: {MAC}}}\n"
    pf = "- {name: pf2, type: ethernet, ethernet: {sr-iov: {total-vfs: %d}}}\n"
    changes.apply(f"interfaces:\n{vf}")

    assert changes.apply(f"interfaces:\n{vf}{pf % 6}") is ChangeOutcome.COMMITTED
    assert _interfaces()[1][1:] == ("pf2v1", 1400, True, MAC)


def _give_interfaces_a_person_s_values() -> None:
    """Swap two names, and change MTU, state and a MAC."""
    batch("link set pf2v0 down", "link set pf2v0 name swap", "link set pf2v1 down")
    batch("link set pf2v1 name pf2v0", "link set swap name pf2v1")
    batch(f"link set pf2v0 address {MAC}", "link set pf2v0 mtu 1400 up", "link set pf2v2 down")


def _interfaces() -> list[tuple[int, str, int, bool, str]]:
    """Return number, name, MTU, whether it is up, and MAC of each VF with an interface."""
    rows = {str(row["ifname"]): row for row in ip("-j link show")}
    return sorted(
        (int(home.name[6:]), net.name, row["mtu"], "UP" in row["flags"], row["address"])
        for home in _device().glob("virtfn*")
        for net in home.glob("net/*")
        for row in (rows[net.name],)
    )


def _name_late(udev: Path) -> None:
    """Name the interfaces of six VFs, each a while after it came, as late0 to late5."""
    wait_for(lambda: len(list(_device().glob("virtfn*/net/eth*"))) == 6, 300)
    time.sleep(1)
    for number in range(6):
        ip(f"link set {_netdev(_device() / f'virtfn{number}')} name late{number}")
        index = (_device() / f"virtfn{number}/net/late{number}/ifindex").read_text().strip()
        (udev / f"data/n{index}").touch()


def test_a_killed_change_of_the_number_is_reverted(changes: Changes) -> None:
    before = _functions()
    assert changes.kill_at(TOTAL % (6, NEW), 2)
    assert len(_functions()) == 6

    changes.rollback()

    assert _functions() == before


def test_settings_alone_leave_the_vfs_where_they_are(changes: Changes) -> None:
    before, indices = _functions(), _indices()
    text = TOTAL % (4, ", vfs: [{id: 1, trust: false, vlan-id: 0}]")
    changes.apply(text, is_waiting=True)
    assert (_functions()[1]["trust"], _indices()) == (False, indices)

    changes.rollback()

    assert (_functions(), _indices()) == (before, indices)


def _indices() -> list[str]:
    return [path.read_text() for path in sorted(_device().glob("virtfn*/net/*/ifindex"))]


def test_a_vf_that_the_node_uses_is_named_and_kept(changes: Changes) -> None:
    ip("address add 203.0.113.7/24 dev pf2v3")

    joined = changes.node.join(TOTAL % (6, ""))

    (complaint,) = limits.judge(joined)
    assert "its VF pf2v3 has the address 203.0.113.7" in complaint.text


def test_a_bond_over_vfs_that_are_named_by_their_pf_comes_and_goes(changes: Changes) -> None:
    changes.apply(BOND, is_waiting=True)
    members = {row.name for row in changes.node.pod.the_bond("bond0").members}
    changes.commit()
    repeated = changes.apply(BOND)
    changes.apply("interfaces: [{name: bond0, type: bond, state: absent}]")

    assert members == {"pf0v0", "pf1v0"}
    assert repeated is ChangeOutcome.NOTHING_TO_DO
    assert changes.node.pod.link("bond0") is None
