"""The Kubernetes objects in a user's file, and the positions of their texts in it."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import yaml

from sriovbond.cni.decoding import find_duplicate_keys, shorten

_MOST_TOLD: Final = 10
_ESCAPE: Final = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(\r?\n|.))", re.DOTALL
)
_JSON_CHARACTER: Final = re.compile(r"\\u[0-9a-fA-F]{4}|\\.|.", re.DOTALL)
_CONFIG: Final = re.compile(r'"config"\s*:\s*(?=")')


class FormatError(Exception):
    """The file is no YAML; the text says why, in one line."""


@dataclass(frozen=True, slots=True)
class Position:
    """A line and a column of a file, from 1 on, as editors count."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """An object of Kubernetes; `twice` names its duplicate keys.

    `node` is the parsed YAML, None for JSON.
    """

    values: Mapping[str, Any]
    source: str
    twice: tuple[str, ...]
    node: yaml.Node | None = None

    @property
    def name(self) -> str:
        """Its kind and name."""
        return f"{self.values['kind']} {shorten(self.at('metadata', 'name'))}"

    @property
    def config(self) -> object:
        """A network's spec.config."""
        return self.at("spec", "config")

    def at(self, *keys: str) -> object:
        """Return the value below these keys, None if there is none."""
        return _at(self.values, *keys)

    def place_in_config(self, offset: int) -> Position | None:
        """Return the position in the file of character `offset` of the text spec.config."""
        if self.node is None:
            return _place_in_json(self.source, self.config, offset)
        spec = _child(self.node, "spec")
        node = _child(spec, "config") if spec else None
        return _place(self.source, node, offset) if isinstance(node, yaml.ScalarNode) else None


def of_json(source: str, parsed: Mapping[str, Any]) -> list[Manifest]:
    """Return the object parsed from JSON, or those of a list of them."""
    items = parsed.get("items")
    return [
        Manifest(item, source, find_duplicate_keys(item))
        for item in (items if isinstance(items, list) else [parsed])
        if isinstance(item, dict) and isinstance(item.get("kind"), str)
    ]


def of_yaml(source: str) -> list[Manifest]:
    """Return the objects of YAML, including those of lists. Raises FormatError."""
    try:
        return [manifest for node in _documents(source) for manifest in _flat(source, node)]
    except Exception as error:
        # the loader trusts its input: beside its own errors it raises those of recursion and types
        raise FormatError(" ".join(str(error).split())) from error


def _at(value: object, *keys: str) -> object:
    """Return the value in nested objects below these keys, None if there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _documents(source: str) -> Iterator[yaml.Node]:
    loader = yaml.SafeLoader(source)
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is not None:
                yield node
    finally:
        loader.dispose()


def _flat(source: str, node: yaml.Node) -> Iterator[Manifest]:
    """Yield an object of Kubernetes, or those of a list of them."""
    items = _child(node, "items")
    for item in items.value if isinstance(items, yaml.SequenceNode) else [node]:
        twice = tuple(islice(_twice(item, set()), _MOST_TOLD))  # before merges (<<) are resolved
        values = _constructed(item)
        if isinstance(values, dict) and isinstance(values.get("kind"), str):
            yield Manifest(values, source, twice, item)


def _constructed(node: yaml.Node) -> object:
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _child(node: yaml.Node, key: str) -> yaml.Node | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    values = [value for name, value in pairs if name.value == key]
    return values[-1] if values else None


def _twice(node: yaml.Node, seen: set[int]) -> Iterator[str]:
    """Return each duplicate key of a mapping, and its position; aliases may be cyclic."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        known: dict[object, yaml.Node] = {}
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in known:
                    yield _twice_words(known[key.value], key)
                known[key.value] = key
            yield from _twice(value, seen)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _twice(value, seen)


def _twice_words(first: yaml.Node, then: yaml.Node) -> str:
    lines = [node.start_mark.line + 1 for node in (first, then)]
    return (
        f"the key {shorten(then.value)} is duplicated, in lines {lines[0]} and {lines[1]}; "
        "remove one of them"
    )


def _place(source: str, node: yaml.ScalarNode, offset: int) -> Position | None:
    """Find the position of a text's character in the YAML source.

    Folding and indenting change white space only, so the other characters are counted.
    """
    text = "".join(node.value.split())
    written = list(islice(_read_characters(source, node), len(text)))
    if not text or "".join(character for _, character in written) != text:
        return None
    number = len("".join(node.value[:offset].split()))
    is_behind = number == len(text)
    return _mark(source, written[-1][0] + 1 if is_behind else written[number][0])


def _read_characters(source: str, node: yaml.ScalarNode) -> Iterator[tuple[int, str]]:
    """Yield the non-space characters, with their positions, of a text's source."""
    index, end = node.start_mark.index, node.end_mark.index
    if node.style in ("|", ">"):
        index = source.index("\n", index)
    elif node.style in ("'", '"'):
        index, end = source.index(node.style, index) + 1, end - 1
    while index < end:
        length, character = _character(source, index, node.style)
        if not character.isspace():
            yield index, character
        index += length


def _character(source: str, index: int, style: str | None) -> tuple[int, str]:
    """Return the length of the character at `index` in a style of YAML, and its value."""
    if style == "'" and source.startswith("''", index):
        return 2, "'"
    escape = _ESCAPE.match(source, index) if style == '"' else None
    if escape is None:
        return 1, source[index]
    short, *rest = reversed(escape.groups())
    number = next((digits for digits in rest if digits), "")
    if number:
        return len(escape[0]), chr(int(number, 16))
    return len(escape[0]), yaml.SafeLoader.ESCAPE_REPLACEMENTS.get(short, short)


def _place_in_json(source: str, text: object, offset: int) -> Position | None:
    """Find the position of a text's character in the JSON source."""
    decoder = json.JSONDecoder()
    for match in _CONFIG.finditer(source):
        with suppress(ValueError):
            if decoder.raw_decode(source, match.end())[0] == text:
                rest = _JSON_CHARACTER.finditer(source, match.end() + 1)
                return _mark(source, next(islice(rest, offset, None)).start())
    return None


def _mark(source: str, index: int) -> Position:
    line_start = source.rfind("\n", 0, index) + 1
    return Position(source.count("\n", 0, index) + 1, index - line_start + 1)
