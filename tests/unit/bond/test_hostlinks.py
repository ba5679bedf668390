from dataclasses import replace
from typing import Any

import pytest

from sriovbond.bond.hostlinks import HostLinks, Usage, kept, parse_host_links, refusal
from sriovbond.bond.links import Carried, Master, Member, Place
from tests.support.builders import a_member, a_vf

NIC = a_member("ens3f2", Place.HOST, device="0000:3b:00.2", altnames=("enp59s0f2",))
VF = replace(a_vf("ens3f2v0"), place=Place.HOST)
UNUSED = HostLinks()
ADDRESS = Carried("192.0.2.5/24", "00")


def with_link(**facts: Any) -> Member:  # noqa: ANN401 - Link's fields
    return replace(NIC, link=replace(NIC.link, **facts))


def why(lent: HostLinks, member: Member = NIC, **usage: Any) -> str:  # noqa: ANN401 - Usage's fields
    found = kept(lent, member, Usage(**usage))
    return found.why if found else ""


@pytest.mark.parametrize(
    ("given", "lent"),
    [
        ("unused", UNUSED),
        ("none", HostLinks(())),
        ([], HostLinks(())),
        (["ens3f2", "dpdk*"], HostLinks(("ens3f2", "dpdk*"))),
    ],
    ids=str,
)
def test_the_setting_host_links_is_read(given: object, lent: HostLinks) -> None:
    assert parse_host_links(given) == lent


@pytest.mark.parametrize(
    "given",
    ["ens3f2", "all", True, None, 7, {}, [""], [7], ["a" * 128], ["a\n"], ["a"] * 257],
    ids=repr,
)
def test_anything_else_is_a_fault(given: object) -> None:
    with pytest.raises(
        ValueError, match='host_links: expected "unused", "none", or a list of at most 256'
    ):
        parse_host_links(given)


@pytest.mark.parametrize("member", [NIC, VF, a_member("d0", Place.HOST, kind="dummy")], ids=str)
def test_an_unused_link_is_lent(member: Member) -> None:
    assert why(UNUSED, member) == ""


@pytest.mark.parametrize(
    ("member", "words"),
    [
        (with_link(addresses=(ADDRESS,)), "it has 192.0.2.5/24"),
        (with_link(routes=(Carried("route 198.51.100.0/24", ""),)), "it has route 198.51.100.0/24"),
        (with_link(has_default_route=True), "it has route default"),
        (with_link(addresses=(ADDRESS,) * 7), "192.0.2.5/24 and 2 more"),
        (with_link(uppers=("ens3f2.7", "mv0")), "it carries ens3f2.7, mv0"),
        (with_link(master=7, within=Master("br0", "bridge")), "it is in br0"),
        (with_link(master=7), "it is in a bond or bridge"),
        (with_link(kind="vxlan"), "it is an interface of kind vxlan"),
        (with_link(kind="bridge"), "it is an interface of kind bridge"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_a_link_that_the_node_uses_is_kept(member: Member, words: str) -> None:
    assert words in why(UNUSED, member)


@pytest.mark.parametrize(
    ("usage", "words"),
    [
        ({"has_functions": True}, "VFs or sub-functions are made of it"),
        ({"elsewhere": "macvlan net1"}, "macvlan net1 in another namespace is on top of it"),
        ({"is_unknown": True}, "neither kubelet nor its checkpoint reports its owner"),
        ({"resource": "intel.com/pf0"}, "the device plugin of intel.com/pf0 has it, and kubelet"),
    ],
    ids=str,
)
def test_a_link_that_others_need_is_kept(usage: dict[str, Any], words: str) -> None:
    assert words in why(UNUSED, VF, **usage)


def test_a_device_that_kubelet_gave_the_pod_is_the_pods() -> None:
    assert why(UNUSED, VF, resource="intel.com/pf0", is_given=True) == ""


def test_all_reasons_against_a_link_are_reported_at_once() -> None:
    assert why(UNUSED, with_link(addresses=(ADDRESS,), uppers=("v7",)), has_functions=True) == (
        "it has 192.0.2.5/24 and it carries v7 and VFs or sub-functions are made of it"
    )


@pytest.mark.parametrize("name", ["ens3f2", "ens3*", "0000:3B:00.2", "3b:00.2"])
def test_a_link_that_the_node_names_is_lent_whatever_it_carries(name: str) -> None:
    used = with_link(addresses=(ADDRESS,), uppers=("v7",))

    assert why(HostLinks(("other", name)), used, has_functions=True) == ""


@pytest.mark.parametrize("names", [("enp59s0f2",), ("ens3f3", "ens4*"), ()], ids=str)
def test_a_link_that_the_node_does_not_name_is_kept(names: tuple[str, ...]) -> None:
    assert why(HostLinks(names)) == f"the node lends {', '.join(names) or 'none'}"


def test_a_plugins_device_is_lent_by_its_address_only_for_a_pod_may_have_named_it() -> None:
    assert "device plugin" in why(HostLinks(("ens3*",)), VF, resource="intel.com/pf0")
    assert why(HostLinks((VF.device,)), VF, resource="intel.com/pf0") == ""


def test_the_refusal_has_the_line_to_write() -> None:
    lent = HostLinks(("ens9",))
    those = [kept(lent, NIC, Usage()), kept(lent, VF, Usage(resource="intel.com/pf0"))]

    assert str(refusal(lent, [one for one in those if one])) == (
        "cannot take interfaces of the host, ens3f2 (0000:3b:00.2): the node lends ens9; "
        "ens3f2v0 (VF 0 of pf0, 0000:01:10.0): the device plugin of intel.com/pf0 has it, and "
        "kubelet did not give it this pod; name interfaces that the node does not use, or have it "
        'lend these: write host_links = ["ens9", "ens3f2", "0000:01:10.0"] into '
        "/etc/sriovbond/node.toml on the node [host-links-not-allowed]"
    )


def test_a_file_that_cannot_be_used_lends_nothing() -> None:
    broken = HostLinks(fault="/etc/sriovbond/node.toml cannot be used: it belongs to user 7")
    those = kept(broken, NIC, Usage())

    assert those is not None
    assert str(refusal(broken, [those])) == (
        f"cannot take interfaces of the host, {NIC}: {broken.fault}; correct "
        "/etc/sriovbond/node.toml on the node [host-links-not-allowed]"
    )


def test_of_many_links_the_first_are_named_and_the_line_has_all() -> None:
    nics = [a_member(f"ens{number}", Place.HOST) for number in range(9)]
    lent = HostLinks(())

    words = str(refusal(lent, [one for nic in nics if (one := kept(lent, nic, Usage()))]))

    assert words.count("the node lends none") == 5
    assert "; and 4 more; name interfaces" in words
    assert '"ens8"]' in words
