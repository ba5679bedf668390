"""The JSON schema of each kind of value: it accepts exactly what the kind parses."""

from ipaddress import IPv4Address
from typing import Any

from sriovbond.bond import patterns
from sriovbond.bond.kinds import (
    MAX_TARGETS,
    Addresses,
    Choice,
    Mac,
    MemberReference,
    Number,
    ValueKind,
)

_HOSTS = "|".join(patterns.digits(*span) for span in ((1, 126), (128, 223), (240, 255)))
_OCTETS = rf"(?:\.(?:{patterns.digits(0, 255)})){{3}}"
_IPV4 = rf"(?!255(?:\.255){{3}}(?![0-9]))(?:{_HOSTS}){_OCTETS}"
_IPV6 = "[0-9a-fA-F:]{2,39}(?:[0-9.]{7,15})?"  # only parsing checks its form
_UNICAST = "(?!00(:00){5})[0-9a-fA-F][02468aceACE](:[0-9a-fA-F]{2}){5}"


def schema_of(kind: ValueKind) -> dict[str, Any]:
    """Return the JSON schema of a kind."""
    match kind:
        case Number():
            return _of_numbers(kind)
        case Choice():
            return _of_names(kind)
        case Addresses():
            return _of_addresses(_IPV4 if kind.family is IPv4Address else _IPV6)
        case Mac():
            return {"type": "string", "pattern": patterns.allow_spaces(_UNICAST)}
        case MemberReference():
            return {"type": "string", "pattern": r"\S"}
    raise TypeError(kind)


def _of_numbers(kind: Number) -> dict[str, Any]:
    number = {"type": "integer", "minimum": kind.least, "maximum": kind.most}
    text = patterns.allow_spaces(patterns.number(kind.least, kind.most))
    return {"anyOf": [number, {"type": "string", "pattern": text}]}


def _of_names(kind: Choice) -> dict[str, Any]:
    names = (*kind.ours, *kind.numbers, *kind.aliases)
    switch = [False, True] if {"off", "on"} == set(kind.numbers) else []
    ranges = (patterns.number(number, number) for number in kind.numbers.values())
    text = patterns.allow_spaces(patterns.in_any_case(names), *ranges)
    return {
        "anyOf": [
            {"enum": [*names, *kind.numbers.values(), *switch]},
            {"type": "string", "pattern": text},
        ]
    }


def _of_addresses(address: str) -> dict[str, Any]:
    """Accept a list and a text; duplicate addresses in a text are only found by parsing."""
    items = {"type": "string", "pattern": patterns.allow_spaces(address)}
    bounds = {"minItems": 1, "maxItems": MAX_TARGETS, "uniqueItems": True}
    many = {"type": "array", "items": items, **bounds}
    single = rf"\s*(?:{address})\s*"
    text = f"^{single}(?:,{single}){{0,{MAX_TARGETS - 1}}}$"
    return {"anyOf": [many, {"type": "string", "pattern": text}]}
