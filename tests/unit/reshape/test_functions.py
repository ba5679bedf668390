"""Which MAC of a VF is by chance: the interface says so, and has the one that the PF reports."""

from pathlib import Path

import pytest

from sriovbond.reshape import functions

MAC = "02:00:00:00:00:01"


def a_vf(folder: Path, assigned: str, mac: str) -> Path:
    netdev = folder / "net/eth0"
    netdev.mkdir(parents=True)
    (netdev / "addr_assign_type").write_text(f"{assigned}\n")
    (netdev / "address").write_text(f"{mac}\n")
    return folder


def test_a_mac_is_by_chance_where_the_vf_chose_it(tmp_path: Path) -> None:
    assert functions.is_by_chance(a_vf(tmp_path, "1", MAC), MAC)


@pytest.mark.parametrize(("assigned", "mac"), [("1", "02:00:00:00:00:99"), ("3", MAC), ("0", MAC)])
def test_a_mac_that_was_given_is_not_by_chance(tmp_path: Path, assigned: str, mac: str) -> None:
    assert not functions.is_by_chance(a_vf(tmp_path, assigned, mac), MAC)


def test_of_a_vf_without_an_interface_it_is_the_pfs(tmp_path: Path) -> None:
    assert not functions.is_by_chance(tmp_path, MAC)
