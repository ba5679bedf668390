"""Section beside section: what of one is not in the other, and what the other has in its place."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

from sriovbond.bond.kinds import OptionValue
from sriovbond.bond.options import DELAYS, Setting
from sriovbond.nodenet.bondoptions import followers, is_following, kernel_default
from sriovbond.nodenet.model import AltName, BondOptions, LinkAggregation, PortVlan
from sriovbond.nodenet.routing import ABSENT
from sriovbond.nodenet.sections import Free, Key, Many, Section, keys_of
from sriovbond.nodenet.values import Ticks

Part = TypeVar("Part")
_NAMES: Final = Section(AltName)
_NONE: Final[Mapping[str, object]] = {
    "reorder_headers": True,
    "prefix_route_metric": 0,
    "auto_route_table_id": 0,
    "auto_gateway": True,
    "auto_routes": False,  # beside SLAAC the kernel takes no routes of a router by default
    "trunk_tags": (),
    "tag": 0,
    "enable_native": False,
    "total_vfs": 0,
    "vfs": (),
    "vlan_proto": "802.1q",
    "protocol": "802.1q",
}
"""The values of fields that are the same as not being mentioned in a state."""


def differ(desired: Part, current: Part | None) -> Part | None:
    """Return what of `desired` is not in `current`; None where all of it is."""
    if current is None:
        current = type(desired)()
    changes = {}
    for row in keys_of(type(desired)):
        change = _change_of(row, desired, current)
        is_none = getattr(current, row.field) is None and _is_none(row, change)
        if change is not None and not is_none:
            changes[row.field] = change
    return type(desired)(**changes) if changes else None


def restore(desired: Part, current: Part) -> Part:
    """Return what `current` has for all that `desired` mentions."""
    former = {}
    for row in keys_of(type(desired)):
        mentioned, value = getattr(desired, row.field), getattr(current, row.field)
        if mentioned is None:
            continue
        if isinstance(row.kind, Section):
            former[row.field] = None if value is None else restore(mentioned, value)
        elif row.field == "alt_names":
            former[row.field] = _former_names(mentioned, value or ())
        elif isinstance(row.kind, Free):
            former[row.field] = _former_options(mentioned, value or BondOptions())
        else:
            former[row.field] = value
    section = type(desired)(**former)
    return _with_all_options(desired, current, section)


def _is_none(row: Key, value: object) -> bool:
    """Return whether a value is the same as none: false is, of what cannot be set."""
    return value is False if row.unset else row.field in _NONE and value == _NONE[row.field]


def _change(kind: Any, desired: Any, current: Any) -> Any:  # noqa: ANN401 - values of that kind
    if desired is None or desired == current or (desired in ("", ()) and current is None):
        return None
    if isinstance(kind, Ticks):
        return None if kind.is_kept(desired, current) else desired
    if isinstance(kind, Section):
        if isinstance(desired, PortVlan):
            return None if _is_vlan_met(desired, current) else desired
        return differ(desired, current)
    if isinstance(kind, Many) and (current is not None or kind.of == _NAMES):
        return None if _is_met(kind, desired, current or ()) else desired
    return desired


def _former_names(
    desired: tuple[AltName, ...], current: tuple[AltName, ...]
) -> tuple[AltName, ...]:
    """Return which of the names were there, and that the others were not."""
    present = {row.name for row in current}
    return tuple(
        AltName(name=row.name, state=None if row.name in present else ABSENT) for row in desired
    )


def _are_names_met(desired: tuple[AltName, ...], current: tuple[AltName, ...]) -> bool:
    """Return whether altnames exist, and absent ones do not; others stay."""
    present = {row.name for row in current}
    return all((row.name in present) != (row.state == ABSENT) for row in desired)


def _is_met(kind: Many, desired: tuple[Any, ...], current: tuple[Any, ...]) -> bool:
    """Return whether a list has all that another requests; equal ones are handled before."""
    if kind.is_set:
        return set(desired) == set(current)
    return bool(kind.identity) and _are_met(kind, desired, current)


def _are_met(kind: Many, desired: tuple[Any, ...], current: tuple[Any, ...]) -> bool:
    """Return whether the same parts exist, and each has its requested values."""
    if kind.of == _NAMES:
        return _are_names_met(desired, current)
    present = {getattr(part, kind.identity): part for part in current}
    wishes = {getattr(part, kind.identity): part for part in desired}
    is_part = kind.identity == "id"
    if not (set(wishes) <= set(present) if is_part else set(wishes) == set(present)):
        return False
    return all(differ(part, present[name]) is None for name, part in wishes.items())


def _is_vlan_met(desired: PortVlan, current: PortVlan | None) -> bool:
    if desired == PortVlan():
        return current in (None, PortVlan())
    return current is not None and differ(desired, current) is None


def _change_of(row: Key, desired: object, current: object) -> Any:  # noqa: ANN401 - a value of that key
    if isinstance(desired, LinkAggregation) and isinstance(row.kind, Free):
        now = current if isinstance(current, LinkAggregation) else LinkAggregation()
        return _differ_options(desired, now)
    return _change(row.kind, getattr(desired, row.field), getattr(current, row.field))


def _differ_options(desired: LinkAggregation, current: LinkAggregation) -> BondOptions | None:
    """Return the settings that differ, or that others which differ would change.

    An empty object asks for the defaults. Another mode drops those that are there.
    """
    wish, now = desired.options, current.options or BondOptions()
    mode = desired.mode or current.mode
    if wish is None:
        return None
    if not wish.settings:
        is_default = all(row.value == kernel_default(row.name, mode) for row in now.settings)
        return None if is_default else wish
    if mode != current.mode:
        return wish
    new = {row.name for row in wish.settings if _value_now(row.name, now, mode) != row.value}
    if "miimon" in new and wish.value("miimon"):
        new |= {name for name in DELAYS if is_following(name, now)}
    changed = tuple(row for row in wish.settings if row.name in new)
    return BondOptions(changed) if changed else None


def _value_now(name: str, current: BondOptions, mode: str | None) -> object:
    """Return what an option has; what a state does not mention has its default."""
    value = current.value(name)
    return kernel_default(name, mode) if value is None else value


def _former_options(desired: BondOptions, current: BondOptions) -> BondOptions:
    """Return what is there of all that changes, also of what follows unasked."""
    if not desired.settings:
        return current
    changing = {row.name for row in desired.settings}
    changing |= {
        row.name for row in followers(current, desired) if row.value != current.value(row.name)
    }
    return BondOptions(tuple(Setting(name, _former(name, current)) for name in sorted(changing)))


def _former(name: str, current: BondOptions) -> OptionValue:
    now = next((row.value for row in current.settings if row.name == name), None)
    return kernel_default(name) if now is None else now


def _with_all_options(desired: Part, current: Part, former: Part) -> Part:
    """Return a bond whose mode changes with all of its options: the new mode drops them."""
    if (
        isinstance(desired, LinkAggregation)
        and isinstance(current, LinkAggregation)
        and isinstance(former, LinkAggregation)
        and desired.mode not in (None, current.mode)
        and current.options
    ):
        return replace(former, options=current.options)
    return former
