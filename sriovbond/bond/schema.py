"""The JSON schema of a network configuration, generated from the model and the option table."""

from collections.abc import Iterable
from typing import Any

from sriovbond.bond.checks import MIN_MTU
from sriovbond.bond.config import AUTO, MOST_LINKS, REFUSED_KEYS
from sriovbond.bond.keys import KEYS_OF_IPAM
from sriovbond.bond.kind_schemas import schema_of
from sriovbond.bond.kinds import INT_MAX, Mac, Number
from sriovbond.bond.links import ALTNAME_MAX
from sriovbond.bond.options import MEMBER_OPTIONS, OPTIONS, Option, normal_key
from sriovbond.bond.ownkeys import OWN_FIELDS, OwnKeys
from sriovbond.bond.patterns import allow_spaces, number, spelled
from sriovbond.bond.selector import SELECTORS

_ABOUT = ("default", "description", "title")
_ZERO_TEXT = {"type": "string", "pattern": allow_spaces(number(0, 0))}
_VALUES = {
    "minMembers": schema_of(Number(1, INT_MAX)),
    "mtu": {"anyOf": [{"const": 0}, *schema_of(Number(MIN_MTU, INT_MAX))["anyOf"], _ZERO_TEXT]},
    "mac": {"anyOf": [schema_of(Mac())]},
    "logFile": {"anyOf": [{"type": "string", "pattern": "^/"}]},
}
_POLICY = "policy"
_HAS_POLICY = {
    "properties": {
        "type": {"enum": [type_ for type_, keys in KEYS_OF_IPAM.items() if _POLICY in keys]}
    },
    "required": ["type"],
}
"""Of an IPAM plugin that has a key of this name beside ours: an object."""


def json_schema() -> dict[str, object]:
    """Return the JSON schema of a network configuration, generated from the model and the table.

    It accepts and refuses the values of each key as parsing does, in every spelling. Combinations
    of keys, and near misses, are only checked by parsing.
    """
    schema = OwnKeys.model_json_schema(by_alias=True)
    own = {
        key: _nullable({**schema["properties"][key], **_VALUES.get(key, {})})
        for key in OWN_FIELDS.values()
    }
    links = own["links"]["anyOf"]
    links[0].update({"minItems": 1, "maxItems": MOST_LINKS})
    links.append({"const": AUTO})
    own[_POLICY]["anyOf"].append({"type": "object"})
    keys = dict(sorted({**own, **_describe(OPTIONS)}.items()))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sriovbond network configuration",
        "type": "object",
        "properties": keys,
        "patternProperties": {**_spellings(keys, "#/properties"), **_never(REFUSED_KEYS)},
        "if": {"properties": {"ipam": _HAS_POLICY}, "required": ["ipam"]},
        "else": {"patternProperties": {spelled(_POLICY): {"not": {"type": "object"}}}},
        "$defs": {**schema["$defs"], "LinkSelector": _selector(schema["$defs"]["LinkSelector"])},
    }


def _selector(model_schema: dict[str, Any]) -> dict[str, object]:
    """Return the schema of an entry of `links`, which needs at least one selecting key."""
    keys = model_schema["properties"]
    names = {"type": "string", "pattern": f"^([^*?[]{{1,{ALTNAME_MAX}}}|.*[*?[].*)$"}
    keys["name"]["anyOf"][0].update(names)
    keys.update(_describe(MEMBER_OPTIONS))
    selects_nothing = {spelled(key): {"type": "null"} for key in SELECTORS}
    return {
        "type": "object",
        "description": model_schema["description"],
        "properties": keys,
        "patternProperties": _spellings(keys, "#/$defs/LinkSelector/properties"),
        "not": {"patternProperties": selects_nothing},
    }


def _spellings(keys: Iterable[str], where: str) -> dict[str, object]:
    """Give each spelling of a key the key's schema."""
    by_normal = {normal_key(key): key for key in keys}
    return {spelled(normal): {"$ref": f"{where}/{key}"} for normal, key in by_normal.items()}


def _never(normal_keys: Iterable[str]) -> dict[str, object]:
    return {spelled(key): {"type": "null"} for key in sorted(normal_keys)}


def _describe(options: Iterable[Option]) -> dict[str, Any]:
    return {
        key: _nullable({**schema_of(row.kind), "description": row.about})
        for row in options
        for key in (row.name, camel_case(row.name), *row.aliases)
    }


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """Accept null, too, which counts as absent."""
    annotations = {key: schema[key] for key in _ABOUT if key in schema}
    values = {key: value for key, value in schema.items() if key not in _ABOUT}
    options = values.get("anyOf", [values])
    null = {"type": "null"}
    return {"anyOf": [*options, *([] if null in options else [null])], **annotations}


def camel_case(name: str) -> str:
    """Return bond-cni's spelling of a kernel name: failOverMac of fail_over_mac."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
