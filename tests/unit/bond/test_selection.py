from dataclasses import replace
from typing import Any

import pytest

from sriovbond.bond.links import Allocation, Carried, Member, Place
from sriovbond.bond.seen import Seen, Unlinked
from sriovbond.bond.selection import choose, verdicts
from sriovbond.errors import ConfigError, RefusedError
from tests.support.builders import a_member, a_netconf, a_pf, a_vf, seen

NET1, NET2 = a_vf("net1", pf=a_pf(0)), a_vf("net2", pf=a_pf(1))
ETH0 = a_member("eth0", kind="veth", has_default_route=True)
ENS1, ENS2 = a_member("ens1f0v0"), a_member("ens2f0v0")
VFIO = Unlinked(
    "0000:03:10.0",
    "vfio-pci",
    is_userspace=True,
    ifname="net3",
    allocation=Allocation(sources=("SR-IOV CNI's cache",)),
)


def names(config: dict[str, Any], there: Seen) -> list[str]:
    return [member.name for member in choose(a_netconf(**config), there)]


def links(*chosen: str) -> list[dict[str, str]]:
    return [{"name": name} for name in chosen]


def with_link(member: Member, **facts: Any) -> Member:  # noqa: ANN401 - Link's fields
    return replace(member, link=replace(member.link, **facts))


def test_without_links_every_vf_of_the_pod_is_taken_in_the_order_of_names() -> None:
    there = seen(pod=[NET2, ETH0, a_vf("net10", 1), NET1], host=[ENS1])

    assert names({}, there) == ["net1", "net2", "net10"]


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (with_link(a_vf("eth0", 3)), "the default network's interface"),
        (with_link(a_vf("net3", 3), has_default_route=True), "carries a default route"),
        (with_link(a_vf("net3", 3), uppers=("net3.7", "mv0")), "carries net3.7, mv0"),
        (with_link(a_vf("net3", 3), master=9), "already in a bond or bridge"),
        (a_member("bond7", kind="bond"), "a bond itself"),
        (a_member("veth3", kind="veth"), "no VF (veth)"),
        (replace(a_vf("net3", 3), is_vf=False, driver="igb"), "no VF (igb)"),
        (a_member("odd0"), "no VF (no device)"),
    ],
    ids=lambda given: given if isinstance(given, str) else given.name,
)
def test_without_links_an_interface_in_other_use_is_never_taken(other: Member, why: str) -> None:
    assert names({}, seen(pod=[other, NET1, NET2])) == ["net1", "net2"]

    with pytest.raises(RefusedError) as caught:
        choose(a_netconf(), seen(pod=[a_member("lo"), other, NET1]))

    assert f"{other}: not taken, {why}" in caught.value.message


def test_too_few_are_reported_with_each_link_that_was_seen() -> None:
    with pytest.raises(RefusedError) as caught:
        choose(a_netconf(), seen(pod=[a_member("lo"), ETH0, NET1]))

    assert caught.value.message.startswith(
        "cannot bond 1 of at least 2 members of the pod: net1 (VF 0 of pf0, 0000:01:10.0): taken; "
        "eth0: not taken, the default network's interface; ask for a VF on each of two PFs"
    )
    assert "lo" not in caught.value.message.split()
    assert "minMembers" in caught.value.message
    assert "[too-few-members]" in caught.value.message


def test_an_empty_pod_is_reported() -> None:
    with pytest.raises(RefusedError, match="the pod: no interface"):
        choose(a_netconf(), seen())


def test_one_member_will_do_where_it_is_said_so() -> None:
    assert names({"minMembers": 1}, seen(pod=[NET1])) == ["net1"]
    assert names({"minMembers": 1, "links": links("net1")}, seen(pod=[NET1])) == ["net1"]


def test_more_members_can_be_demanded() -> None:
    with pytest.raises(RefusedError, match="cannot bond 2 of at least 3 members"):
        choose(a_netconf(minMembers=3), seen(pod=[NET1, NET2]))


def test_a_mix_with_a_userspace_vf_is_refused_by_address_and_driver() -> None:
    with pytest.raises(RefusedError) as caught:
        choose(a_netconf(minMembers=1), seen(pod=[NET1, NET2], unlinked=[VFIO]))

    assert "0000:03:10.0 (asked for as net3) is bound to vfio-pci" in caught.value.message
    assert "SR-IOV CNI's cache" in caught.value.message
    assert "or select the others with `links` [userspace-driver]" in caught.value.message


def test_links_are_taken_in_their_order_with_their_options() -> None:
    wanted = [{"name": "net2", "prio": 7}, {"name": "net1", "queue_id": 2}]

    members = choose(a_netconf(links=wanted), seen(pod=[NET1, NET2, ETH0], unlinked=[VFIO]))

    assert [(one.name, one.prio, one.queue_id) for one in members] == [
        ("net2", 7, None),
        ("net1", None, 2),
    ]


@pytest.mark.parametrize(
    ("in_container", "in_pod", "on_host", "place"),
    [
        (None, "ab", "", Place.POD),
        (None, "", "ab", Place.HOST),
        (None, "ab", "ab", Place.POD),
        (None, "ab", "a", Place.POD),
        (True, "ab", "ab", Place.POD),
        (False, "ab", "ab", Place.HOST),
    ],
)
def test_links_are_looked_for_where_the_configuration_says(
    in_container: bool | None,  # noqa: FBT001 - a column of the table
    in_pod: str,
    on_host: str,
    place: Place,
) -> None:
    config = a_netconf(links=links("a", "b"), linksInContainer=in_container)
    there = seen(pod=[a_member(name) for name in in_pod], host=[a_member(name) for name in on_host])

    assert {member.place for member in choose(config, there)} == {place}


def test_links_are_found_by_their_altnames_too() -> None:
    long = "a-name-that-only-an-altname-can-have"
    there = seen(pod=[with_link(NET1, altnames=("blue", long)), NET2])

    assert names({"links": links("net2", long)}, there) == ["net2", "net1"]
    assert names({"links": links("blue", "net2"), "linksInContainer": True}, there) == [
        "net1",
        "net2",
    ]


def test_an_altname_of_a_link_elsewhere_is_reported_with_its_place() -> None:
    there = seen(pod=[NET1], host=[with_link(ENS1, altnames=("blue",))])

    with pytest.raises(ConfigError, match="the host has blue"):
        choose(a_netconf(links=links("net1", "blue"), linksInContainer=True), there)

    with pytest.raises(ConfigError, match="the host has blue, which is not taken: others of"):
        choose(a_netconf(links=links("net1", "blue")), there)


def test_where_the_pod_has_one_of_the_names_the_hosts_strays_are_not_taken() -> None:
    there = seen(pod=[NET1, ETH0], host=[ENS1, NET1, NET2])

    with pytest.raises(ConfigError) as caught:
        choose(a_netconf(links=links("net1", "net2", "x")), there)

    assert caught.value.message.startswith(
        "cannot find 'net2', 'x' of `links` in the pod: it has eth0, net1; the host has net2, "
        "which is not taken: others of `links` are in the pod; list the VFs' networks before"
    )
    assert caught.value.message.endswith(" [no-such-link]")


def test_links_in_different_places_are_reported_with_them() -> None:
    there = seen(pod=[NET1], host=[ENS1])

    with pytest.raises(ConfigError) as caught:
        choose(a_netconf(links=links("ens1f0v0", "x")), there)

    assert (
        "'ens1f0v0' is in the host; 'x' does not exist; the pod has net1; " in caught.value.message
    )
    assert caught.value.message.endswith("or leave `links` out [no-such-link]")


def test_a_misspelt_name_is_reported_with_the_pods_interfaces_and_no_crowd() -> None:
    many = [a_member(f"veth{number}") for number in range(1000)]
    there = seen(pod=[a_member("lo"), ETH0, NET1], host=many, pod_name="default/nf1")

    with pytest.raises(ConfigError) as caught:
        choose(a_netconf(links=links("net1", "nte2")), there)
    with pytest.raises(ConfigError) as on_host:
        choose(a_netconf(links=links("net1", "nte2"), linksInContainer=False), there)

    assert "cannot find 'nte2' of `links` in the pod: it has eth0, net1; " in caught.value.message
    assert "veth" not in caught.value.message
    assert ", 980 more; the pod has net1; " in on_host.value.message


@pytest.mark.parametrize(
    ("in_container", "words"),
    [
        (
            True,
            (
                "cannot find 'ens1f0v0' of `links` in the pod: it has eth0, net1",
                "the host has ens1f0v0",
                "list the VFs' networks before the bond's",
            ),
        ),
        (
            False,
            (
                "cannot find 'net1' of `links` in the host: it has ens1f0v0",
                "the pod has net1",
                "set linksInContainer true",
            ),
        ),
    ],
)
def test_a_missing_link_is_reported_with_those_present(
    in_container: bool,  # noqa: FBT001 - a column of the table
    words: tuple[str, ...],
) -> None:
    config = a_netconf(links=links("net1", "ens1f0v0"), linksInContainer=in_container)

    with pytest.raises(ConfigError) as caught:
        choose(config, seen(pod=[NET1, ETH0], host=[ENS1]))

    assert [one for one in words if one not in caught.value.message] == []
    assert caught.value.message.endswith(" [no-such-link]")


@pytest.mark.parametrize("in_container", [None, True])
def test_a_named_link_that_is_in_userspace_is_reported_with_its_driver(
    in_container: bool | None,  # noqa: FBT001 - a column of the table
) -> None:
    config = a_netconf(links=links("net1", "net3"), linksInContainer=in_container)

    with pytest.raises(ConfigError) as caught:
        choose(config, seen(pod=[NET1], unlinked=[VFIO]))

    assert "0000:03:10.0 (asked for as net3) is bound to vfio-pci" in caught.value.message


def test_links_of_the_host_are_members_of_the_host() -> None:
    members = choose(a_netconf(links=links("ens2f0v0", "ens1f0v0")), seen(host=[ENS1, ENS2]))

    assert [(one.name, one.place) for one in members] == [
        ("ens2f0v0", Place.HOST),
        ("ens1f0v0", Place.HOST),
    ]


def given(member: Member, **facts: Any) -> Member:  # noqa: ANN401 - Allocation's fields
    return replace(member, allocation=Allocation(**facts))


A = given(NET1, resource="rig.io/pf0", network="default/sriov-a", sources=("kubelet",))
B = given(NET2, resource="rig.io/pf1", network="default/sriov-b", sources=("kubelet",))
C = given(a_vf("net3", 1, pf=a_pf(1)), resource="rig.io/pf1", network="other/dpdk")


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ([{"name": "net*"}], ["net1", "net2", "net3"]),
        ([{"name": "net[13]"}], ["net1", "net3"]),
        ([{"network": "sriov-b"}, {"network": "default/sriov-a"}], ["net2", "net1"]),
        ([{"network": "default/*"}], ["net1", "net2"]),
        ([{"resource": "rig.io/pf0"}, {"resource": "rig.io/*"}], ["net1", "net2", "net3"]),
        ([{"resource": "rig.io/pf1", "network": "other/*"}, {"name": "net1"}], ["net3", "net1"]),
        ([{"pci": "0000:02:10.1"}, {"pci": "01:10.0"}], ["net3", "net1"]),
        ([{"pci": "*:02:*"}], ["net2", "net3"]),
        ([{"pf": "pf1"}], ["net2", "net3"]),
        ([{"pf": "0000:02:00.0"}], ["net2", "net3"]),
    ],
    ids=str,
)
def test_an_entry_selects_by_all_that_it_names(
    wanted: list[dict[str, str]], chosen: list[str]
) -> None:
    assert names({"links": wanted}, seen(pod=[C, B, ETH0, A])) == chosen


def test_links_auto_means_the_same_as_no_links() -> None:
    assert names({"links": "auto"}, seen(pod=[A, B])) == ["net1", "net2"]


def test_an_entrys_options_are_those_of_all_that_it_selects() -> None:
    members = choose(a_netconf(links=[{"pf": "pf*", "prio": 7}]), seen(pod=[A, B]))

    assert [one.prio for one in members] == [7, 7]


@pytest.mark.parametrize("other", [{"name": "net*"}, {"network": "sriov-a"}], ids=str)
def test_an_entry_that_matches_nothing_new_is_reported_with_all_that_was_seen(
    other: dict[str, str],
) -> None:
    wanted = [{"resource": "rig.io/*"}, {"network": "sriov-x"}, other]

    with pytest.raises(RefusedError) as caught:
        choose(a_netconf(links=wanted), seen(pod=[A, B, ETH0], later=("default/sriov-x",)))

    message = caught.value.message
    assert "`links`.1 asks for, network 'sriov-x', in the pod: net1 (VF 0 of pf0," in message
    assert "net1 (VF 0 of pf0, 0000:01:10.0): taken; " in message
    assert "eth0: not taken, not selected by `links`; the pod lists" in message
    assert "the pod lists default/sriov-x after the bond: list the bond last" in message
    assert message.endswith("[no-such-link]")


def test_an_entry_whose_links_are_all_taken_is_reported() -> None:
    wanted = [{"resource": "rig.io/*"}, {"network": "default/sriov-b", "prio": 10}]

    with pytest.raises(RefusedError, match=r"`links`.1 .*earlier entries take all that it selects"):
        choose(a_netconf(links=wanted), seen(pod=[A, B]))


def test_an_address_may_be_requested_in_capitals() -> None:
    high = a_vf("net1", pf=replace(a_pf(), device="0000:af:00.0"))

    wanted = [{"pci": "0000:AF:10.*"}, {"pf": "*:02:00.0"}]

    assert names({"links": wanted}, seen(pod=[high, B])) == ["net1", "net2"]


def test_a_pattern_never_takes_an_interface_in_other_use() -> None:
    there = seen(pod=[A, B, ETH0, with_link(C, master=9)])

    assert names({"links": [{"name": "*"}]}, there) == ["net1", "net2"]


def test_two_bonds_that_take_all_are_refused_before_the_first_is_made() -> None:
    both = ("default/bond-net@bond0", "default/bond-net@bond1")

    with pytest.raises(RefusedError, match=r"both take all.*\[auto-twice\]"):
        choose(a_netconf(), seen(pod=[A, B], auto_bonds=both))

    assert names({"links": [{"pf": "*"}]}, seen(pod=[A, B], auto_bonds=both[1:])) == [
        "net1",
        "net2",
    ]


def test_members_of_another_bond_are_reported_with_the_way_out() -> None:
    there = seen(pod=[with_link(A, master=9), with_link(B, master=9)])

    with pytest.raises(RefusedError, match="two bonds in one pod need `links` that select"):
        choose(a_netconf(), there)


def test_members_of_another_bond_are_no_hint_where_links_do_not_select_them() -> None:
    there = seen(pod=[with_link(A, master=9), B])

    with pytest.raises(RefusedError) as caught:
        choose(a_netconf(links=[{"name": "net2"}, {"pf": "missing*"}]), there)

    assert "two bonds in one pod" not in caught.value.message


STRANGE = given(C, other_pods=("default/nf2 (kubelet)",), is_foreign=True)


@pytest.mark.parametrize(
    "keys", [{}, {"links": [{"name": "*"}]}, {"links": links("net1", "net3")}], ids=str
)
def test_a_vf_of_another_pod_is_refused_however_it_is_chosen(keys: dict[str, Any]) -> None:
    with pytest.raises(RefusedError) as caught:
        choose(a_netconf(**keys), seen(pod=[A, B, STRANGE], pod_name="default/nf1"))

    message = caught.value.message
    assert "cannot bond the VFs of the pod default/nf1: net3 (VF 1 of pf1, 0000:02:10.1)" in message
    assert "was given to default/nf2 (kubelet)" in message
    assert "[vf-of-another-pod]" in message


def test_a_vf_that_two_pods_claim_is_ours() -> None:
    claimed = replace(A, allocation=replace(A.allocation, other_pods=("default/nf2 (kubelet)",)))

    assert names({}, seen(pod=[claimed, B])) == ["net1", "net2"]


DPDK = replace(
    VFIO, allocation=Allocation("rig.io/dpdk", "default/dpdk", "app", sources=("kubelet",))
)
SOCKET = Unlinked(kind="memif", ifname="net4", allocation=Allocation(network="default/fast"))
AWAY = Unlinked(
    "0000:03:10.1", "igbvf", allocation=Allocation("rig.io/pf2", sources=("kubelet", "Multus"))
)


def test_a_refused_device_is_reported_with_container_resource_and_network() -> None:
    with pytest.raises(RefusedError) as caught:
        choose(a_netconf(), seen(pod=[A, B], unlinked=[DPDK]))

    assert (
        "0000:03:10.0 (container app, resource rig.io/dpdk, network default/dpdk, "
        "asked for as net3) is bound to vfio-pci, as kubelet says; the kernel"
        in caught.value.message
    )


def test_devices_for_dpdk_are_allowed_beside_those_that_are_selected() -> None:
    there = seen(pod=[A, B], unlinked=[DPDK])

    assert names({"links": [{"resource": "rig.io/pf*"}]}, there) == ["net1", "net2"]
    with pytest.raises(RefusedError, match="userspace-driver"):
        choose(a_netconf(links=[{"resource": "rig.io/*"}]), there)


def test_a_socket_is_no_vf_so_only_who_selects_it_is_refused() -> None:
    there = seen(pod=[A, B], unlinked=[SOCKET])

    assert names({}, there) == ["net1", "net2"]
    with pytest.raises(RefusedError, match="socket-device"):
        choose(a_netconf(links=[{"network": "default/*"}]), there)


def test_a_device_that_is_not_in_the_pod_yet_is_reported_where_too_few_are() -> None:
    assert names({}, seen(pod=[A, B], unlinked=[AWAY])) == ["net1", "net2"]

    with pytest.raises(RefusedError) as caught:
        choose(a_netconf(), seen(pod=[A], unlinked=[AWAY], later=("default/sriov-c",)))

    message = caught.value.message
    assert (
        "0000:03:10.1 (resource rig.io/pf2): has no interface in the pod (igbvf), as kubelet and "
        "Multus say; not taken, its network must come before the bond's [not-in-pod]; " in message
    )
    assert "the pod lists default/sriov-c after the bond" in message


OWN = Carried("192.0.2.7/24", "021880000500000008000100c0000207")
FROM_ROUTER = Carried("2001:db8::7/64", "0a400000" + "05000000")
OF_LINK = Carried("fe80::77/64", "0a4080fd" + "05000000")


@pytest.mark.parametrize(
    ("third", "is_taken"),
    [
        (with_link(C, addresses=(OWN,)), False),
        (with_link(C, addresses=(FROM_ROUTER, OF_LINK)), True),
        (C, False),
    ],
    ids=["address", "router's", "IPAM"],
)
def test_a_vf_with_addresses_is_skipped_where_enough_others_remain(
    third: Member,
    is_taken: bool,  # noqa: FBT001 - a column of the table
) -> None:
    with_ipam = frozenset({"other/dpdk"} if third is C else ())
    there = seen(pod=[A, B, third], with_ipam=with_ipam)

    assert names({}, there) == ["net1", "net2", "net3"][: 3 if is_taken else 2]
    assert names({"minMembers": 1}, there)[:2] == ["net1", "net2"]
    assert names({"links": [{"name": "*"}]}, there) == ["net1", "net2", "net3"]
    assert names({"minMembers": 3}, there) == ["net1", "net2", "net3"]


@pytest.mark.parametrize("least", [1, 2])
def test_a_vf_with_addresses_of_its_own_is_no_reason_to_bond_fewer_than_two(least: int) -> None:
    there = seen(pod=[A, with_link(B, addresses=(OWN,))])

    assert names({"minMembers": least}, there) == ["net1", "net2"]


def test_links_skipped_for_their_addresses_are_reported_where_too_few_are_left() -> None:
    told = verdicts(a_netconf(), seen(pod=[A, B, with_link(C, addresses=(OWN,))]))

    assert (
        "net3 (VF 1 of pf1, 0000:02:10.1): not taken, has an address of its own, 192.0.2.7/24"
        in str(told[2])
    )


@pytest.mark.parametrize("wanted", [[{"name": "ens*"}], [{"name": "ens1f0v0"}, {"name": "ens2*"}]])
def test_patterns_may_mean_the_host_where_that_is_said(wanted: list[dict[str, str]]) -> None:
    config = a_netconf(links=wanted, linksInContainer=False)

    members = choose(config, seen(pod=[A], host=[ENS1, ENS2]))

    assert [(one.name, one.place) for one in members] == [
        ("ens1f0v0", Place.HOST),
        ("ens2f0v0", Place.HOST),
    ]
