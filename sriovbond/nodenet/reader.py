"""From a text's tree to the dataclasses of the model: all faults at once, each with its place."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sriovbond.bond import options
from sriovbond.bond.kinds import Addresses, Choice, OptionValue
from sriovbond.nodenet import unsupported
from sriovbond.nodenet.model import IGNORE, SECTION_OF, TYPES, UNKNOWN, BondOptions, NodeLink
from sriovbond.nodenet.routing import ABSENT
from sriovbond.nodenet.sections import Free, Key, Kind, Many, Section, by_name
from sriovbond.nodenet.source import Branch, Items, Leaf, Node, Problem, Spot, Twig
from sriovbond.nodenet.values import Scalar

Path = tuple[str | int, ...]
"""Where in a document something is: ("interfaces", 0, "mtu")."""

_ROWS: Final = options.by_key(row for row in options.OPTIONS if row.name != "mode")
_OF_ALL: Final = frozenset({"name", "type", "state", "controller", "mac-address", "mtu"})
"""What is read of an interface whose type is not ours."""
_OF_ABSENT: Final = frozenset({"name", "type", "state"})
_IDENTITY: Final = frozenset({"identifier", "mac-address", "pci-address", "profile-name"})
"""What is read of an interface that is to be absent, and what more where it is known by that."""
_DELIVERY: Final = {"dropped": "off", "delivered": "on"}
"""nmstate's words for all_slaves_active."""
_OVS_BRIDGE: Final = "ovs-bridge"
_MOST_HINTS: Final = 100  # each takes a comparison with all keys
_BEFORE_ALL: Final = Spot(0, 0)
_TRUTHS: Final = {"true": "on", "yes": "on", "y": "on", "false": "off", "no": "off", "n": "off"}
_OFF: Final = frozenset({"off", "0"})


@dataclass(slots=True)
class Reader:
    """Reads trees; what it finds wrong gathers in `faults`.

    `refused` are faults that only say that sriovbond does not do it; `unset` is what is read, but
    cannot be brought about. A recorded state is `lenient`: what is not ours in it is ignored.
    """

    is_lenient: bool = False
    faults: list[Problem] = field(default_factory=list)
    refused: list[Problem] = field(default_factory=list)
    unset: list[Problem] = field(default_factory=list)
    spots: dict[Path, Spot] = field(default_factory=dict)
    last_fault: Spot = _BEFORE_ALL

    def section(self, of: type, node: Node, path: Path) -> Any:  # noqa: ANN401 - an `of`
        """Return the section of a tree; an empty one where it is no object."""
        self.spots[path] = node.spot
        if not isinstance(node, Branch):
            self.fault(node.spot, f"{_words(path)} must be an object, found {node.words}")
            return of()
        if of is NodeLink and self._is_foreign(node):
            return self._foreign(node, path)
        if of is NodeLink and _is_absent(node) and not self.is_lenient:
            node = _with_keys(node, _OF_ABSENT | (_IDENTITY if node.at("identifier") else set()))
        section = of(**dict(self._fields(of, node, path)))
        return self._interface(section, node) if isinstance(section, NodeLink) else section

    def _foreign(self, node: Branch, path: Path) -> NodeLink:
        """Return what is read of an interface whose type is not ours."""
        values: dict[str, Any] = dict(self._fields(NodeLink, _with_keys(node, _OF_ALL), path))
        bases = [
            row.value.at("base-iface") for row in node.entries if isinstance(row.value, Branch)
        ]
        names = [base.text for base in bases if isinstance(base, Leaf)]
        link = NodeLink(**values, lower=names[0] if names else None)
        return self._interface(link, node)

    def fault(self, spot: Spot, text: str) -> None:
        """Note what is wrong."""
        self.faults.append(Problem(spot, text))
        self.last_fault = max(self.last_fault, spot)

    def _fields(self, of: type, node: Branch, path: Path) -> Iterator[tuple[str, object]]:
        known = by_name(of)
        taken: dict[str, tuple[str, object]] = {}
        for entry in node.entries:
            row = known.get(entry.key)
            if row is None:
                self._unknown(entry, path, list(known))
                continue
            value = self._value(row, entry, (*path, row.name))
            name, before = taken.setdefault(row.field, (entry.key, value))
            if name != entry.key and value != before:
                words = f"{entry.key!r} is the same as {name!r}, which has another value"
                self.fault(entry.spot, words)
            yield row.field, value

    def _unknown(self, entry: Twig, path: Path, known: list[str]) -> None:
        if self.is_lenient:
            return
        why = unsupported.SECTIONS.get(entry.key)
        if why and (_is_off(entry.value) or (_is_empty(entry.value) and why != unsupported.OVS)):
            return
        if why:
            self.refused.append(Problem(entry.spot, f"{entry.key!r} is not supported: {why}"))
            return
        is_hinted = len(self.faults) < _MOST_HINTS
        near = difflib.get_close_matches(entry.key, known, n=1) if is_hinted else ()
        hint = f"; did you mean {near[0]!r}?" if near else ""
        where = f" in {_words(path)}" if path else ""
        self.fault(entry.spot, f"{entry.key!r} is unknown{where}{hint}")

    def _value(self, row: Key, entry: Twig, path: Path) -> object:
        self.spots[path] = entry.value.spot
        value = self._of_kind(row.kind, entry.value, path)
        if row.unset and value not in (None, False):
            text = f"{_words(path)} cannot be set: {row.unset}"
            self.unset.append(Problem(entry.value.spot, text))
        return value

    def _of_kind(self, kind: Kind, node: Node, path: Path) -> object:
        if isinstance(node, Leaf) and node.is_null:
            return None
        if isinstance(kind, Section):
            return self.section(kind.of, node, path)
        if isinstance(kind, Many):
            return self._list(kind, node, path)
        if isinstance(kind, Free):
            return self._options(node, path)
        return self._scalar(kind, node, path)

    def _scalar(self, kind: Scalar, node: Node, path: Path) -> object:
        if not isinstance(node, Leaf):
            self.fault(node.spot, f"{_words(path)}: a value is expected, found {node.words}")
            return None
        try:
            return kind.read(node.text)
        except ValueError as error:
            self.fault(node.spot, f"{_words(path)}: {error}, found {node.text!r}")
            return None

    def _list(self, kind: Many, node: Node, path: Path) -> object:
        if not isinstance(node, Items):
            self.fault(node.spot, f"{_words(path)} must be a list, found {node.words}")
            return None
        nodes = _without_twins(node.nodes) if self.is_lenient else node.nodes
        parts = [self._of_kind(kind.of, part, (*path, n)) for n, part in enumerate(nodes)]
        for number, part in enumerate(nodes):
            self.spots[*path, number] = part.spot
        self._judge_identities(kind, parts, path)
        return tuple(part for part in parts if part is not None)

    def _judge_identities(self, kind: Many, parts: list[Any], path: Path) -> None:
        """Note each part that has no identity, or another's.

        A bridge of Open vSwitch is no interface of the kernel's: another one may have its name.
        """
        if not kind.identity:
            return
        seen: set[tuple[object, bool]] = set()
        for number, part in enumerate(parts):
            identity = getattr(part, kind.identity, None)
            known = identity, getattr(part, "type", None) == _OVS_BRIDGE
            spot = self.spots[*path, number]
            if part is not None and identity is None and self.last_fault < spot:
                self.fault(spot, f"{_words((*path, number))} needs {kind.identity!r}")
            if known in seen and identity is not None:
                self.fault(spot, f"{_words(path)} has {identity!r} twice")
            seen.add(known)

    def _options(self, node: Node, path: Path) -> BondOptions | None:
        if not isinstance(node, Branch):
            self.fault(node.spot, f"{_words(path)} must be an object, found {node.words}")
            return None
        settings: dict[str, options.Setting] = {}
        for entry in node.entries:
            row = _ROWS.get(options.normal_key(entry.key))
            if row is None:
                names = [option.name for option in _ROWS.values()]
                self._unknown(entry, path, names)
            elif not (isinstance(entry.value, Leaf) and entry.value.is_null):
                self.spots[*path, row.name] = entry.value.spot
                value = self._option(row, entry, path)
                if row.name in settings and value != settings[row.name].value:
                    self.fault(entry.spot, f"{entry.key!r} is {row.name}, which has another value")
                if value is not None:
                    settings[row.name] = options.Setting(row.name, value)
        return BondOptions(tuple(settings[name] for name in sorted(settings)))

    def _option(self, row: options.Option, entry: Twig, path: Path) -> OptionValue | None:
        value = _option_value(row, entry.value)
        if value == "" and row.default == "":
            return ()
        if value in _ours(row):
            self.fault(entry.value.spot, f"{_words((*path, row.name))}: {value!r} is for pods only")
            return None
        try:
            return row.kind.parse(value)
        except ValueError as error:
            self.fault(entry.value.spot, f"{_words((*path, row.name))}: {error}")
            return None

    def _is_foreign(self, node: Branch) -> bool:
        """Return whether an interface's type is not ours, and note it where it would have to be."""
        leaf = node.at("type")
        type_ = leaf.text if isinstance(leaf, Leaf) else UNKNOWN
        if type_ in {UNKNOWN, *TYPES}:
            return False
        state = node.at("state")
        is_left_alone = isinstance(state, Leaf) and state.text == IGNORE
        if leaf and not self.is_lenient and not is_left_alone:
            self._refuse_type(type_, leaf.spot)
        return True

    def _refuse_type(self, type_: str, spot: Spot) -> None:
        why = unsupported.TYPES.get(type_)
        if why:
            self.refused.append(Problem(spot, f"type {type_!r} is not supported: {why}"))
        else:
            self.fault(spot, f"type {type_!r} is unknown; ours are {', '.join(TYPES)}")

    def _interface(self, interface: NodeLink, node: Branch) -> NodeLink:
        """Note sections of another type than its own; an unknown type is none."""
        self._judge_sections(interface, node)
        return replace(interface, type=None) if interface.type == UNKNOWN else interface

    def _judge_sections(self, interface: NodeLink, node: Branch) -> None:
        if interface.type not in TYPES or self.is_lenient:
            return
        rows = by_name(NodeLink)
        for entry in node.entries:
            row = rows.get(entry.key)
            types = SECTION_OF.get(row.field, ()) if row else ()
            if types and interface.type not in types:
                text = f"{entry.key!r} is for type {types[0]}, not for {interface.type}"
                self.fault(entry.spot, text)


def _is_empty(node: Node) -> bool:
    """Return whether a value asks for nothing, as sections do that nmstate prints."""
    if isinstance(node, Leaf):
        return node.is_null
    parts = node.nodes if isinstance(node, Items) else [row.value for row in node.entries]
    return all(map(_is_empty, parts)) and not (isinstance(node, Items) and parts)


def _is_off(node: Node) -> bool:
    """Return whether a value says that what is not supported is not to be."""
    if not isinstance(node, Leaf):
        return False
    return node.is_null or _TRUTHS.get(node.text.strip().lower(), node.text) in _OFF


def _without_twins(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """Return interfaces without the bridges of Open vSwitch that share an interface's name.

    br-ex is both on each node of OVN-Kubernetes.
    """
    rows = [(_text_at(node, "name"), _text_at(node, "type"), node) for node in nodes]
    names = {name for name, type_, _ in rows if type_ != _OVS_BRIDGE}
    return tuple(node for name, type_, node in rows if type_ != _OVS_BRIDGE or name not in names)


def _is_absent(node: Branch) -> bool:
    return (_text_at(node, "state") or "").strip().lower() == ABSENT


def _with_keys(node: Branch, keys: frozenset[str]) -> Branch:
    return Branch(node.spot, tuple(row for row in node.entries if row.key in keys))


def _text_at(node: Node, key: str) -> str | None:
    leaf = node.at(key) if isinstance(node, Branch) else None
    return leaf.text if isinstance(leaf, Leaf) else None


def _option_value(row: options.Option, node: Node) -> object:
    """Return what the option table parses: lists as lists, words for truth as its own."""
    if isinstance(node, Items):
        return [part.text if isinstance(part, Leaf) else "" for part in node.nodes]
    if not isinstance(node, Leaf):
        return node.words
    word = node.text.strip().lower()
    if isinstance(row.kind, Choice) and set(row.kind.numbers) == {"off", "on"}:
        return {**_TRUTHS, **_DELIVERY}.get(word, word)
    return node.text if isinstance(row.kind, Addresses) else node.text.strip()


def _ours(row: options.Option) -> tuple[str, ...]:
    """Return the words that the kernel does not know: a pod's bond has their values."""
    return row.kind.ours if isinstance(row.kind, Choice) else ()


def _words(path: Path) -> str:
    """Write a path as people do: interfaces[0].ipv4.address."""
    words = ""
    for part in path:
        words += f"[{part}]" if isinstance(part, int) else f".{part}" if words else part
    return words or "the document"
