"""The configurations in a person's file that are ours, and what the plugin would say of each."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import click

from sriovbond import log
from sriovbond.bond.config import NetConf, Policy, parse_config
from sriovbond.cni.decoding import decode_object, shorten
from sriovbond.cni.request import parse_request
from sriovbond.cni.wire import CniError
from sriovbond.errors import ConfigError

OURS: Final = "sriovbond"
_NETWORK: Final = "NetworkAttachmentDefinition"
_ADD: Final = {
    "CNI_COMMAND": "ADD",
    "CNI_CONTAINERID": "some-pod",
    "CNI_NETNS": "/run/netns/some-pod",
    "CNI_IFNAME": "bond0",
}


@dataclass(frozen=True, slots=True)
class Configuration:
    """What one plugin would get on stdin; `place` is where it was, empty for the whole file.

    `fault` is why there is nothing to get.
    """

    place: str
    values: Mapping[str, object]
    fault: str = ""

    @property
    def type(self) -> object:
        """The plugin that the runtime would call."""
        return self.values.get("type")

    @property
    def label(self) -> str:
        """What to put before a word about it, where it is not the whole file."""
        type_ = f" ({OURS})" if self.type == OURS else ""
        return f"{self.place}{type_}: " if self.place else ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What would keep an ADD from working, and what is only doubtful."""

    faults: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def find(file: Path) -> list[Configuration]:
    """Return our configurations: of a plugin, of a list, or of networks of Multus in YAML.

    A plugin's own configuration is returned whatever its type.
    Raises ClickException where there is none.
    """
    try:
        content = file.read_bytes()
        given = decode_object(content, str(file))
    except OSError as error:
        raise click.ClickException(f"cannot read {file}: {error.strerror}") from error
    except CniError as error:
        return _of_manifests(file, _manifests(content, error.msg))
    if "apiVersion" in given:
        return _of_manifests(file, _flat(given))
    found = list(_of_network(given))
    ours = _ours(found)
    if given.get("plugins") is None:
        return ours or found
    if not ours:
        types = ", ".join(shorten(one.type) for one in found) or "nothing"
        raise click.ClickException(f"{file} lists no plugin of type {OURS}; found: {types}")
    return ours


def judge(given: Configuration, logs: Path) -> Judgement:
    """Say what an ADD would; `logs` is the folder of log files."""
    if given.fault:
        return Judgement((given.fault,))
    if given.type != OURS:
        wanted = f'the runtime would call that plugin; write "type": "{OURS}"'
        return Judgement((f"type is {shorten(given.type)}: {wanted}",))
    try:
        return _judged(given.values, logs)
    except RecursionError:
        return Judgement(("cannot read it: it is nested too deeply",))


def _judged(values: Mapping[str, object], logs: Path) -> Judgement:
    faults: list[str] = []
    try:
        values = parse_request(_ADD, json.dumps(values).encode()).config
    except CniError as error:
        faults.append(error.msg)
    try:
        config = parse_config(values)
    except ConfigError as error:
        return Judgement((*faults, error.message))
    if config.warnings and config.policy is Policy.STRICT:
        faults.append("`policy: strict` makes warnings refusals")
    return Judgement(tuple(faults), tuple(_warnings(config, logs)))


def _warnings(config: NetConf, logs: Path) -> Iterator[str]:
    yield from map(str, config.warnings)
    fault = log.refusal(config.log_file, logs) if config.log_file else ""
    if fault:
        yield fault


def _of_network(given: Mapping[str, object]) -> Iterator[Configuration]:
    """Yield each plugin's configuration, with what libcni puts into it from around."""
    plugins = given.get("plugins")
    if plugins is None:
        yield from _with_delegate(Configuration("", given))
    elif isinstance(plugins, list):
        around = {key: given.get(key) for key in ("name", "cniVersion")}
        for number, plugin in enumerate(plugins):
            place = f"plugins[{number}]"
            if isinstance(plugin, dict):
                yield from _with_delegate(Configuration(place, {**plugin, **around}))
            else:
                yield Configuration(place, {}, f"found {shorten(plugin)}; it must be an object")
    else:
        yield Configuration("plugins", {}, f"found {shorten(plugins)}; it must be a list")


def _with_delegate(given: Configuration) -> Iterator[Configuration]:
    """Yield it and what it hands on, as flannel does: by its own name and version."""
    yield given
    delegate = given.values.get("delegate")
    if isinstance(delegate, dict):
        place = f"{given.place}.delegate" if given.place else "delegate"
        version = given.values.get("cniVersion") or delegate.get("cniVersion")
        around = {"name": given.values.get("name"), "cniVersion": version}
        yield Configuration(place, {**delegate, **around})


def _ours(found: Iterable[Configuration]) -> list[Configuration]:
    return [one for one in found if one.fault or one.type == OURS]


def _manifests(content: bytes, fault: str) -> list[dict[str, object]]:
    """Return the objects of Kubernetes in YAML; `fault` is why the content is no JSON."""
    import yaml  # noqa: PLC0415 - only few files need it

    found: list[dict[str, object]] = []
    told = ""
    if not content.lstrip().startswith((b"{", b"[")):
        try:
            found = [one for document in yaml.safe_load_all(content) for one in _flat(document)]
        except Exception as error:  # noqa: BLE001 - the loader trusts its input
            found, told = [], f" (as YAML: {' '.join(str(error).split())})"
    if not found:
        raise click.ClickException(f"{fault}, or YAML with {_NETWORK}s{told}")
    return found


def _flat(document: object) -> Iterator[dict[str, object]]:
    """Yield an object of Kubernetes, or those of a list of them."""
    items = _at(document, "items")
    for one in items if isinstance(items, list) else [document]:
        if isinstance(one, dict) and isinstance(one.get("kind"), str):
            yield one


def _of_manifests(file: Path, manifests: Iterable[dict[str, object]]) -> list[Configuration]:
    found: list[Configuration] = []
    told: list[str] = []
    for manifest in manifests:
        inside = list(_of_manifest(manifest))
        found += _ours(inside)
        told += [f"{one.place} of type {shorten(one.type)}" for one in inside]
        told += [] if inside else [_name_of(manifest)]
    if not found:
        raise click.ClickException(
            f"{file} has no {_NETWORK} with a plugin of type {OURS} in its spec.config; found: "
            f"{', '.join(told) or 'nothing'}"
        )
    return found


def _of_manifest(manifest: dict[str, object]) -> Iterator[Configuration]:
    """Yield what a network has; of one without spec.config Multus reads a file of the node."""
    text = _at(manifest, "spec", "config")
    if manifest["kind"] != _NETWORK or text is None:
        return
    place = _name_of(manifest)
    if not isinstance(text, str):
        fault = f"spec.config is {shorten(text)}; it must be a text: put `|` before the JSON"
        yield Configuration(place, {}, fault)
        return
    try:
        given = decode_object(text.encode(errors="surrogatepass"), "spec.config")
    except CniError as error:
        yield Configuration(place, {}, error.msg)
        return
    name = _at(manifest, "metadata", "name")
    if given.get("name") in (None, "") and isinstance(name, str):
        given["name"] = name
    for one in _of_network(given):
        yield replace(one, place=f"{place}, {one.place}" if one.place else place)


def _name_of(manifest: dict[str, object]) -> str:
    return f"{manifest['kind']} {shorten(_at(manifest, 'metadata', 'name'))}"


def _at(value: object, *keys: str) -> object:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
