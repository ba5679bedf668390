"""A change that is made and taken back leaves the state as it was, whatever the change."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sriovbond.bond.options import Setting
from sriovbond.nodenet.bondoptions import kernel_default
from sriovbond.nodenet.checks import judge, ports_of
from sriovbond.nodenet.difference import difference, revert
from sriovbond.nodenet.document import read_state
from sriovbond.nodenet.joined import join
from sriovbond.nodenet.model import (
    BondOptions,
    Ipv4,
    LinkAggregation,
    NetState,
    NodeLink,
    VlanLink,
)
from sriovbond.nodenet.routes import is_there, matches
from sriovbond.nodenet.routing import ABSENT, NodeRoute, NodeRoutes
from sriovbond.nodenet.sections import Section, keys_of
from sriovbond.nodenet.writer import to_yaml

STATE = read_state(
    "interfaces:\n"
    "- {name: bond0, type: bond, state: up, mtu: 1500, ipv4: {enabled: true, dhcp: false,"
    " address: [{ip: 192.0.2.9, prefix-length: 24}]}, link-aggregation: {mode: active-backup,"
    " options: {miimon: 100, primary: eth1, resend_igmp: 1}, port: [eth1, eth2]}}\n"
    "- {name: eth1, type: ethernet, state: up, mtu: 1500, controller: bond0}\n"
    "- {name: eth2, type: ethernet, state: up, mtu: 1500, controller: bond0}\n"
    "- {name: eth3, type: ethernet, state: up, mtu: 1500, ipv4: {enabled: true, dhcp: false,"
    " address: [{ip: 198.51.100.3, prefix-length: 24}]}}\n"
    "- {name: v7, type: vlan, state: up, mtu: 1500, vlan: {base-iface: bond0, id: 7}}\n"
    "routes: {config: [{destination: 0.0.0.0/0, next-hop-interface: bond0, next-hop-address:"
    " 192.0.2.1, table-id: 254, metric: 100}, {destination: 203.0.113.0/24, next-hop-interface:"
    " eth3, next-hop-address: 198.51.100.1, table-id: 254, metric: 10}]}\n"
)
_OPTIONS: dict[str, list[int] | list[str]] = {
    "miimon": [0, 50, 100],
    "resend_igmp": [1, 2],
    "updelay": [0, 100],
    "primary": ["eth2"],
}


def _settings() -> st.SearchStrategy[BondOptions]:
    values = [Setting(name, value) for name, row in _OPTIONS.items() for value in row]
    chosen = st.lists(st.sampled_from(values), unique_by=lambda row: row.name, max_size=3)
    return chosen.map(lambda rows: BondOptions(tuple(sorted(rows, key=lambda row: row.name))))


def _bond() -> st.SearchStrategy[NodeLink]:
    ports = st.none() | st.sets(st.sampled_from(["eth1", "eth2", "eth3"])).map(tuple)
    section = st.builds(
        LinkAggregation,
        mode=st.sampled_from([None, "active-backup", "balance-xor"]),
        options=st.none() | _settings(),
        port=ports,
    )
    return st.builds(
        NodeLink,
        name=st.just("bond0"),
        type=st.just("bond"),
        state=st.sampled_from(["up", "absent"]),
        mtu=st.sampled_from([None, 1500, 9000]),
        ipv4=st.sampled_from([None, Ipv4(enabled=False), Ipv4(enabled=True, dhcp=True)]),
        link_aggregation=st.none() | section,
    )


def _vlan() -> st.SearchStrategy[NodeLink]:
    return st.builds(
        NodeLink,
        name=st.sampled_from(["v7", "v8"]),
        type=st.just("vlan"),
        state=st.sampled_from(["up", "absent"]),
        vlan=st.builds(VlanLink, base_iface=st.just("eth3"), id=st.sampled_from([7, 8])),
    )


def _routes() -> st.SearchStrategy[NodeRoutes | None]:
    route = st.builds(
        NodeRoute,
        state=st.sampled_from([None, ABSENT]),
        destination=st.sampled_from(["0.0.0.0/0", "203.0.113.0/24"]),
        next_hop_interface=st.just("eth3"),
        next_hop_address=st.sampled_from(["198.51.100.1", "198.51.100.2"]),
        table_id=st.just(254),
        metric=st.sampled_from([10, 20]),
    )
    return st.none() | st.lists(route, max_size=2).map(lambda rows: NodeRoutes(config=tuple(rows)))


def _documents() -> st.SearchStrategy[NetState]:
    links = st.tuples(st.none() | _bond(), st.none() | _vlan())
    return st.builds(
        NetState,
        interfaces=links.map(lambda pair: tuple(link for link in pair if link)),
        routes=_routes(),
    ).filter(lambda state: not list(judge(state)) and not join(state, STATE).complaints)


@given(_documents())
def test_after_a_document_is_applied_no_difference_is_left(wish: NetState) -> None:
    after = _made(STATE, wish)

    assert to_yaml(difference(join(wish, after))) == "{}\n"


@given(_documents())
def test_after_a_document_is_reverted_the_state_is_as_before(wish: NetState) -> None:
    after = _made(_made(STATE, wish), revert(join(wish, STATE)))

    assert to_yaml(difference(join(STATE, after))) == "{}\n"
    assert to_yaml(difference(join(after, STATE))) == "{}\n"


def _made(state: NetState, wish: NetState) -> NetState:
    """Return what a node has after it was given a document: the least that a kernel would do."""
    links = {link.label: link for link in state.interfaces or ()}
    for row in wish.interfaces or ():
        if row.state == ABSENT:
            links.pop(row.label, None)
        else:
            links[row.label] = _merged(row, links.get(row.label))
    links = _with_owners(links)
    alive = {name for name, link in links.items() if _has_ipv4(link)}
    wishes = (wish.routes and wish.routes.config) or ()
    routes = list((state.routes and state.routes.config) or ())
    routes = [
        row for row in routes if not any(p.state == ABSENT and matches(p, row) for p in wishes)
    ]
    routes += [
        row
        for row in wishes
        if row.state != ABSENT and not any(is_there(row, other) for other in routes)
    ]
    kept = tuple(row for row in routes if row.next_hop_interface in alive)
    return NetState(interfaces=tuple(links.values()), routes=NodeRoutes(config=kept))


def _has_ipv4(link: NodeLink) -> bool:
    return not link.controller and bool(link.ipv4 and link.ipv4.enabled)


def _merged(wish: Any, now: Any) -> Any:  # noqa: ANN401 - any section
    """Return a section with what it was given, and the rest as it was."""
    if now is None:
        return wish
    values = {}
    for key in keys_of(type(wish)):
        new, old = getattr(wish, key.field), getattr(now, key.field)
        both = new is not None and old is not None
        values[key.field] = (
            _merged(new, old)
            if both and isinstance(key.kind, Section)
            else (old if new is None else new)
        )
    if isinstance(wish, LinkAggregation):
        values["options"] = _options(wish, now)
    return type(wish)(**values)


def _options(wish: LinkAggregation, now: LinkAggregation) -> BondOptions:
    """Return a bond's options: a new mode has forgotten the old ones."""
    is_same = wish.mode in (None, now.mode)
    settings = {row.name: row for row in (now.options.settings if is_same and now.options else ())}
    if wish.options is not None and not wish.options.settings:
        settings = {}
    for row in wish.options.settings if wish.options else ():
        settings[row.name] = row
    kept = {n: row for n, row in settings.items() if row.value != kernel_default(n)}
    return BondOptions(tuple(kept[name] for name in sorted(kept)))


def _with_owners(links: dict[str, NodeLink]) -> dict[str, NodeLink]:
    """Give each port its controller, which takes its addresses."""
    owners = {port: link.label for link in links.values() for port in ports_of(link) or ()}
    return {
        name: replace(link, controller=owners[name], ipv4=None)
        if name in owners
        else replace(link, controller=None)
        for name, link in links.items()
    }
