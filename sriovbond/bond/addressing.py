"""The addresses in a configuration: the MAC, the IPAM plugin, and a requested IPv6 address."""

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv6Interface, ip_interface
from itertools import chain, islice
from typing import Any

from sriovbond.bond import rules
from sriovbond.bond.plugins import NOT_IPAM
from sriovbond.bond.rules import Finding

_MOST_READ = 256  # addresses and ranges: IPAM assigns one of each family
_MOST_TOLD = 5
_NOT_IN_FILE_NAMES = frozenset("/\\\0")
_OVERRIDES = (("runtimeConfig",), ("args", "cni"))  # where later runtimes write `ips`


def find_requested_mac(raw: Mapping[str, Any], cni_args: Mapping[str, str]) -> dict[str, object]:
    """Return the MAC of this attachment, by its key: the capability's has priority over CNI_ARGS'.

    Empty without either: then the configuration's own is used.
    """
    runtime = raw.get("runtimeConfig")
    if isinstance(runtime, Mapping) and runtime.get("mac"):
        return {"mac": runtime["mac"]}
    return {"mac": cni_args["MAC"]} if cni_args.get("MAC") else {}


def ipam_plugin(raw: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return the name of the IPAM plugin, "" for none, and its faults."""
    ipam = {} if raw.get("ipam") is None else raw["ipam"]
    if not isinstance(ipam, Mapping):
        return "", [f"ipam: expected an object with a type, found {_without_content(ipam)}"]
    if not isinstance(ipam.get("type"), str | None):
        content = _without_content(ipam["type"])
        return "", [f"ipam: expected an object with a type, found {content} as its type"]
    name = ipam.get("type") or ""
    if name and name == raw.get("type"):
        return name, [f"ipam.type: {name!r} is this plugin itself; name an IPAM plugin"]
    if name in NOT_IPAM:
        return name, [f"ipam.type: {name!r} is no IPAM plugin; name one, such as host-local"]
    if name in {".", ".."} or not _NOT_IN_FILE_NAMES.isdisjoint(name):
        return name, [f"ipam.type: expected the file name of an IPAM plugin, found {name!r}"]
    return name, []


def _without_content(json_value: object) -> str:
    """Return a value in words; what is in a list or object may be the IPAM plugin's secret."""
    match json_value:
        case list():
            return "a list"
        case Mapping():
            return "an object"
    return repr(json_value)


def unread_ipam(raw: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield a warning for keys of `ipam`, and for requested addresses, that no plugin reads."""
    ipam = {} if raw.get("ipam") is None else raw["ipam"]
    if not isinstance(ipam, Mapping) or ipam.get("type"):
        return
    rest = ", ".join(sorted(ipam.keys() - {"type"}))
    if rest:
        yield rules.IPAM_WITHOUT_TYPE.finding(f"ipam has {rest} and no type")
    requested = ", ".join(_texts(raw.get("runtimeConfig"), "ips")[:_MOST_TOLD])
    if requested:  # not those in CNI_ARGS, which each plugin of a list gets
        yield rules.IPAM_WITHOUT_TYPE.finding(f"the pod asks for {requested}, and ipam has no type")


def find_requested_ipv6(raw: Mapping[str, Any], cni_args: Mapping[str, str]) -> str:
    """Return a requested IPv6 address, or a range of one, "" if there is none.

    As in static, the addresses in the runtime's arguments replace those of the configuration.
    """
    if not isinstance(raw.get("ipam"), Mapping) or not raw["ipam"].get("type"):
        return ""
    requested = [text for place in _OVERRIDES for text in _texts(_at(raw, *place), "ips")]
    own = [
        text
        for entry in _entries(raw["ipam"].get("addresses"))
        for text in _texts(entry, "address")
    ]
    texts = chain(requested or own, cni_args.get("IP", "").split(","), _ranges(raw["ipam"]))
    return next((text for text in islice(texts, _MOST_READ) if _is_ipv6(text)), "")


def _ranges(ipam: Mapping[str, Any]) -> Iterator[str]:
    """Yield the ranges of host-local and of whereabouts."""
    yield from (ipam[key] for key in ("subnet", "range") if isinstance(ipam.get(key), str))
    sets = ipam.get("ranges")
    for entries in (*(sets if isinstance(sets, list) else ()), ipam.get("ipRanges")):
        for entry in _entries(entries):
            yield from (
                entry[key] for key in ("subnet", "range") if isinstance(entry.get(key), str)
            )


def _texts(value: object, key: str) -> list[str]:
    texts = value.get(key) if isinstance(value, Mapping) else None
    return [
        text for text in (texts if isinstance(texts, list) else [texts]) if isinstance(text, str)
    ]


def _entries(value: object) -> list[Mapping[str, Any]]:
    entries = value if isinstance(value, list) else []
    return [entry for entry in entries if isinstance(entry, Mapping)]


def _at(value: object, *keys: str) -> object:
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _is_ipv6(text: str) -> bool:
    try:
        # whereabouts accepts FIRST-LAST/LENGTH, too
        return isinstance(ip_interface(re.sub(r"-[^/]*", "", text)), IPv6Interface)
    except ValueError:
        return False
