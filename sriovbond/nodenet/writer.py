"""From the dataclasses to what JSON and YAML have, in nmstate's words."""

import json
from typing import Any, Final

import yaml

from sriovbond.bond.kinds import Addresses, Choice, Mac
from sriovbond.bond.options import Setting
from sriovbond.nodenet.model import BondOptions, NetState
from sriovbond.nodenet.sections import Free, Kind, Many, Section, keys_of

_DELIVERY: Final = {"off": "dropped", "on": "delivered"}


def plain(section: Any) -> dict[str, Any]:  # noqa: ANN401 - any section of the model
    """Return a section as plain values; what it does not mention is left out."""
    written = {}
    for row in keys_of(type(section)):
        value = getattr(section, row.field)
        if value is not None:
            written[row.name] = _plain(row.kind, value)
    return written


def to_yaml(state: NetState) -> str:
    """Return the document as YAML."""
    return yaml.safe_dump(plain(state), sort_keys=False, allow_unicode=True)


def to_json(state: NetState) -> str:
    """Return the document as JSON, without a line's end."""
    return json.dumps(plain(state), indent=2, ensure_ascii=False)


def _plain(kind: Kind, value: Any) -> Any:  # noqa: ANN401 - a value of that kind
    if isinstance(kind, Section):
        return plain(value)
    if isinstance(kind, Many):
        return [_plain(kind.of, part) for part in value]
    if isinstance(kind, Free):
        options: BondOptions = value
        return {setting.name: plain_option(setting) for setting in options.settings}
    return kind.write(value)


def plain_option(setting: Setting) -> object:
    """Return an option's value as nmstate writes it: truths, and addresses with commas."""
    kind, value = setting.option.kind, setting.value
    if value == ():
        return ""
    if setting.name == "all_slaves_active":
        return _DELIVERY[str(value)]
    if isinstance(kind, Choice) and set(kind.numbers) == {"off", "on"}:
        return value == "on"
    if isinstance(kind, Addresses):
        return ",".join(map(str, value)) if isinstance(value, tuple) else value
    return str(value).upper() if isinstance(kind, Mac) else value
