"""YAML or JSON as a tree that knows where each part is; a scalar stays the text that was written.

PyYAML would make a number of the MAC address 52:54:00:12:34:56, and a truth of `on`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import yaml

MOST_BYTES: Final = 4 * 1024 * 1024
_MOST_NODES: Final = 100_000
_LOADER: Final[type[yaml.SafeLoader]] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where PyYAML has it: seven times as fast."""
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})


@dataclass(frozen=True, slots=True, order=True)
class Spot:
    """A line and a column of a file, from 1 on, as editors count."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


START: Final = Spot(1, 1)


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """What is wrong with a document, and where."""

    spot: Spot
    text: str

    def __str__(self) -> str:
        return f"{self.spot}: {self.text}"


class SourceError(Exception):
    """The text is neither YAML nor JSON: `problem` says where reading ended."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Leaf:
    """A scalar; `is_plain` where it was written without quotes."""

    spot: Spot
    text: str
    is_plain: bool = False

    @property
    def is_null(self) -> bool:
        """Whether it says nothing."""
        return self.is_plain and self.text in _NULLS

    @property
    def words(self) -> str:
        """What to call it in a text for people."""
        return repr(self.text)


@dataclass(frozen=True, slots=True)
class Twig:
    """A key with its value."""

    spot: Spot
    key: str
    value: "Node"


@dataclass(frozen=True, slots=True)
class Branch:
    """An object."""

    spot: Spot
    entries: tuple[Twig, ...]
    words = "an object"

    def at(self, key: str) -> "Node | None":
        """Return the value of a key, None where it has none."""
        return next((entry.value for entry in self.entries if entry.key == key), None)


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    spot: Spot
    nodes: tuple["Node", ...]
    words = "a list"


Node = Leaf | Branch | Items


def parse(text: str) -> list[Node]:
    """Return the documents of a file, empty ones left out. Raises SourceError."""
    reading = _Reading()
    try:
        roots = list(yaml.compose_all(_without_tabs(text), _LOADER))
        nodes = [reading.node(root, ()) for root in roots if root is not None]
    except UnicodeEncodeError as error:
        raise SourceError(Problem(START, "it has half a character")) from error
    except yaml.MarkedYAMLError as error:
        raise SourceError(Problem(_spot(error.problem_mark), error.problem or "no YAML")) from error
    except yaml.YAMLError as error:
        raise SourceError(Problem(START, " ".join(str(error).split()))) from error
    except RecursionError as error:
        raise SourceError(Problem(START, "it is nested too deeply")) from error
    return [node for node in nodes if not (isinstance(node, Leaf) and node.is_null)]


def plant(value: object, spot: Spot) -> Node:
    """Return the tree of a plain value, all of it at one place."""
    match value:
        case dict():
            entries = (Twig(spot, str(key), plant(part, spot)) for key, part in value.items())
            return Branch(spot, tuple(entries))
        case list() | tuple():
            return Items(spot, tuple(plant(part, spot) for part in value))
        case None:
            return Leaf(spot, "null", is_plain=True)
        case bool():
            return Leaf(spot, str(value).lower(), is_plain=True)
    return Leaf(spot, str(value), is_plain=not isinstance(value, str))


def doubles(node: Node) -> Iterator[Problem]:
    """Yield a problem for each key that is in one object twice."""
    if isinstance(node, Items):
        for part in node.nodes:
            yield from doubles(part)
    if isinstance(node, Branch):
        seen: set[str] = set()
        for entry in node.entries:
            if entry.key in seen:
                yield Problem(entry.spot, f"{entry.key!r} is given twice")
            seen.add(entry.key)
            yield from doubles(entry.value)


def _without_tabs(text: str) -> str:
    """Return JSON with spaces for tabs, which PyYAML refuses; a string of JSON has none."""
    if "\t" not in text or not text.lstrip().startswith(("{", "[")):
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    return text.replace("\t", " ")


def _spot(mark: yaml.Mark | None) -> Spot:
    return Spot(mark.line + 1, mark.column + 1) if mark else START


@dataclass(slots=True)
class _Reading:
    """Counts what aliases multiply."""

    nodes: int = 0

    def node(self, node: yaml.Node, above: tuple[yaml.Node, ...]) -> Node:
        spot = _spot(node.start_mark)
        self.nodes += 1
        if any(node is parent for parent in above):
            raise SourceError(Problem(spot, "its aliases make it endless"))
        if self.nodes > _MOST_NODES:
            text = f"it has more than {_MOST_NODES} parts, those of aliases among them"
            raise SourceError(Problem(spot, text))
        below = (*above, node)
        if isinstance(node, yaml.MappingNode):
            entries = (self._entry(key, value, below) for key, value in node.value)
            return Branch(spot, tuple(entries))
        if isinstance(node, yaml.SequenceNode):
            return Items(spot, tuple(self.node(part, below) for part in node.value))
        return Leaf(spot, str(node.value), is_plain=not getattr(node, "style", None))

    def _entry(self, key: yaml.Node, value: yaml.Node, above: tuple[yaml.Node, ...]) -> Twig:
        if not isinstance(key, yaml.ScalarNode):
            raise SourceError(Problem(_spot(key.start_mark), "a key must be a word"))
        return Twig(_spot(key.start_mark), str(key.value), self.node(value, above))
