"""Captures of nmpolicy: parts of the node's state, found by an expression and put into a document.

An expression is a path (`dns-resolver.running`), a search (`interfaces.type == "ethernet"`, or with
`!=`), a change (`capture.nics | interfaces.state := "down"`), or words, which mean the whole state.
A document has `{{ capture.nics.interfaces }}`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from sriovbond.nodenet.model import NetState
from sriovbond.nodenet.source import (
    MOST_BYTES,
    Branch,
    Items,
    Leaf,
    Node,
    Problem,
    Spot,
    Twig,
    plant,
)
from sriovbond.nodenet.writer import plain

_TOKEN: Final = re.compile(
    r"""\s*(?:(==|!=|:=|\|)|"([^"]*)"|'([^']*)'|((?:(?!==|!=|:=|\||")\S)+))"""
)
_REFERENCE: Final = re.compile(r"\{\{\s*([^{}\s]+)\s*\}\}")
_BRACES: Final = re.compile(r"\{\{|\}\}")
_LISTS: Final = (
    ("interfaces",),
    ("routes", "running"),
    ("routes", "config"),
    ("route-rules", "config"),
)
"""Where a state has lists that can be searched."""

_MOST_CAPTURES: Final = 256  # each may go through the whole state
_MOST_KEYS: Final = 16  # no part of a state is so deep
_MOST_DIGITS: Final = 9
_OPERATORS: Final = frozenset({"==", "!=", ":="})
_HALF: Final = frozenset("=:!")  # of an operator; no key of a state has one
_HEADS: Final = frozenset({"interfaces", "routes", "route-rules", "dns-resolver"})
State = Mapping[str, Any]


class CaptureError(Exception):
    """An expression or reference has no meaning, or nothing matches it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Operand:
    """A path, or a value that was written."""

    keys: tuple[str, ...] = ()
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression: of which capture, the path, what to do there with what."""

    spot: Spot
    text: str
    source: str
    keys: tuple[str, ...]
    operator: str = ""
    operand: Operand = Operand()

    def needs(self) -> set[str]:
        """Return the captures that must be there before it."""
        keys = self.operand.keys
        from_operand = {keys[1]} if len(keys) > 1 and keys[0] == "capture" else set()
        return ({self.source} if self.source else set()) | from_operand

    def error(self, text: str) -> CaptureError:
        """Return the error that says what is wrong with it."""
        return CaptureError(Problem(self.spot, f"capture {self.text!r}: {text}"))


def fill(desired: Node, capture: Node | None, current: NetState | None) -> Node:
    """Return the desired state with the captured parts in it. Raises CaptureError."""
    if capture is None or (isinstance(capture, Leaf) and capture.is_null):
        return _Filling({}).fill(desired)
    if not isinstance(capture, Branch):
        raise CaptureError(Problem(capture.spot, "capture must be an object"))
    if current is None:
        raise CaptureError(Problem(capture.spot, "captures need the node's state"))
    if len(capture.entries) > _MOST_CAPTURES:
        text = f"at most {_MOST_CAPTURES} captures are expected, found {len(capture.entries)}"
        raise CaptureError(Problem(capture.spot, text))
    expressions = {entry.key: _parse(entry) for entry in capture.entries}
    shown = replace(current, routes=current.routes and current.routes.shown)
    return _Filling(_execute(expressions, plain(shown))).fill(desired)


def _parse(entry: Twig) -> Expression:
    if not isinstance(entry.value, Leaf):
        raise CaptureError(Problem(entry.spot, f"capture {entry.key!r} must be a text"))
    text, spot = entry.value.text, entry.value.spot
    tokens = list(_tokens(text.replace("\xa0", " "), spot))
    source = ""
    if "|" in [token.value for token in tokens if not token.keys]:
        keys = tokens[0].keys
        if len(keys) != 2 or keys[0] != "capture" or tokens[1].value != "|":  # noqa: PLR2004 - its form
            raise CaptureError(Problem(spot, f"{text!r}: capture.NAME is expected before |"))
        source, tokens = keys[1], tokens[2:]
    return _expression(spot, text, source, tokens)


def _expression(spot: Spot, text: str, source: str, tokens: list[Operand]) -> Expression:
    keys = tokens[0].keys if tokens else ()
    if not keys and not source and _is_prose(tokens):
        return Expression(spot, text, source, keys)
    if not keys:
        raise CaptureError(Problem(spot, f"{text!r}: a path such as interfaces.name is expected"))
    if keys[0] == "capture" and not source:
        source, keys = (*keys[1:], "")[0], keys[2:]
    if len(tokens) == 1:
        return Expression(spot, text, source, keys)
    if len(tokens) != 3 or tokens[1].value not in _OPERATORS:  # noqa: PLR2004 - path, operator, value
        raise CaptureError(Problem(spot, f"{text!r}: PATH == VALUE or PATH := VALUE is expected"))
    return Expression(spot, text, source, keys, tokens[1].value or "", tokens[2])


def _is_prose(tokens: list[Operand]) -> bool:
    """Return whether it is words alone, which mean the whole state, as in nmstate.

    One word may be a path that is misspelt.
    """
    operators = {*_OPERATORS, "|"}
    return len(tokens) > 1 and not any(row.keys or row.value in operators for row in tokens)


def _tokens(text: str, spot: Spot) -> Iterator[Operand]:
    """Yield operators and values as values, and words with a dot as paths."""
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if not match:
            raise CaptureError(Problem(spot, f"{text!r}: a quote is not closed"))
        operator, double, single, word = match.groups()
        quoted = single if double is None else double
        at = match.end()
        if word and ("." in word or word in _HEADS):
            yield Operand(keys=_split(word, spot))
        else:
            plain_word = None if word and word.lower() == "null" else word
            yield Operand(value=operator or (quoted if quoted is not None else plain_word))


def _split(path: str, spot: Spot) -> tuple[str, ...]:
    if _HALF.intersection(path):
        raise CaptureError(Problem(spot, f"{path!r}: PATH == VALUE or PATH := VALUE is expected"))
    keys = tuple(path.split(".", _MOST_KEYS))
    if len(keys) > _MOST_KEYS:
        raise CaptureError(Problem(spot, f"a path of at most {_MOST_KEYS} keys is expected"))
    return keys


def _execute(expressions: Mapping[str, Expression], current: State) -> Mapping[str, State]:
    """Return the captures, each after those that it needs."""
    states: dict[str, State] = {}
    waiting = dict(expressions)
    while waiting:
        ready = [name for name, row in waiting.items() if row.needs() <= set(states)]
        for name in ready:
            states[name] = _capture(waiting.pop(name), current, states)
        if not ready:
            name, row = next(iter(waiting.items()))
            missing = ", ".join(sorted(row.needs() - set(states)))
            raise row.error(f"{name} needs {missing}, which is missing or needs {name}")
    return states


def _capture(row: Expression, current: State, states: Mapping[str, State]) -> State:
    state = states[row.source] if row.source else current
    if not row.operator:
        return _only(state, row.keys) if row.keys else state
    head = next((path for path in _LISTS if row.keys[: len(path)] == path), None)
    keys = row.keys[len(head) :] if head else ()
    if head is None or not keys:
        raise row.error("interfaces, routes.running, routes.config or route-rules can be searched")
    parts = _at(state, head) or []
    value = _value(row, current, states)
    if row.operator == ":=":
        return _nest(head, [_with_value(part, keys, value) for part in parts])
    chosen = [part for part in parts if _is_found(part, keys, value, row.operator)]
    if not chosen:
        other = "another " if row.operator == "!=" else ""
        raise row.error(f"nothing has {other}{'.'.join(keys)} {'than ' if other else ''}{value!r}")
    return _nest(head, chosen)


def _is_found(part: State, keys: tuple[str, ...], value: object, operator: str) -> bool:
    """Return whether a part has a value at a path, or another one: of a list's parts any may."""
    values = [row for row in _values(part, keys) if row is not None]
    return any(_is_same(row, value, keys) == (operator == "==") for row in values)


def _values(value: object, keys: tuple[str, ...]) -> Iterator[object]:
    """Yield what is at a path; where it leads through a list without a number, of all parts."""
    for number, key in enumerate(keys):
        if isinstance(value, list) and not key.isdecimal():
            for part in value:
                yield from _values(part, keys[number:])
            return
        value = _at(value, (key,))
    yield value


def _value(row: Expression, current: State, states: Mapping[str, State]) -> object:
    keys = row.operand.keys
    if not keys:
        return row.operand.value
    value = _reference(keys, states) if keys[0] == "capture" else _at(current, keys)
    if value is None:
        raise row.error(f"{'.'.join(keys)} is missing")
    return value


def _reference(keys: tuple[str, ...], states: Mapping[str, State]) -> object:
    """Return the value of capture.NAME.PATH; None if it is missing."""
    name, path = (*keys[1:2], "")[0], keys[2:]
    return _at(states[name], path) if name in states and path else None


def _at(value: object, keys: tuple[str, ...]) -> Any:  # noqa: ANN401 - any part of a state
    for key in keys:
        if isinstance(value, list):
            is_number = key.isdecimal() and len(key) <= _MOST_DIGITS
            is_there = is_number and int(key) < len(value)
            value = value[int(key)] if is_there else None
        else:
            value = value.get(key) if isinstance(value, dict) else None
    return value


def _is_same(value: object, expected: object, keys: tuple[str, ...]) -> bool:
    """Compare as texts; MAC addresses in any case."""
    texts = [
        str(part).lower() if isinstance(part, bool) else str(part) for part in (value, expected)
    ]
    if keys[-1].endswith("mac-address"):
        texts = [text.upper() for text in texts]
    return value is not None and texts[0] == texts[1]


def _only(state: State, keys: tuple[str, ...]) -> State:
    """Return what is at a path; a list on the way is taken whole, as in nmstate."""
    value: object = state
    for number, key in enumerate(keys):
        if isinstance(value, list):
            keys = keys[:number]
            break
        value = _at(value, (key,))
    return {} if value is None else _nest(keys, value)


def _nest(keys: tuple[str, ...], value: object) -> State:
    for key in reversed(keys):
        value = {key: value}
    return value if isinstance(value, dict) else {}


def _with_value(part: State, keys: tuple[str, ...], value: object) -> State:
    """Return a copy with another value at a path, which is made where it is missing."""
    if len(keys) == 1:
        return {**part, keys[0]: value}
    below = part.get(keys[0])
    return {**part, keys[0]: _with_value(below if isinstance(below, dict) else {}, keys[1:], value)}


@dataclass(slots=True)
class _Filling:
    """Puts captured parts into a tree, and counts what references multiply."""

    states: Mapping[str, State]
    size: int = 0

    def fill(self, node: Node) -> Node:
        if isinstance(node, Items):
            return Items(node.spot, tuple(self.fill(part) for part in node.nodes))
        if isinstance(node, Branch):
            entries = (Twig(row.spot, row.key, self.fill(row.value)) for row in node.entries)
            return Branch(node.spot, tuple(entries))
        return self._fill_leaf(node) if _BRACES.search(node.text) else node

    def _fill_leaf(self, leaf: Leaf) -> Node:
        """Return the tree for one text with references; a text around one needs a text in it."""
        whole = _REFERENCE.fullmatch(leaf.text.strip())
        if whole:
            return plant(self._resolve(leaf, whole[1]), leaf.spot)

        def insert(match: re.Match[str]) -> str:
            value = self._resolve(leaf, match[1])
            if isinstance(value, (dict, list)):
                raise CaptureError(
                    Problem(leaf.spot, f"{match[1]} is no text: let nothing be around it")
                )
            return str(value)

        text = _REFERENCE.sub(insert, leaf.text)
        if _BRACES.search(_REFERENCE.sub("", leaf.text)):
            fault = f"{leaf.text!r}: a reference is {{{{ capture.NAME.PATH }}}}"
            raise CaptureError(Problem(leaf.spot, fault))
        return Leaf(leaf.spot, text)

    def _resolve(self, leaf: Leaf, path: str) -> object:
        keys = tuple(path.split("."))
        value = _reference(keys, self.states) if keys[0] == "capture" else None
        if value is None:
            raise CaptureError(Problem(leaf.spot, f"{path} is missing in what was captured"))
        self.size += len(repr(value))
        if self.size > MOST_BYTES:
            text = f"what was captured makes it larger than {MOST_BYTES} bytes"
            raise CaptureError(Problem(leaf.spot, text))
        return value
