from dataclasses import replace
from typing import Any

import pytest

from sriovbond.bond.links import Link, Member, Place
from sriovbond.bond.selection import Seen, UserspaceDevice, choose
from sriovbond.errors import ConfigError, RefusedError
from tests.support.builders import a_member, a_netconf, a_pf, a_vf, seen

NET1, NET2 = a_vf("net1", pf=a_pf(0)), a_vf("net2", pf=a_pf(1))
ETH0 = a_member("eth0", kind="veth", has_default_route=True)
ENS1, ENS2 = a_member("ens1f0v0"), a_member("ens2f0v0")
VFIO = UserspaceDevice("0000:03:10.0", "vfio-pci", "SR-IOV CNI's cache", "net3")


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
def test_without_links_what_serves_another_end_is_never_taken(other: Member, why: str) -> None:
    assert names({}, seen(pod=[other, NET1, NET2])) == ["net1", "net2"]

    with pytest.raises(RefusedError) as caught:
        choose(a_netconf(), seen(pod=[a_member("lo"), other, NET1]))

    assert f"{other} not: {why}" in caught.value.message


def test_too_few_are_told_with_each_link_that_was_seen() -> None:
    with pytest.raises(RefusedError) as caught:
        choose(a_netconf(), seen(pod=[a_member("lo"), ETH0, NET1]))

    assert "cannot bond 1 of at least 2 members" in caught.value.message
    assert "net1 (VF 0 of pf0, 0000:01:10.0) taken" in caught.value.message
    assert "eth0 not: the default network's interface" in caught.value.message
    assert "lo" not in caught.value.message.split()
    assert "minMembers" in caught.value.message
    assert "[too-few-members]" in caught.value.message


def test_an_empty_pod_is_told() -> None:
    with pytest.raises(RefusedError, match="the pod has no interface"):
        choose(a_netconf(), seen())


def test_one_member_will_do_where_it_is_said_so() -> None:
    assert names({"minMembers": 1}, seen(pod=[NET1])) == ["net1"]
    assert names({"minMembers": 1, "links": links("net1")}, seen(pod=[NET1])) == ["net1"]


def test_more_members_can_be_demanded() -> None:
    with pytest.raises(RefusedError, match="cannot bond 2 of at least 3 members"):
        choose(a_netconf(minMembers=3), seen(pod=[NET1, NET2]))


def test_a_mix_with_a_userspace_vf_is_refused_by_address_and_driver() -> None:
    with pytest.raises(RefusedError) as caught:
        choose(a_netconf(minMembers=1), seen(pod=[NET1, NET2], userspace=[VFIO]))

    assert "0000:03:10.0 (asked for as net3) is bound to vfio-pci" in caught.value.message
    assert "SR-IOV CNI's cache" in caught.value.message
    assert "bind it to its kernel driver [userspace-driver]" in caught.value.message


def test_links_are_taken_in_their_order_with_their_options() -> None:
    wanted = [{"name": "net2", "prio": 7}, {"name": "net1", "queue_id": 2}]

    members = choose(a_netconf(links=wanted), seen(pod=[NET1, NET2, ETH0], userspace=[VFIO]))

    assert [(one.name, one.prio, one.queue_id) for one in members] == [
        ("net2", 7, None),
        ("net1", None, 2),
    ]


@pytest.mark.parametrize(
    ("in_container", "in_pod", "on_host", "place"),
    [
        (None, "ab", "", Place.POD),
        (None, "", "ab", Place.HOST),
        (None, "ab", "ab", Place.HOST),
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


def test_an_altname_of_a_link_elsewhere_is_told_with_its_place() -> None:
    there = seen(pod=[NET1], host=[with_link(ENS1, altnames=("blue",))])

    with pytest.raises(ConfigError, match="the host has blue"):
        choose(a_netconf(links=links("net1", "blue"), linksInContainer=True), there)

    with pytest.raises(ConfigError, match="'blue' is in the host"):
        choose(a_netconf(links=links("net1", "blue")), there)


def test_links_that_are_apart_are_told_with_their_places() -> None:
    there = seen(pod=[NET1, NET2], host=[ENS1, NET2])

    with pytest.raises(ConfigError) as caught:
        choose(a_netconf(links=links("net1", "net2", "ens1f0v0", "x")), there)

    assert "'net1' is in the pod" in caught.value.message
    assert "'net2' is in the host and the pod" in caught.value.message
    assert "'ens1f0v0' is in the host" in caught.value.message
    assert "'x' is nowhere" in caught.value.message
    assert "leave `links` out" in caught.value.message


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
def test_a_missing_link_is_told_with_what_is_there(
    in_container: bool,  # noqa: FBT001 - a column of the table
    words: tuple[str, ...],
) -> None:
    config = a_netconf(links=links("net1", "ens1f0v0"), linksInContainer=in_container)

    with pytest.raises(ConfigError) as caught:
        choose(config, seen(pod=[NET1, ETH0], host=[ENS1]))

    assert [one for one in words if one not in caught.value.message] == []


@pytest.mark.parametrize("in_container", [None, True])
def test_a_named_link_that_is_in_userspace_is_told_with_its_driver(
    in_container: bool | None,  # noqa: FBT001 - a column of the table
) -> None:
    config = a_netconf(links=links("net1", "net3"), linksInContainer=in_container)

    with pytest.raises(ConfigError) as caught:
        choose(config, seen(pod=[NET1], userspace=[VFIO]))

    assert "0000:03:10.0 (asked for as net3) is bound to vfio-pci" in caught.value.message


def test_links_of_the_host_are_members_of_the_host() -> None:
    members = choose(a_netconf(links=links("ens2f0v0", "ens1f0v0")), seen(host=[ENS1, ENS2]))

    assert [(one.name, one.place) for one in members] == [
        ("ens2f0v0", Place.HOST),
        ("ens1f0v0", Place.HOST),
    ]


def test_what_bus_and_pf_say_is_asked_only_of_links_of_the_pod() -> None:
    asked: list[str] = []

    def as_member(link: Link, place: Place) -> Member:
        asked.append(link.name)
        return replace(a_vf(link.name), link=link, place=place)

    there = Seen(pod=[NET1.link, NET2.link], host=[ENS1.link], userspace=(), as_member=as_member)

    assert names({}, there) == ["net1", "net2"]
    assert asked == ["net1", "net2"]
