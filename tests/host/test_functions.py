"""SR-IOV in a document, on the rig's igb PFs: how many VFs, what the PF has for them, and back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sriovbond.reshape import limits
from sriovbond.trial.transaction import ChangeOutcome
from tests.support.changes import Changes
from tests.support.pods import ip
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
    """The VM itself as the node; PF's VF 1 has settings that a person gave it."""
    with this_node(tmp_path) as node:
        ip(f"link set {PF} vf 1 {WORDS}")
        try:
            yield Changes(node, [])
        finally:
            _device().joinpath("sriov_numvfs").write_text("0")
            rigs.reset_vfs()


def _device() -> Path:
    return Path(f"/sys/class/net/{PF}/device")


def _functions() -> list[dict[str, Any]]:
    """Return what the PF has for its VFs; the MAC of those that a person gave one."""
    rows: list[dict[str, Any]] = ip(f"-d -j link show {PF}")[0]["vfinfo_list"]
    return [{**row, "address": row["address"] if row["vf"] in (1, 5) else ""} for row in rows]


def test_vfs_keep_what_their_pf_has_for_them_when_there_are_more(changes: Changes) -> None:
    before = _functions()

    assert changes.apply(TOTAL % (6, "")) is ChangeOutcome.COMMITTED

    assert len(_functions()) == 6
    assert _functions()[:4] == before
    assert changes.apply(TOTAL % (6, "")) is ChangeOutcome.NOTHING_TO_DO


def test_new_vfs_get_what_the_document_says(changes: Changes) -> None:
    text = TOTAL % (6, NEW)

    assert changes.apply(text) is ChangeOutcome.COMMITTED

    row = _functions()[5]
    assert (row["address"], row["trust"]) == ("02:00:00:00:0f:05", True)
    assert row["vlan_list"] == [{"vlan": 9, "qos": 2}]
    changes.node.sent.clear()
    assert changes.apply(text) is ChangeOutcome.NOTHING_TO_DO
    assert changes.node.sent == []


@pytest.mark.parametrize("total", [0, 1, 6])
def test_the_way_back_has_the_number_and_what_the_pf_had_for_each(
    changes: Changes, total: int
) -> None:
    before, names = _functions(), set(_device().glob("virtfn*"))
    changes.apply(TOTAL % (total, NEW if total == 6 else ""), is_waiting=True)
    assert len(_functions()) == total

    changes.rollback()

    assert _functions() == before
    assert set(_device().glob("virtfn*")) == names


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
