"""The entrance: a file of people, bare or as a NodeNetworkConfigurationPolicy, as documents."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from sriovbond.nodenet import captures, checks, source
from sriovbond.nodenet.checks import Path
from sriovbond.nodenet.model import (
    BRIDGE,
    UP,
    IpAddress4,
    IpAddress6,
    NetState,
    NodeLink,
    PortVlan,
    TagRange,
    TrunkTag,
)
from sriovbond.nodenet.reader import Reader
from sriovbond.nodenet.routing import ABSENT, NodeRoute, NodeRoutes, RouteRules
from sriovbond.nodenet.source import START, Branch, Items, Leaf, Node, Problem, Spot

_Address = TypeVar("_Address", IpAddress4, IpAddress6)
_KIND: Final = "NodeNetworkConfigurationPolicy"
_VERSIONS: Final = ("nmstate.io/v1", "nmstate.io/v1beta1")
_SPEC: Final = frozenset({"nodeSelector", "maxUnavailable", "capture", "desiredState"})
_OBJECT: Final = frozenset({"apiVersion", "kind", "metadata", "spec", "status"})
_POLICY_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
"""As kubernetes-nmstate has it, whose enactments have it as a label."""
_POLICY: Final = frozenset({"capture", "desiredState", "desired"})
"""The keys by which a bare policy is known; it may have the state that its captures are of."""
_CURRENT: Final = "current"
_LISTS: Final[tuple[Path, ...]] = (
    ("interfaces",),
    ("routes", "config"),
    ("route-rules", "config"),
)
"""The lists of a document of which several documents have a part each."""
_OF_ONE: Final = 3  # routes, config, and a number
_EVERY_VLAN: Final = PortVlan(
    mode="trunk", trunk_tags=(TrunkTag(id_range=TagRange(min=2, max=4094)),)
)
"""What kubernetes-nmstate gives a bridge's port that says nothing of VLANs (its pkg/bridge).

It does where the bridge has `state: up`, and not where it has no state.
"""


class DocumentError(Exception):
    """What is wrong with a file; `refused` is what nmstate does and sriovbond does not."""

    def __init__(self, problems: list[Problem], refused: list[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        self.refused = tuple(sorted(set(refused)))
        super().__init__("; ".join(map(str, sorted({*problems, *refused}))))

    @property
    def lines(self) -> list[str]:
        """One text for each, in the order of the file."""
        return [str(problem) for problem in sorted({*self.problems, *self.refused})]


@dataclass(frozen=True, slots=True)
class Document:
    """What one document asks for; `name` is its policy's, empty for a bare one.

    `unset` is what cannot be brought about; `spots` has where each part is.
    """

    name: str
    state: NetState
    unset: tuple[Problem, ...]
    spots: Mapping[Path, Spot]

    def spot(self, path: Path) -> Spot:
        """Return where a part is, or the nearest part around it."""
        while path and path not in self.spots:
            path = path[:-1]
        return self.spots.get(path, START)


def read(text: str, current: NetState | None = None) -> list[Document]:
    """Return the documents of a file; captures are taken from `current`. Raises DocumentError."""
    try:
        nodes = list(_objects(source.parse(text)))
    except source.SourceError as error:
        raise DocumentError([error.problem], []) from error
    reader = Reader()
    for node in nodes:
        for problem in source.doubles(node):
            reader.fault(problem.spot, problem.text)
    documents = [_document(node, current, reader) for node in nodes]
    if reader.faults or reader.refused:
        raise DocumentError(reader.faults, reader.refused)
    return documents


def read_state(text: str) -> NetState:
    """Return a recorded state of a node: what is not ours in it is ignored."""
    try:
        nodes = source.parse(text)
    except source.SourceError as error:
        raise DocumentError([error.problem], []) from error
    reader = Reader(is_lenient=True)
    state = _recorded(_state_of(nodes[0]), reader) if nodes else NetState()
    if reader.faults:
        raise DocumentError(reader.faults, [])
    return state


def _recorded(node: Node, reader: Reader) -> NetState:
    state: NetState = reader.section(NetState, node, ())
    links = state.interfaces
    whole = None if links is None else tuple(map(_with_whole_addresses, links))
    return _with_plain_routes(replace(state, interfaces=whole))


def _given(node: Node | None, reader: Reader) -> NetState | None:
    """Return the state that a bare policy has with it, None where it has none."""
    if node is None or (isinstance(node, Leaf) and node.is_null):
        return None
    lenient = Reader(is_lenient=True, faults=reader.faults)
    return _recorded(node, lenient)


def _state_of(node: Node) -> Node:
    """Return the state itself, of a NodeNetworkState what kubernetes-nmstate reports in it."""
    status = node.at("status") if isinstance(node, Branch) else None
    state = status.at("currentState") if isinstance(status, Branch) else None
    return state or node


def _with_whole_addresses(link: NodeLink) -> NodeLink:
    """Return an interface of a state with the prefix of each address: that of a host by default."""
    ipv4, ipv6 = link.ipv4, link.ipv6
    if ipv4 and ipv4.address:
        ipv4 = replace(ipv4, address=tuple(_whole(ipv4.address, 32)))
    if ipv6 and ipv6.address:
        ipv6 = replace(ipv6, address=tuple(_whole(ipv6.address, 128)))
    return replace(link, ipv4=ipv4, ipv6=ipv6)


def _whole(addresses: Iterable[_Address], prefix: int) -> Iterator[_Address]:
    for row in addresses:
        if row.ip is not None:
            yield replace(row, prefix_length=prefix) if row.prefix_length is None else row


def _objects(nodes: list[Node]) -> Iterator[Node]:
    """Yield each object, those of a List of Kubernetes among them."""
    for node in nodes:
        items = node.at("items") if isinstance(node, Branch) else None
        yield from items.nodes if isinstance(items, Items) else (node,)


def _document(node: Node, current: NetState | None, reader: Reader) -> Document:
    """Return the document of one object; its own spots, and the faults of all in `reader`."""
    reader.spots = {}
    reader.unset = []
    if isinstance(node, Branch) and (node.at("kind") or node.at("apiVersion")):
        return _of_object(node, current, reader)
    if isinstance(node, Branch) and any(node.at(key) for key in _POLICY):
        _judge_keys(node, _POLICY | {_CURRENT}, reader)
        return _of_policy("", node, _given(node.at(_CURRENT), reader) or current, reader)
    return _finish("", reader.section(NetState, node, ()), reader)


def _of_object(node: Branch, current: NetState | None, reader: Reader) -> Document:
    _judge_keys(node, _OBJECT, reader)
    kind, version = _text(node.at("kind")), _text(node.at("apiVersion"))
    if kind != _KIND or version not in _VERSIONS:
        expected = f"{_KIND} of {' or '.join(_VERSIONS)}"
        reader.fault(node.spot, f"{kind or 'an object'} of {version!r} is not {expected}")
    metadata, spec = node.at("metadata"), node.at("spec")
    named = metadata.at("name") if isinstance(metadata, Branch) else None
    name = _text(named)
    if named and not _POLICY_NAME.fullmatch(name):
        text = f"a policy's name is up to 63 letters, digits and -_. as of a label, found {name!r}"
        reader.fault(named.spot, text)
    if not isinstance(spec, Branch):
        reader.fault(node.spot, "a policy needs spec")
        return _finish(name, NetState(), reader)
    _judge_keys(spec, _SPEC, reader)
    document = _of_policy(name, spec, current, reader)
    return replace(document, state=_with_every_vlan(document))


def _of_policy(name: str, node: Branch, current: NetState | None, reader: Reader) -> Document:
    desired = node.at("desiredState") or node.at("desired")
    if desired is None or (isinstance(desired, Leaf) and desired.is_null):
        return _finish(name, NetState(), reader)
    try:
        filled = captures.fill(desired, node.at("capture"), current)
    except captures.CaptureError as error:
        reader.faults.append(error.problem)
        return _finish(name, NetState(), reader)
    return _finish(name, reader.section(NetState, filled, ()), reader)


def _finish(name: str, state: NetState, reader: Reader) -> Document:
    document = Document(name, state, tuple(reader.unset), dict(reader.spots))
    unread = {problem.spot for problem in reader.faults}
    for complaint in checks.judge(state):
        if not _is_of_unread(complaint.path, document.spots, unread):
            reader.fault(document.spot(complaint.path), complaint.text)
    return replace(document, state=_with_plain_routes(state))


def _with_plain_routes(state: NetState) -> NetState:
    """Return it with routes as the kernel has them: a gateway's interface is the route's.

    Where a route is to be absent, no gateway is another word than one that is not mentioned.
    """

    def plain(rows: tuple[NodeRoute, ...] | None) -> tuple[NodeRoute, ...] | None:
        return None if rows is None else tuple(map(_plain_route, rows))

    routes = state.routes
    if routes is None:
        return state
    return replace(state, routes=NodeRoutes(plain(routes.running), plain(routes.config)))


def _plain_route(route: NodeRoute) -> NodeRoute:
    if route.route_type and route.next_hop_interface == "lo":
        return replace(route, next_hop_interface=None)
    gateway, percent, link = (route.next_hop_address or "").partition("%")
    if not gateway and route.state != ABSENT:
        return replace(route, next_hop_address=None)
    if not percent:
        return route
    name = route.next_hop_interface or link
    return replace(route, next_hop_address=gateway, next_hop_interface=name)


def _is_of_unread(path: Path, spots: Mapping[Path, Spot], unread: set[Spot]) -> bool:
    """Return whether a complaint is about a part in which a value could not be read: that is why.

    Of whole interfaces and routes it says more.
    """
    parts = {spot for part, spot in spots.items() if part[: len(path)] == path}
    return len(path) > _OF_ONE and not parts.isdisjoint(unread)


def _judge_keys(node: Branch, known: frozenset[str], reader: Reader) -> None:
    for entry in node.entries:
        if entry.key not in known:
            reader.fault(entry.spot, f"{entry.key!r} is unknown in a policy")


def _text(node: Node | None) -> str:
    return node.text if isinstance(node, Leaf) else ""


def _with_every_vlan(document: Document) -> NetState:
    state = document.state
    if state.interfaces is None:
        return state
    links = (_with_trunks(link, number, document) for number, link in enumerate(state.interfaces))
    return replace(state, interfaces=tuple(links))


def _with_trunks(interface: NodeLink, number: int, document: Document) -> NodeLink:
    """Return a bridge with every VLAN on ports that do not mention any, not even as null."""
    bridge = interface.bridge
    if interface.type != BRIDGE or interface.state != UP or not bridge or not bridge.port:
        return interface
    path = ("interfaces", number, "bridge", "port")
    ports = tuple(
        port if (*path, place, "vlan") in document.spots else replace(port, vlan=_EVERY_VLAN)
        for place, port in enumerate(bridge.port)
    )
    return replace(interface, bridge=replace(bridge, port=ports))


def unite(documents: list[Document]) -> Document:
    """Return one document with what all of them ask for. Raises DocumentError where two differ."""
    if len(documents) == 1:
        return documents[0]
    states = [document.state for document in documents]
    links = [link for state in states for link in state.interfaces or ()]
    problems = list(_named_twice(documents))
    if sum(state.dns_resolver is not None for state in states) > 1:
        problems.append(Problem(START, "two documents have dns-resolver"))
    if sum(state.hostname is not None for state in states) > 1:
        problems.append(Problem(START, "two documents have hostname"))
    if problems:
        raise DocumentError(problems, [])
    routes = [row for state in states for row in state.configured_routes]
    rules = [row for s in states for row in (s.route_rules and s.route_rules.config) or ()]
    return Document(
        ", ".join(document.name for document in documents),
        NetState(
            dns_resolver=next((s.dns_resolver for s in states if s.dns_resolver), None),
            hostname=next((s.hostname for s in states if s.hostname), None),
            route_rules=RouteRules(config=tuple(rules)) if rules else None,
            routes=NodeRoutes(config=tuple(routes)) if routes else None,
            interfaces=tuple(links),
        ),
        tuple(problem for document in documents for problem in document.unset),
        _spots(documents),
    )


def _named_twice(documents: list[Document]) -> Iterator[Problem]:
    seen: set[str] = set()
    for document in documents:
        for number, link in enumerate(document.state.interfaces or ()):
            if link.label in seen:
                text = f"{link.label} is in two documents"
                yield Problem(document.spot(("interfaces", number)), text)
            seen.add(link.label)


def _spots(documents: list[Document]) -> dict[Path, Spot]:
    """Return where each part is, the parts of lists numbered through all documents."""
    spots: dict[Path, Spot] = {}
    numbers = dict.fromkeys(_LISTS, 0)
    for document in documents:
        for path, spot in document.spots.items():
            spots.setdefault(_renumbered(path, numbers), spot)
        for where in _LISTS:
            numbers[where] += sum(path[:-1] == where for path in document.spots)
    return spots


def _renumbered(path: Path, numbers: Mapping[Path, int]) -> Path:
    """Return a path as it is where so many parts of its list come before."""
    for where, before in numbers.items():
        place = path[len(where)] if len(path) > len(where) else None
        if path[: len(where)] == where and isinstance(place, int):
            return (*where, place + before, *path[len(where) + 1 :])
    return path
