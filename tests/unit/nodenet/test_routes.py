"""Routes and rules as the kernel keeps them: one for a network and metric, by a source there is."""

from dataclasses import replace

import pytest
import yaml

from sriovbond.nodenet import routes
from sriovbond.nodenet.document import DocumentError, read, read_state
from sriovbond.nodenet.joined import join
from sriovbond.nodenet.routing import NodeRoute, NodeRoutes
from sriovbond.nodenet.writer import to_yaml
from sriovbond.reshape import limits
from tests.support.counting import counted_calls
from tests.unit.nodenet.states import changes, joined, steps, way_back

NODE = """\
interfaces:
- {name: eth1, type: ethernet, state: up, mac-address: 02:00:00:00:00:01,
   ipv4: {enabled: true, dhcp: false, address: [{ip: 192.0.2.9, prefix-length: 24}]},
   ipv6: {enabled: true, dhcp: false, address: [{ip: '2001:db8::9', prefix-length: 64}]}}
- {name: eth2, type: ethernet, state: up, mac-address: 02:00:00:00:00:02,
   ipv4: {enabled: true, dhcp: false, address: [{ip: 198.51.100.2, prefix-length: 24}]},
   ipv6: {enabled: true, dhcp: false, address: [{ip: '2001:db8:1::2', prefix-length: 64}]}}
"""
BOND = """\
interfaces:
- {name: bond0, type: bond, bond: {mode: 1, port: [eth1]},
   ipv4: {enabled: true, address: [{ip: 192.0.2.9, prefix-length: 24}]}}
"""
OVER_ETH2 = "next-hop-interface: eth2, next-hop-address: 198.51.100.1"
WORDS = "next-hop-interface eth2, next-hop-address 198.51.100.1"


def _routes(*rows: str, of: str = "routes") -> str:
    return f"{of}: {{config: [{', '.join(f'{{{row}}}' for row in rows)}]}}\n"


@pytest.mark.parametrize("metric", ["", ", metric: 0", ", metric: -1"])
@pytest.mark.parametrize("absent", [(), ("destination: 0.0.0.0/0, state: absent",)])
@pytest.mark.parametrize("now", ["", ", metric: 0"])
def test_another_gateway_without_a_metric_takes_the_place(
    metric: str, absent: tuple[str, ...], now: str
) -> None:
    here = "destination: 0.0.0.0/0, next-hop-interface: eth1, next-hop-address"
    state = NODE + _routes(f"{here}: 192.0.2.1{now}")

    (step,) = steps(_routes(*absent, f"{here}: 192.0.2.2{metric}"), state)

    assert step.startswith("replace route destination 0.0.0.0/0")
    assert step.partition(" by ")[2].startswith(
        "destination 0.0.0.0/0, next-hop-interface eth1, next-hop-address 192.0.2.2"
    )


def test_the_metric_of_an_ipv6_route_is_1024_by_default() -> None:
    here = "destination: '::/0', next-hop-interface: eth1, next-hop-address"
    state = NODE + _routes(f"{here}: '2001:db8::1', metric: 1024")

    assert steps(_routes(f"{here}: '2001:db8::1', metric: 0"), state) == []
    (step,) = steps(_routes(f"{here}: '2001:db8::2'"), state)
    assert step.startswith("replace route destination ::/0")


def test_the_route_whose_place_is_taken_comes_back() -> None:
    here = "destination: 0.0.0.0/0, next-hop-interface: eth1, next-hop-address"
    state = NODE + _routes(f"{here}: 192.0.2.1")

    back = yaml.safe_load(way_back(_routes(f"{here}: 192.0.2.2"), state))

    assert [row.get("state", row["next-hop-address"]) for row in back["routes"]["config"]] == [
        "absent",
        "192.0.2.1",
    ]


def test_a_dead_end_takes_the_place_of_a_route() -> None:
    state = NODE + _routes(f"destination: 203.0.113.0/24, {OVER_ETH2}")

    (step,) = steps(_routes("destination: 203.0.113.0/24, route-type: blackhole"), state)

    assert step.startswith("replace route destination 203.0.113.0/24")


def test_a_plain_route_in_the_place_of_several_ways_says_so() -> None:
    way = "destination: 172.16.0.0/12, next-hop-interface: eth2, next-hop-address"
    state = NODE + _routes(f"{way}: 198.51.100.1, weight: 1", f"{way}: 198.51.100.3, weight: 1")

    (words,) = steps(_routes(f"{way}: 198.51.100.4"), state)

    assert words.partition(" by ")[0] == "replace route destination 172.16.0.0/12 over several ways"


def test_ways_with_weights_are_one_route_and_each_is_removed_by_its_name() -> None:
    way = "destination: 203.0.113.0/24, next-hop-interface: eth2, next-hop-address"
    state = NODE + _routes(f"{way}: 198.51.100.1, weight: 1", f"{way}: 198.51.100.3, weight: 1")

    added = steps(_routes(f"{way}: 198.51.100.4, weight: 1"), state)
    removed = steps(_routes("destination: 203.0.113.0/24, state: absent"), state)

    (words,) = added
    assert words.startswith("set route destination 203.0.113.0/24")
    assert words.count("next-hop-address 198.51.100.") == 3
    assert [row.partition(" ")[0] for row in removed] == ["remove", "remove"]


def test_a_route_whose_source_moves_is_made_again() -> None:
    route = f"destination: 203.0.113.0/24, {OVER_ETH2}, source: 192.0.2.9"
    state = NODE + _routes(route)
    again = (
        f"add route destination 203.0.113.0/24, {WORDS}, source 192.0.2.9 again, "
        "which goes while its source moves"
    )

    alone = steps(BOND, state)

    assert again in alone
    assert alone.index(again) > alone.index("bond0: set ipv4 enabled true, address 192.0.2.9/24")
    assert again in steps(BOND + _routes(route), state)
    assert "routes" not in yaml.safe_load(changes(BOND, state))


def test_a_route_whose_source_goes_says_so_and_comes_back() -> None:
    route = f"destination: 203.0.113.0/24, {OVER_ETH2}, source: 192.0.2.9"
    state = NODE + _routes(route)
    other = BOND.replace("192.0.2.9", "192.0.2.8")

    assert (
        f"remove route destination 203.0.113.0/24, {WORDS}, source 192.0.2.9: "
        "its source goes from the node"
    ) in steps(other, state)
    assert yaml.safe_load(way_back(other, state))["routes"]["config"] == [
        {
            "destination": "203.0.113.0/24",
            "next-hop-interface": "eth2",
            "next-hop-address": "198.51.100.1",
            "source": "192.0.2.9",
        }
    ]
    (complaint,) = joined(other + _routes(route), state).complaints
    assert complaint.text == "its source 192.0.2.9 goes from the node"


def test_an_ipv6_route_stays_without_a_source_that_goes() -> None:
    way = "destination: '2001:db8:9::/48', next-hop-interface: eth2"
    state = NODE + _routes(f"{way}, source: '2001:db8::9'")

    assert (
        "replace route destination 2001:db8:9::/48, next-hop-interface eth2, source 2001:db8::9 "
        "by destination 2001:db8:9::/48, next-hop-interface eth2"
    ) in steps(BOND, state)


def test_a_source_that_is_elsewhere_too_keeps_its_route() -> None:
    state = NODE.replace(
        "[{ip: 198.51.100.2", "[{ip: 192.0.2.9, prefix-length: 32}, {ip: 198.51.100.2"
    ) + _routes(f"destination: 203.0.113.0/24, {OVER_ETH2}, source: 192.0.2.9")

    assert not [step for step in steps(BOND, state) if "route" in step]


DEFAULT = f"destination: 0.0.0.0/0, {OVER_ETH2}"
ON_A_VLAN = """\
- {name: v7, type: vlan, state: up, vlan: {base-iface: eth2, id: 7},
   ipv4: {enabled: true, address: [{ip: 203.0.113.1, prefix-length: 24}]}}
- {name: v8, type: vlan, state: up, vlan: {base-iface: eth2, id: 8, loose-binding: true}}
"""


def test_a_nic_that_goes_down_loses_its_routes_and_its_vlans_theirs() -> None:
    """So the kernel has it (fib_disable_ip(), vlan_device_event())."""
    by_vlan = "destination: 10.0.0.0/8, next-hop-interface: v7, next-hop-address: 203.0.113.2"
    loose = "destination: 10.9.0.0/16, next-hop-interface: v8"
    six = "destination: '2001:db8:9::/48', next-hop-interface: eth2"
    state = NODE + ON_A_VLAN + _routes(DEFAULT, by_vlan, loose, six)
    wish = "interfaces: [{name: eth2, state: down}]"

    assert steps(wish, state) == [
        "eth2: set it down, and with it v7",
        f"remove route destination 0.0.0.0/0, {WORDS}",
        "remove route destination 10.0.0.0/8, next-hop-interface v7, next-hop-address 203.0.113.2",
        "remove route destination 2001:db8:9::/48, next-hop-interface eth2",
    ]
    assert "routes" not in changes(wish, state)
    (back,) = [yaml.safe_load(way_back(wish, state))]
    assert [row["destination"] for row in back["routes"]["config"]] == [
        "2001:db8:9::/48",
        "0.0.0.0/0",
        "10.0.0.0/8",
    ]
    assert {row["name"]: row["state"] for row in back["interfaces"]} == {"eth2": "up", "v7": "up"}


def test_a_nic_that_is_down_already_keeps_its_routes() -> None:
    state = NODE.replace("name: eth2, type: ethernet, state: up", "name: eth2, state: down")

    assert steps(
        "interfaces: [{name: eth2, state: down, mtu: 1400}]", state + _routes(DEFAULT)
    ) == ["eth2: set mtu 1400, now nothing"]


RULE = "family: ipv4, ip-to: 203.0.113.0/24, route-table: 200"


def _rules(*rows: str) -> str:
    return _routes(*rows, of="route-rules")


@pytest.mark.parametrize("number", [0, 5, 30000, 32765, 40000])
def test_a_rule_without_a_priority_is_there_whatever_its_number(number: int) -> None:
    assert steps(_rules(RULE), NODE + _rules(f"{RULE}, priority: {number}")) == []


def test_a_priority_of_0_is_one_and_is_that_of_none_mentioned() -> None:
    wish = _rules(f"{RULE}, priority: 0")

    assert steps(wish, NODE + _rules(f"{RULE}, priority: 0")) == []
    assert steps(wish, NODE + _rules(RULE)) == []
    assert steps(wish, NODE + _rules(f"{RULE}, priority: 30000")) == [
        "add rule family ipv4, ip-to 203.0.113.0/24, priority 0, route-table 200"
    ]
    absent = _rules("route-table: 200, priority: 0, state: absent")
    assert len(steps(absent, NODE + _rules(f"{RULE}, priority: 5", f"{RULE}, priority: 0"))) == 1


@pytest.mark.parametrize(
    ("taken", "given"), [(32765, 30000), (32766, 30000), (40000, 30000), (30007, 30008), (0, 30000)]
)
def test_a_new_rule_is_asked_before_the_main_table(taken: int, given: int) -> None:
    other = f"family: ipv4, ip-to: 192.0.2.0/24, route-table: 7, priority: {taken}"

    (step,) = steps(_rules(RULE), NODE + _rules(other))

    assert f"priority {given}" in step


@pytest.mark.parametrize("priority", ["", ", priority: 30007"])
def test_a_rule_that_is_to_be_is_not_removed_by_an_entry_that_means_it_too(priority: str) -> None:
    """All rules of a table go but for those that the document has, as in nmstate."""
    other = "family: ipv4, ip-to: 198.51.100.0/24, priority: 7, route-table: 200"
    state = NODE + _rules(f"{RULE}, priority: 30007", other)
    wish = _rules("route-table: 200, state: absent", f"{RULE}{priority}")

    assert steps(wish, state) == [
        "remove rule family ipv4, ip-to 198.51.100.0/24, priority 7, route-table 200"
    ]
    assert steps(wish, NODE + _rules(f"{RULE}, priority: 30007")) == []
    assert yaml.safe_load(way_back(wish, state)) == yaml.safe_load(_rules(other))


def test_of_rules_with_other_priorities_one_without_a_priority_keeps_one() -> None:
    state = NODE + _rules(f"{RULE}, priority: 5", f"{RULE}, priority: 7")

    assert steps(_rules("route-table: 200, state: absent", RULE), state) == [
        "remove rule family ipv4, ip-to 203.0.113.0/24, priority 7, route-table 200"
    ]


def test_a_narrower_rule_is_another_rule_and_stays_after_a_revert() -> None:
    state = NODE + _rules(f"{RULE}, priority: 30000, fwmark: 0x30, fwmask: 0xffffffff")

    assert steps(_rules(f"{RULE}, fwmark: 0x30"), state) == []
    assert steps(_rules(RULE), state) == [
        "add rule family ipv4, ip-to 203.0.113.0/24, priority 30001, route-table 200"
    ]
    (back,) = yaml.safe_load(way_back(_rules(RULE), state))["route-rules"]["config"]
    assert (back["priority"], back["state"]) == (30001, "absent")


NARROWER = f"{RULE}, priority: 7, fwmark: 0x30, fwmask: 0xffffffff"


def test_documents_of_a_rule_that_goes_keep_a_narrower_one_of_its_priority() -> None:
    """An entry that removes a rule cannot say that it has no mark."""
    wide, state = f"{RULE}, priority: 7", NODE + _rules(NARROWER)
    both = NODE + _rules(NARROWER, f"{RULE}, priority: 7")
    removal = _rules(f"{RULE}, priority: 7, state: absent", NARROWER)

    back, forth = way_back(_rules(wide), state), changes(removal, both)

    gone = ["remove rule family ipv4, ip-to 203.0.113.0/24, priority 7, route-table 200"]
    assert steps(back, both) == steps(forth, both) == gone


def test_a_route_replaces_an_unconfigured_one_in_its_place() -> None:
    """Such as one of a router, which has no metric of its own; not a VPN's."""
    way = "destination: '::/0', next-hop-interface: %s, next-hop-address"
    there = f"routes: {{running: [{{{way}: 'fe80::1', metric: 1024}}]}}\n"
    document = _routes(f"{way % 'eth1'}: 'fe80::2'")

    (instead,) = steps(document, NODE + there % "eth1")
    (beside,) = steps(
        document, NODE + "- {name: tun0, type: tun, state: ignore}\n" + there % "tun0"
    )

    assert instead.startswith("replace route destination ::/0")
    assert beside.startswith("add route destination ::/0")


ON_LINK = "destination: 172.16.0.0/12, next-hop-interface: eth1"
BY_LOCAL = "destination: '::/0', next-hop-interface: eth1, next-hop-address: "


@pytest.mark.parametrize("none", ["'0.0.0.0'", "''", "'::'"])
@pytest.mark.parametrize("where", [0, 1])
def test_the_address_of_none_is_no_gateway(none: str, where: int) -> None:
    row = f"{ON_LINK}, next-hop-address: {none}"
    written, there = (row, ON_LINK) if where else (ON_LINK, row)

    assert steps(_routes(written), NODE + _routes(there)) == []
    assert steps(_routes(f"{written}, state: absent"), NODE + _routes(there)) == [
        "remove route destination 172.16.0.0/12, next-hop-interface eth1"
    ]


@pytest.mark.parametrize("none", ["'0.0.0.0'", "''", "'::'"])
def test_no_gateway_of_an_absent_route_is_not_any_gateway(none: str) -> None:
    by_it = "destination: 0.0.0.0/0, next-hop-interface: eth1, next-hop-address: 192.0.2.1"
    pattern = _routes(f"next-hop-interface: eth1, next-hop-address: {none}, state: absent")

    assert steps(pattern, NODE + _routes(by_it, ON_LINK)) == [
        "remove route destination 172.16.0.0/12, next-hop-interface eth1"
    ]
    assert steps(to_yaml(read(pattern)[0].state), NODE + _routes(by_it)) == []


def test_an_absent_route_with_an_empty_destination_is_not_every_route() -> None:
    with pytest.raises(DocumentError, match="an empty destination is none: leave it out"):
        steps(_routes("destination: '', state: absent"), NODE + _routes(ON_LINK))


@pytest.mark.parametrize("field", ["ip-from", "ip-to"])
@pytest.mark.parametrize("none", ["", "0.0.0.0/0"])
def test_an_absent_rule_with_an_empty_network_is_one_of_every_packet(field: str, none: str) -> None:
    rules = _routes(
        f"family: ipv4, {field}: 203.0.113.0/24, priority: 7, route-table: 200",
        "family: ipv4, priority: 8, route-table: 200",
        of="route-rules",
    )
    pattern = f"{field}: '{none}', route-table: 200, state: absent"

    assert steps(_routes(pattern, of="route-rules"), NODE + rules) == [
        "remove rule family ipv4, priority 8, route-table 200"
    ]


@pytest.mark.parametrize("destination", ["0.0.0.0/32", "0.0.0.1", "0.0.0.0/8", "0.1.0.0/16"])
def test_nothing_is_routed_to_the_network_of_this_host(destination: str) -> None:
    route = f"destination: {destination}, next-hop-interface: eth1"
    new, present = _routes(route), NODE + _routes(route)

    (complaint,) = limits.judge(joined(new, NODE))

    assert "is in 0.0.0.0/8, to which none is routed; the default is 0.0.0.0/0" in complaint.text
    assert not [*limits.judge(joined(new, present))]
    assert not [*limits.judge(joined(_routes(f"{route}, state: absent"), present))]


IGNORED = "{name: eth1, state: ignore}"
TUNNEL = "{name: tun0, type: tun, state: ignore}"


def test_routes_over_an_interface_to_be_ignored_stay() -> None:
    state = NODE + _routes("destination: 10.0.0.0/8, next-hop-interface: eth1", f"{ON_LINK}")
    document = f"interfaces: [{IGNORED}]\n"

    assert steps(document + _routes("state: absent"), state) == []
    assert steps(document + _routes("next-hop-interface: eth1, state: absent"), state) == []
    assert len(steps(_routes("state: absent"), state)) == 2


def test_a_new_route_over_an_interface_to_be_ignored_is_refused() -> None:
    document = f"interfaces: [{IGNORED}]\n{_routes(ON_LINK)}"

    texts = [row.text for row in limits.judge(joined(document, NODE))]

    assert texts == ["eth1 is to be ignored, and so are routes over it"]
    assert not [*limits.judge(joined(document, NODE + _routes(ON_LINK)))]


def test_routes_over_a_type_that_is_not_ours_go_only_by_its_name() -> None:
    default = "destination: 0.0.0.0/0, next-hop-interface: "
    state = f"{NODE}- {TUNNEL}\n{_routes(f'{default}tun0, metric: 5', f'{default}eth1')}"

    assert steps(_routes("destination: 0.0.0.0/0, state: absent"), state) == [
        "remove route destination 0.0.0.0/0, next-hop-interface eth1"
    ]
    assert steps(_routes("next-hop-interface: tun0, state: absent"), state) == [
        "remove route destination 0.0.0.0/0, next-hop-interface tun0, metric 5"
    ]


def test_a_route_that_a_document_has_in_two_spellings_is_one() -> None:
    again = "destination: 172.16.7.1/12, next-hop-interface: eth1, table-id: 254, metric: -1"
    document = _routes(ON_LINK, again)

    assert [*limits.judge(joined(document, NODE))] == []
    assert steps(document, NODE) == ["add route destination 172.16.0.0/12, next-hop-interface eth1"]


def test_a_gateway_of_fe80_may_name_the_interface_of_its_route() -> None:
    state = NODE + _routes(f"{BY_LOCAL}'fe80::1'")
    document = _routes(f"{BY_LOCAL}'fe80::1%eth1'")

    assert steps(document, state) == steps(document, NODE + document) == []
    assert steps(_routes("next-hop-address: 'fe80::1%eth1', state: absent"), state) == [
        "remove route destination ::/0, next-hop-interface eth1, next-hop-address fe80::1"
    ]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (f"{BY_LOCAL}'fe80::1%eth2'", "next-hop-address fe80::1%eth2 is not over eth1"),
        (f"{BY_LOCAL}'2001:db8::1%eth1'", "only fe80 addresses have an interface"),
        (f"{BY_LOCAL}'fe80::1', source: 'fe80::9%eth1'", "an IP address is expected"),
        ("destination: 'fe80::%eth1/64', next-hop-interface: eth1", "has no interface"),
    ],
)
def test_another_interface_in_an_address_is_refused(row: str, fault: str) -> None:
    with pytest.raises(DocumentError, match=fault):
        steps(_routes(row), NODE)


def test_marks_and_metrics_of_zero_are_none() -> None:
    state = NODE + _routes(ON_LINK) + _routes("family: ipv4, priority: 5", of="route-rules")
    rule = _routes("family: ipv4, priority: 5, fwmark: 0, fwmask: 0", of="route-rules")

    assert steps(_routes(f"{ON_LINK}, advmss: 0") + rule, state) == []


def test_a_route_to_a_gateway_comes_before_those_by_it() -> None:
    state = NODE.replace("192.0.2.9, prefix-length: 24", "192.0.2.9, prefix-length: 32")
    by_it = "destination: 0.0.0.0/0, next-hop-interface: eth1, next-hop-address: 203.0.113.1"
    to_it = "destination: 203.0.113.1/32, next-hop-interface: eth1"

    assert steps(_routes(by_it, to_it), state) == [
        "add route destination 203.0.113.1/32, next-hop-interface eth1",
        "add route destination 0.0.0.0/0, next-hop-interface eth1, next-hop-address 203.0.113.1",
    ]


def calls_of(count: int) -> int:
    """Return how many Python calls it takes to judge as many new routes."""
    each = "destination: 10.%d.%d.0/24, next-hop-interface: eth1, next-hop-address: 192.0.2.1"
    wishes = joined(_routes(*(each % divmod(number, 256) for number in range(count))), NODE)
    with counted_calls() as calls:
        complaints = [*limits.judge(wishes)]
    assert complaints == []
    return calls["call"]


def test_twice_as_many_routes_are_judged_in_twice_as_many_calls() -> None:
    few, many = calls_of(200), calls_of(400)

    assert many < 2.2 * few


def calls_of_own(count: int) -> int:
    """Return how many Python calls it takes to find that routes of as many addresses are there."""
    networks = [f"10.{number // 256}.{number % 256}" for number in range(count)]
    rows = tuple(
        NodeRoute(destination=f"{each}.0/24", next_hop_interface="eth1", metric=0, is_hidden=True)
        for each in networks
    )
    addresses = ", ".join(f"{{ip: {each}.1, prefix-length: 24}}" for each in networks)
    eth1 = f"name: eth1, type: ethernet, state: up, ipv4: {{enabled: true, address: [{addresses}]}}"
    state = replace(read_state(f"interfaces: [{{{eth1}}}]"), routes=NodeRoutes(running=rows))
    own = _routes(*(f"destination: {each}.0/24, next-hop-interface: eth1" for each in networks))
    both = join(read_state(own), state)
    with counted_calls() as calls:
        lacking = routes.lacking_routes(both)
    assert lacking == ()
    return calls["call"]


def test_twice_as_many_routes_of_addresses_are_found_in_twice_as_many_calls() -> None:
    few, many = calls_of_own(200), calls_of_own(400)

    assert many < 2.2 * few
