"""bond-cni's defects 1 to 6: remains and wrong deletions. Shown on bond-cni if it is present."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.conftest import Wires
from tests.support.classic import (
    IPAM,
    MACS,
    Call,
    Config,
    a_classic,
    bond_cni,
    macs,
    of_host,
    scripted,
    stands_on_host,
    ups,
)
from tests.support.pods import Pod, ip
from tests.vm import rig as rigs

# 1. Two members with one MAC


def give_one_mac(wires: Wires) -> None:
    wires.pod.ip(f"link set net2 address {MACS[0]}")


def test_1_members_with_one_mac_keep_it(ours: Call, wires: Wires) -> None:
    give_one_mac(wires)

    ours("ADD", a_classic()).ok()
    bonded = macs(wires.pod)
    ours("DEL", a_classic()).ok()

    assert bonded == macs(wires.pod) == [MACS[0], MACS[0]]


@bond_cni
def test_1_bond_cni_gives_the_second_a_mac_made_of_text_and_leaves_it(
    theirs: Call, wires: Wires
) -> None:
    give_one_mac(wires)

    theirs("ADD", a_classic()).ok()
    theirs("DEL", a_classic()).ok()

    text = bytes.fromhex(macs(wires.pod)[1].replace(":", "")).decode("ascii")
    assert text.startswith("02:")
    assert text.endswith(":")


# 2. IPAM fails


# its DEL succeeds, as the specification requires for an unknown attachment
REFUSING = """[ "$CNI_COMMAND" = DEL ] && exit 0
echo '{"cniVersion":"0.3.1","code":100,"msg":"no address is left"}'; exit 1"""


def test_2_a_failing_ipam_leaves_nothing_behind(ours: Call, wires: Wires, tmp_path: Path) -> None:
    found = scripted(tmp_path, REFUSING)

    reply = ours("ADD", a_classic(**IPAM), **found)

    assert "no address is left" in reply.msg
    assert wires.pod.bond() is None
    assert ups(wires.pod) == [True, True]
    ours("ADD", a_classic()).ok()


def test_2_a_missing_ipam_plugin_leaves_no_bond_after_del(
    ours: Call, wires: Wires, tmp_path: Path
) -> None:
    found = scripted(
        tmp_path,
        """echo '{"cniVersion":"0.3.1","ips":[{"version":"4","address":"192.0.2.9/24"}]}'""",
    )
    ours("ADD", a_classic(**IPAM), **found).ok()
    (tmp_path / "scripted").unlink()

    reply = ours("DEL", a_classic(**IPAM), **found)

    assert "'scripted'" in reply.msg
    assert wires.pod.bond() is None


@bond_cni
def test_2_bond_cni_leaves_the_bond_of_a_failed_add_in_the_way_of_the_next(
    theirs: Call, wires: Wires, tmp_path: Path
) -> None:
    theirs("ADD", a_classic(**IPAM), **scripted(tmp_path, REFUSING))

    left = wires.pod.bond()
    again = theirs("ADD", a_classic())

    assert left is not None
    assert len(left.members) == 2
    assert "file exists" in again.msg


@bond_cni
def test_2_bond_cni_never_deletes_the_bond_when_the_ipam_plugin_is_missing(
    theirs: Call, wires: Wires, tmp_path: Path
) -> None:
    theirs("ADD", a_classic()).ok()

    replies = [theirs("DEL", a_classic(**IPAM), CNI_PATH=str(tmp_path)) for _ in range(2)]

    assert all(reply.status == 1 for reply in replies)
    assert wires.pod.bond() is not None


# 3. The second enslave fails: the PF holds an untrusted VF to its MAC, which nothing reports before


@pytest.fixture
def held(vf_pod: Pod, vfs: rigs.Layout) -> Iterator[Pod]:
    """A pod with VFs that their PFs hold to their current MACs."""
    for pf in vfs.pfs[:2]:
        ip(f"link set {pf.name} vf 0 mac {pf.vfs[0].mac}")
    yield vf_pod
    rigs.reset_vfs(*(pf.vfs[0].name for pf in vfs.pfs[:2]))


@pytest.mark.vf
def test_3_a_second_member_that_the_kernel_refuses_leaves_nothing_behind(
    ours: Call, held: Pod
) -> None:
    before = macs(held)

    reply = ours("ADD", a_classic(failOverMac=0))

    assert reply.code == 103
    assert "EADDRNOTAVAIL" in reply.msg
    assert held.bond() is None
    assert (macs(held), ups(held)) == (before, [True, True])


@bond_cni
@pytest.mark.vf
def test_3_bond_cni_leaves_half_a_bond(theirs: Call, held: Pod) -> None:
    reply = theirs("ADD", a_classic(failOverMac=0))

    left = held.bond()
    assert reply.status == 1
    assert left is not None
    assert not left.is_up
    assert [member.name for member in left.members] == ["net1"]
    assert ups(held)[1] is False


# 4. Links of the host, one of them missing


def test_4_the_first_link_stays_at_home_when_the_second_is_missing(
    ours: Call, on_host: tuple[str, str]
) -> None:
    reply = ours("ADD", of_host(on_host[0], "missing1"))

    assert reply.code == 7
    assert "missing1" in reply.msg
    assert stands_on_host(on_host[0])


def test_4_the_link_that_is_left_comes_home_at_del(
    ours: Call, pod: Pod, on_host: tuple[str, str]
) -> None:
    ours("ADD", of_host(*on_host)).ok()
    pod.ip(f"link del {on_host[1]}")

    ours("DEL", of_host(*on_host)).ok()

    assert stands_on_host(on_host[0])


@bond_cni
def test_4_bond_cni_loses_the_first_link_when_the_second_is_missing(
    theirs: Call, on_host: tuple[str, str]
) -> None:
    add = theirs("ADD", of_host(on_host[0], "missing1"))
    theirs("DEL", of_host(on_host[0], "missing1"))

    assert add.status == 1
    assert not stands_on_host(on_host[0])


@bond_cni
def test_4_bond_cni_cannot_delete_when_a_link_is_gone(
    theirs: Call, pod: Pod, on_host: tuple[str, str]
) -> None:
    theirs("ADD", of_host(*on_host)).ok()
    pod.ip(f"link del {on_host[1]}")

    assert theirs("DEL", of_host(*on_host)).status == 1


# 5. Another container, another's interface


OTHER = {"CNI_CONTAINERID": "another"}


def test_5_del_of_another_container_leaves_the_bond_alone(ours: Call, wires: Wires) -> None:
    ours("ADD", a_classic()).ok()

    refused = ours("ADD", a_classic(), **OTHER)
    ours("DEL", a_classic(), **OTHER).ok()

    assert "[name-taken]" in refused.msg
    assert wires.pod.bond() is not None


def test_5_del_leaves_a_foreign_interface_of_that_name_alone(ours: Call, wires: Wires) -> None:
    wires.pod.ip("link add bond0 type dummy")

    ours("DEL", a_classic()).ok()

    assert wires.pod.link("bond0") is not None


@bond_cni
def test_5_bond_cni_deletes_the_bond_of_another_container(theirs: Call, wires: Wires) -> None:
    theirs("ADD", a_classic()).ok()

    theirs("DEL", a_classic(), **OTHER).ok()

    assert wires.pod.bond() is None


@bond_cni
def test_5_bond_cni_deletes_a_foreign_interface(theirs: Call, wires: Wires) -> None:
    wires.pod.ip("link add bond0 type dummy")

    theirs("DEL", a_classic())

    assert wires.pod.link("bond0") is None


# 6. DEL when the namespace is gone, or the configuration is one that ADD refuses


REFUSED: dict[str, Config] = {
    "mode-as-a-word": {"mode": "no-such-mode"},
    "mode-as-no-number": {"mode": 77},
}


def test_6_del_succeeds_when_the_namespace_is_gone(ours: Call) -> None:
    ours("DEL", a_classic(), CNI_NETNS="/run/netns/gone").ok()


@pytest.mark.parametrize("row", REFUSED)
def test_6_del_succeeds_with_a_configuration_that_add_refuses(
    ours: Call, wires: Wires, row: str
) -> None:
    ours("ADD", a_classic()).ok()
    assert ours("ADD", a_classic(**REFUSED[row])).status == 1

    ours("DEL", a_classic(**REFUSED[row])).ok()

    assert wires.pod.bond() is None


@bond_cni
def test_6_bond_cni_fails_when_the_namespace_is_gone(theirs: Call) -> None:
    assert theirs("DEL", a_classic(), CNI_NETNS="/run/netns/gone").status == 1


@bond_cni
@pytest.mark.parametrize("row", [{"mode": 1}, {"miimon": 100}], ids=["mode", "miimon"])
def test_6_bond_cni_fails_for_ever_with_a_configuration_that_add_refused(
    theirs: Call, wires: Wires, row: Config
) -> None:
    theirs("ADD", a_classic()).ok()

    replies = [theirs("DEL", a_classic(**row)) for _ in range(2)]

    assert all(reply.status == 1 for reply in replies)
    assert wires.pod.bond() is not None
