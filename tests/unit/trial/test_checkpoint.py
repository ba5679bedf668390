"""What a step took is what links had before it and have not after it, and nothing else."""

import pytest

from sriovbond.bond.links import Carried
from sriovbond.kernel import messages
from sriovbond.kernel.messages import (
    IFA_F_PERMANENT,
    IFA_FLAGS,
    IFA_RT_PRIORITY,
    RTA_GATEWAY,
    RTA_METRICS,
    RTA_PREFSRC,
    RTA_PRIORITY,
)
from sriovbond.nodenet.acts import AddPort, AddRoute, Make, RemoveRule, SetIp, SetState, Step
from sriovbond.nodenet.document import read_state
from sriovbond.nodenet.model import IpAddress4, Ipv4, NodeLink, Veth, VlanLink
from sriovbond.nodenet.routing import NodeRoute, RouteRule
from sriovbond.trial import footprints
from sriovbond.trial.checkpoint import Journal, Load, settle
from tests.unit.trial.loads import DEFAULT, NET, a_route, an_address

A, B, VIP = map(an_address, ("192.0.2.9/24", "192.0.2.10/24", "192.0.2.100/32"))
PORT = AddPort("bond0", "eth1", "bond")
LINKS = {
    "bond0": NodeLink(name="bond0", type="bond"),
    "v7": NodeLink(name="v7", type="vlan", vlan=VlanLink(base_iface="eth1", id=7)),
}


def load(*addresses: Carried, routes: tuple[Carried, ...] = ()) -> dict[str, Load]:
    return {"eth1": Load("eth1", 3, addresses, routes)}


def test_an_address_missing_after_a_step_was_taken_by_it() -> None:
    journal = footprints.begin(Journal(), PORT, load(A, VIP, routes=(NET, DEFAULT)), ["eth1"])

    settled = settle(journal, load(VIP, routes=(NET,)))

    assert settled.taken == (Load("eth1", 3, (A,), (DEFAULT,)),)
    assert settled.pending == ()


CHANGED_ADDRESSES = {
    "its lifetime": messages.word(IFA_FLAGS, IFA_F_PERMANENT),
    "its metric": messages.word(IFA_RT_PRIORITY, 77),
}


@pytest.mark.parametrize("was", CHANGED_ADDRESSES.values(), ids=CHANGED_ADDRESSES)
def test_an_address_that_a_step_changed_was_taken_by_it(was: bytes) -> None:
    before = an_address(A.text, was)
    journal = footprints.begin(Journal(), PORT, load(before), ["eth1"])

    assert settle(journal, load(A)).taken == (Load("eth1", 3, (before,), ()),)


CHANGED_ROUTES = {
    "its metrics": messages.attribute(RTA_METRICS, messages.word(8, 1300)),
    "its priority": messages.word(RTA_PRIORITY, 50),
    "its source": messages.attribute(RTA_PREFSRC, bytes((192, 0, 2, 9))),
    "its gateway": messages.attribute(RTA_GATEWAY, bytes((192, 0, 2, 1))),
}


@pytest.mark.parametrize("was", CHANGED_ROUTES.values(), ids=CHANGED_ROUTES)
def test_a_route_that_a_step_changed_was_taken_by_it(was: bytes) -> None:
    before = a_route("203.0.113.0", 24, "", 3, "", was)
    journal = footprints.begin(Journal(), PORT, load(routes=(before,)), ["eth1"])

    assert settle(journal, load(routes=(NET,))).taken == (Load("eth1", 3, (), (before,)),)


def test_an_address_that_is_changed_and_then_lost_is_taken_as_it_was_first() -> None:
    was = an_address(A.text, messages.word(IFA_RT_PRIORITY, 77))
    first = footprints.begin(Journal(), PORT, load(was), ["eth1"])
    second = footprints.begin(first, PORT, load(A), ["eth1"])

    assert settle(second, load()).taken == (Load("eth1", 3, (was,), ()),)


def test_losses_of_two_steps_are_together_and_routes_are_in_their_order() -> None:
    first = footprints.begin(Journal(), PORT, load(A, B, routes=(NET, DEFAULT)), ["eth1"])
    second = footprints.begin(first, PORT, load(B, routes=(DEFAULT,)), ["eth1"])

    (taken,) = settle(second, load()).taken

    assert {row.text for row in taken.addresses} == {A.text, B.text}
    assert taken.routes == (NET, DEFAULT)


def test_an_address_that_left_between_two_steps_was_taken_by_none() -> None:
    up = SetState("eth1", is_up=True)
    first = settle(footprints.begin(Journal(), up, load(A, VIP), ["eth1"]), load(A, VIP))

    second = footprints.begin(first, PORT, load(A), ["eth1"])

    assert settle(second, {}).taken == (Load("eth1", 3, (A,), ()),)


def test_a_route_over_another_link_goes_with_the_address_that_is_its_source() -> None:
    sourced = a_route("10.0.0.0", 8, index=4, source="192.0.2.100")
    before = {**load(A, VIP), "eth2": Load("eth2", 4, (), (NET, sourced))}
    journal = footprints.begin(Journal(), SetState("eth1", is_up=False), before, ["eth1"])

    settled = settle(journal, {**load(A), "eth2": Load("eth2", 4, (), (NET,))})

    assert Load("eth2", 4, (), (sourced,)) in settled.taken


def test_an_address_that_was_there_is_not_added() -> None:
    rows = tuple(IpAddress4(ip, 24) for ip in ("192.0.2.9", "192.0.2.10"))
    ip = Ipv4(enabled=True, address=rows)

    journal = footprints.begin(Journal(), SetIp("eth1", ip, ip), load(A), ["eth1"])

    assert journal.added == (("eth1", "192.0.2.10/24"),)


def test_a_veth_is_made_with_its_peer() -> None:
    make = Make(NodeLink(name="va", type="veth", veth=Veth("vb")))

    assert footprints.begin(Journal(), make, {}, ()).made == ("va", "vb")


def test_routes_and_rules_have_a_document_of_their_own() -> None:
    route = NodeRoute(destination="10.0.0.0/8", next_hop_interface="eth1", table_id=254)
    rule = RouteRule(family="ipv4", ip_from="10.0.0.0/8", priority=5, route_table=7)

    journal = footprints.begin(Journal(), AddRoute(route), {}, ())
    journal = footprints.begin(journal, RemoveRule(rule), {}, ())

    ways = read_state(journal.ways)
    assert ways.routes
    assert ways.route_rules
    assert [row.state for row in ways.routes.config or ()] == ["absent"]
    assert ways.route_rules.config == (rule,)


def test_links_on_a_link_change_with_it() -> None:
    assert footprints.closure(footprints.carriers(PORT), LINKS) == ("bond0", "eth1", "v7")


def test_a_step_that_can_take_nothing_has_nothing_pending() -> None:
    ip = Ipv4(enabled=True, address=(IpAddress4("192.0.2.9", 24),))
    made = Journal(made=("bond0",))
    steps: list[tuple[Step, Journal]] = [
        (Make(LINKS["bond0"]), Journal()),
        (SetState("eth1", is_up=True), Journal()),
        (AddRoute(NodeRoute(destination="10.0.0.0/8", next_hop_interface="eth1")), Journal()),
        (SetIp("bond0", ip, ip), made),
    ]

    for step, journal in steps:
        assert footprints.losing(step, LINKS, journal.made) == ()
        assert footprints.begin(journal, step, load(A), ()).pending == ()
    for step in (PORT, SetIp("eth1", ip, ip), SetState("eth1", is_up=False)):
        assert "eth1" in footprints.losing(step, LINKS, made.made)
