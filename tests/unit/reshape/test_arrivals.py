"""Which MAC is a VF's own: the interface says so, and has the one that the PF reports."""

from pathlib import Path

import pytest

from sriovbond.reshape import arrivals

MAC = "02:00:00:00:00:01"


def a_vf(folder: Path, assigned: str, mac: str) -> Path:
    netdev = folder / "net/eth0"
    netdev.mkdir(parents=True)
    (netdev / "addr_assign_type").write_text(f"{assigned}\n")
    (netdev / "address").write_text(f"{mac}\n")
    return folder


@pytest.mark.parametrize("assigned", ["1", "3"])
def test_a_mac_by_chance_or_set_on_the_interface_is_the_vfs_own(
    tmp_path: Path, assigned: str
) -> None:
    assert arrivals.is_own(a_vf(tmp_path, assigned, MAC), MAC)


@pytest.mark.parametrize(("assigned", "mac"), [("1", "02:00:00:00:00:99"), ("0", MAC)])
def test_a_mac_that_the_interface_began_with_or_has_not_is_the_pfs(
    tmp_path: Path, assigned: str, mac: str
) -> None:
    assert not arrivals.is_own(a_vf(tmp_path, assigned, mac), MAC)


def test_of_a_vf_without_an_interface_it_is_the_pfs(tmp_path: Path) -> None:
    assert not arrivals.is_own(tmp_path, MAC)


def test_only_a_mac_that_was_set_is_set_again(tmp_path: Path) -> None:
    assert arrivals.set_mac(a_vf(tmp_path / "a", "3", MAC)) == MAC
    assert arrivals.set_mac(a_vf(tmp_path / "b", "1", MAC)) == ""
