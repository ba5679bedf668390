"""The two ends of a veth are made together, whatever a document calls the other one."""

import pytest

from sriovbond.nodenet.writer import to_yaml
from tests.unit.nodenet.states import changes, joined, steps, way_back

NODE = """\
interfaces:
- {name: eth1, type: ethernet, state: up}
- {name: far, type: veth, state: up}
- {name: va, type: veth, state: up, veth: {peer: vb}}
- {name: vb, type: veth, state: up, veth: {peer: va}}
"""
NEW = "{name: vc, type: veth, veth: {peer: vd}}"
BOTH = [
    "vc: make it, type veth",
    "vc: set veth.peer vd",
    "vd: make it, type veth",
    "vd: set veth.peer vc",
    "vc: set it up",
    "vd: set it up",
]


@pytest.mark.parametrize(
    "other",
    [
        "",
        ", {name: vd}",
        ", {name: vd, type: veth}",
        ", {name: vd, type: ethernet, state: up}",
        ", {name: vd, type: veth, veth: {peer: vc}}",
    ],
)
def test_the_other_end_comes_up_with_a_new_veth(other: str) -> None:
    document = f"interfaces: [{NEW}{other}]"

    assert joined(document, NODE).complaints == ()
    assert steps(document, NODE) == BOTH


def test_an_end_that_is_not_mentioned_is_in_no_difference_and_no_way_back() -> None:
    document = f"interfaces: [{NEW}]"

    assert "vd\n  type" not in changes(document, NODE)
    assert way_back(document, NODE) == to_yaml(
        joined("interfaces: [{name: vc, type: veth, state: absent}]", NODE).desired
    )


def test_a_veth_that_stays_down_leaves_its_other_end_as_it_is_made() -> None:
    assert steps(f"interfaces: [{NEW[:-1]}, state: down}}]", NODE) == [
        "vc: make it, type veth",
        "vc: set veth.peer vd",
    ]


@pytest.mark.parametrize(
    ("links", "text"),
    [
        ("{name: vc, type: veth}", "vc: a new veth needs veth.peer"),
        ("{name: vc, type: ethernet}", "vc: it is missing, and a NIC cannot be made"),
        ("{name: vc}", "vc: it is missing, and has no type to make it by"),
        ("{name: eth1, veth: {peer: vd}}", "eth1: it is no veth, and has no peer vd"),
        (
            "{name: far, veth: {peer: vd}}",
            "far: its other end is in another namespace: remove it before its peer is vd",
        ),
    ],
)
def test_a_veth_without_another_end_is_refused(links: str, text: str) -> None:
    complaints = joined(f"interfaces: [{links}]", NODE).complaints

    assert [row.text for row in complaints] == [text]


def test_the_other_end_of_a_removed_veth_comes_back_whole_with_its_vlans() -> None:
    state = NODE.replace(
        "{name: vb, type: veth, state: up, veth: {peer: va}}",
        "{name: vb, type: veth, state: up, mac-address: 02:00:00:00:00:0b, veth: {peer: va}}\n"
        "- {name: v7, type: vlan, state: up, vlan: {base-iface: vb, id: 7}}",
    )
    state += "routes: {config: [{destination: 10.0.0.0/8, next-hop-interface: vb}]}\n"
    document = "interfaces: [{name: va, type: veth, state: absent}]"

    back = joined(way_back(document, state), NODE).desired

    links = {link.label: link for link in back.interfaces or ()}
    assert sorted(links) == ["v7", "va", "vb"]
    assert links["vb"].mac_address == "02:00:00:00:00:0B"
    assert [row.next_hop_interface for row in back.configured_routes] == ["vb"]
    assert sorted(steps(document, state)) == [
        "remove route destination 10.0.0.0/8, next-hop-interface vb",
        "v7: remove it; it is on vb, which goes",
        "va: remove it; its other end vb goes with it",
    ]
