"""Which links a step touches, what it adds, and what takes back its routes and rules."""

import pytest

from sriovbond.nodenet.acts import (
    AddPort,
    AddRoute,
    AddRule,
    Remove,
    RemoveRoute,
    RemoveRule,
    SetIp,
    Step,
)
from sriovbond.nodenet.document import read_state
from sriovbond.nodenet.model import IpAddress4, Ipv4, LinkAggregation, NodeLink, Veth
from sriovbond.nodenet.routing import ABSENT, NodeRoute, RouteRule
from sriovbond.trial import footprints
from sriovbond.trial.checkpoint import Journal

NET = "10.0.0.0/8"
A = NodeRoute(destination=NET, next_hop_interface="eth1", next_hop_address="192.0.2.1", weight=1)
B = NodeRoute(destination=NET, next_hop_interface="eth2", next_hop_address="192.0.3.1", weight=3)
OVER_A_LINK = NodeRoute(destination=NET, next_hop_interface="eth1")
BLACKHOLE = NodeRoute(destination=NET, route_type="blackhole")
WIDE = RouteRule(family="ipv4", priority=100, route_table=200)
NARROW = RouteRule(family="ipv4", priority=100, route_table=200, ip_from="10.0.0.0/8")


@pytest.mark.parametrize(
    ("step", "names"),
    [
        (
            AddPort("bond0", "eth1", "bond", before=NodeLink(name="eth1", controller="br0")),
            ("bond0", "eth1", "br0"),
        ),
        (Remove(NodeLink(name="va", type="veth", veth=Veth("vb"))), ("va", "vb")),
    ],
)
def test_a_former_controller_and_the_peer_of_a_veth_are_touched_with_it(
    step: Step, names: tuple[str, ...]
) -> None:
    assert footprints.touched(step) == names


def test_a_route_in_the_place_of_another_is_one_of_both_links() -> None:
    assert footprints.carriers(AddRoute(OVER_A_LINK, former=B)) == ("eth1", "eth2")


def test_ports_change_with_their_bond() -> None:
    bond = NodeLink(name="bond0", type="bond", link_aggregation=LinkAggregation(port=("eth1",)))

    assert footprints.closure(["bond0"], {"bond0": bond}) == ("bond0", "eth1")


def test_an_address_of_a_lease_is_not_added() -> None:
    leased = IpAddress4("192.0.2.7", 24, valid_life_time="600sec")
    ip = Ipv4(enabled=True, address=(leased, IpAddress4("192.0.2.9", 24)))

    journal = footprints.begin(Journal(), SetIp("eth1", ip, ip), {}, ())

    assert journal.added == (("eth1", "192.0.2.9/24"),)


@pytest.mark.parametrize(
    ("step", "routes"),
    [
        (RemoveRoute(OVER_A_LINK), []),  # it is restored as the kernel had it
        (RemoveRoute(BLACKHOLE), [(None, "blackhole")]),
        (AddRoute(OVER_A_LINK), [(ABSENT, None)]),
        (AddRoute(OVER_A_LINK, former=BLACKHOLE), [(ABSENT, None), (None, "blackhole")]),
        (AddRoute(OVER_A_LINK, former=B), [(ABSENT, None)]),
        (AddRoute(OVER_A_LINK, former=OVER_A_LINK), []),
        (AddRoute(B, ways=(A, B)), [(ABSENT, None), (ABSENT, None)]),
        (AddRoute(B, former=A, ways=(A, B)), []),
    ],
)
def test_the_way_back_of_a_route_takes_it_off_and_has_the_one_without_a_link_again(
    step: Step, routes: list[tuple[str | None, str | None]]
) -> None:
    ways = read_state(footprints.begin(Journal(), step, {}, ()).ways)

    assert [(row.state, row.route_type) for row in ways.configured_routes] == routes


@pytest.mark.parametrize(
    ("step", "rules"),
    [
        (AddRule(WIDE, (NARROW,)), [(ABSENT, None), (None, NARROW.ip_from)]),
        (
            RemoveRule(WIDE, (NARROW,)),
            [(None, None), (ABSENT, NARROW.ip_from), (None, NARROW.ip_from)],
        ),
    ],
)
def test_the_way_back_of_a_rule_has_the_narrower_ones_again(
    step: Step, rules: list[tuple[str | None, str | None]]
) -> None:
    """The kernel removes the first that has all that is given: it may be one of these."""
    ways = read_state(footprints.begin(Journal(), step, {}, ()).ways).route_rules

    assert ways is not None
    assert [(row.state, row.ip_from) for row in ways.config or ()] == rules
