"""Finds sriovbond's configurations in a user's file, and judges each as ADD would."""

import codecs
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sriovbond import log
from sriovbond.bond.config import NetConf, parse_config
from sriovbond.bond.plugins import MAKERS
from sriovbond.cli import files
from sriovbond.cli.files import NoAnswerError
from sriovbond.cni.decoding import (
    MAX_JSON_BYTES,
    Doubled,
    decode_object,
    find_duplicate_keys,
    shorten,
)
from sriovbond.cni.network import NetworkText
from sriovbond.cni.request import CniRequest, parse_request
from sriovbond.cni.result import CniResult, Interface
from sriovbond.cni.versions import Command
from sriovbond.cni.wire import CniError
from sriovbond.commands.configuration import accept
from sriovbond.errors import ConfigError, SriovbondError

if TYPE_CHECKING:
    from sriovbond.cli.manifests import Manifest

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
    """The stdin of one plugin's call; `place` is where it was in the file, empty: all of it.

    `fault` is why there is none; `twice` names duplicate keys in its text; `is_taken`: an earlier
    plugin of its list creates the interface.
    """

    place: str
    values: Mapping[str, object]
    fault: str = ""
    twice: tuple[str, ...] = ()
    is_taken: bool = False

    @property
    def type(self) -> object:
        """The plugin that the runtime would call."""
        return self.values.get("type")

    @property
    def label(self) -> str:
        """The prefix of a message about it, if it is not the whole file."""
        type_ = f" ({OURS})" if self.type == OURS else ""
        return f"{self.place}{type_}: " if self.place else ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What would fail an ADD, and what is only doubtful."""

    faults: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def find(file: Path) -> list[Configuration]:
    """Return our configurations: of a plugin, of a list, or of networks of Multus in YAML.

    A plugin's own configuration is returned whatever its type; `-` is standard input.
    Raises NoAnswerError if there is none.
    """
    name, content = files.name_of(file), files.read(file, MAX_JSON_BYTES)
    try:
        config = decode_object(content, name)
    except CniError as error:
        return _of_manifests(name, _manifests(content, error.msg))
    if "apiVersion" in config:
        from sriovbond.cli import manifests  # noqa: PLC0415 - it loads YAML

        return _of_manifests(name, manifests.of_json(content.decode(), config))
    configurations = list(_of_network(config))
    ours = _ours(configurations)
    if config.get("plugins") is None:
        return ours or configurations
    if not ours:
        types = (
            ", ".join(shorten(configuration.type) for configuration in configurations) or "nothing"
        )
        raise NoAnswerError(f"{name} lists no plugin of type {OURS}; found: {types}")
    return ours


def find_ours(file: Path) -> list[Configuration]:
    """Return the result of `find`. Raises NoAnswerError if another plugin's is among it."""
    configurations = find(file)
    if not _ours(configurations):
        types = ", ".join(shorten(configuration.type) for configuration in configurations)
        raise NoAnswerError(
            f'type is {types}: the runtime would call that plugin; write "type": "{OURS}"'
        )
    return configurations


def judge(configuration: Configuration, logs: Path) -> Judgement:
    """Judge it by the same functions as an ADD; `logs` is the folder of log files."""
    if configuration.fault:
        return Judgement((configuration.fault,))
    try:
        return _judge_configuration(configuration, logs)
    except RecursionError:
        return Judgement(("cannot read it: it is nested too deeply",))


def _judge_configuration(configuration: Configuration, logs: Path) -> Judgement:
    faults: list[str] = []
    values = configuration.values
    request = CniRequest(Command.ADD, text=NetworkText(config=values))
    try:
        request = _as_called(configuration)
        values = request.config
    except CniError as error:
        faults.append(error.msg)
    try:
        config = parse_config(values, faults=configuration.twice)
    except ConfigError as error:
        return Judgement((*faults, error.message))
    faults += _refusals(request, config)
    return Judgement(tuple(faults), tuple(_warnings(config, logs)))


def _as_called(configuration: Configuration) -> CniRequest:
    """Return the request that an ADD would get, in a list after the plugins before it."""
    request = parse_request(_ADD, json.dumps(configuration.values).encode())
    if not configuration.is_taken or request.prev_result:
        return request
    made = Interface(name=request.ifname, sandbox=request.netns)
    before = CniResult(cni_version=request.cni_version, interfaces=(made,))
    return replace(request, prev_result=before)


def _refusals(request: CniRequest, config: NetConf) -> Iterator[str]:
    try:
        accept(request, config)
    except CniError as error:
        yield error.msg
    except SriovbondError as error:
        yield error.message


def _warnings(config: NetConf, logs: Path) -> Iterator[str]:
    yield from map(str, config.warnings)
    fault = log.refusal(config.log_file, logs) if config.log_file else ""
    if fault:
        yield fault


def _of_network(config: Mapping[str, object]) -> Iterator[Configuration]:
    """Yield each plugin's configuration, with the keys that libcni adds from the list."""
    plugins = config.get("plugins")
    if plugins is None:
        yield from _with_delegate(Configuration("", config, twice=find_duplicate_keys(config)))
    elif isinstance(plugins, list):
        around = {key: config.get(key) for key in ("name", "cniVersion")}
        twice = _twice_around(config)
        is_taken = False
        for number, plugin in enumerate(plugins):
            place = f"plugins[{number}]"
            if not isinstance(plugin, dict):
                yield Configuration(place, {}, f"found {shorten(plugin)}; it must be an object")
                continue
            keys_twice = (*twice, *find_duplicate_keys(plugin))
            configuration = Configuration(place, {**plugin, **around}, "", keys_twice, is_taken)
            yield from _with_delegate(configuration)
            is_taken = is_taken or configuration.type in MAKERS
    else:
        yield Configuration("plugins", {}, f"found {shorten(plugins)}; it must be a list")


def _twice_around(config: Mapping[str, object]) -> tuple[str, ...]:
    """Return the duplicate keys of a list itself, not of its plugins."""
    if not isinstance(config, Doubled):
        return ()
    return find_duplicate_keys(Doubled([pair for pair in config.pairs if pair[0] != "plugins"]))


def _with_delegate(configuration: Configuration) -> Iterator[Configuration]:
    """Yield it and the configuration it delegates, as flannel does: by its name and version."""
    yield configuration
    delegate = configuration.values.get("delegate")
    if isinstance(delegate, dict):
        place = f"{configuration.place}.delegate" if configuration.place else "delegate"
        version = configuration.values.get("cniVersion") or delegate.get("cniVersion")
        around = {"name": configuration.values.get("name"), "cniVersion": version}
        yield replace(configuration, place=place, values={**delegate, **around})


def _ours(configurations: Iterable[Configuration]) -> list[Configuration]:
    return [
        configuration
        for configuration in configurations
        if configuration.fault or configuration.type == OURS
    ]


def _manifests(content: bytes, fault: str) -> list["Manifest"]:
    """Return the objects of Kubernetes in YAML; `fault` is why the content is no JSON."""
    from sriovbond.cli import manifests  # noqa: PLC0415 - it loads YAML

    objects: list[Manifest] = []
    yaml_fault = ""
    if not content.lstrip().startswith((b"{", b"[")):
        try:
            objects = manifests.of_yaml(_text(content))
        except manifests.FormatError as error:
            yaml_fault = f" (as YAML: {error})"
    if not objects:
        raise NoAnswerError(f"{fault}, or YAML with {_NETWORK}s{yaml_fault}")
    return objects


def _text(content: bytes) -> str:
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if is_utf16 else "utf-8-sig", "replace")


def _of_manifests(name: str, objects: Iterable["Manifest"]) -> list[Configuration]:
    configurations: list[Configuration] = []
    contents: list[str] = []
    for manifest in objects:
        inside = list(_of_manifest(manifest, name))
        configurations += _ours(inside)
        contents += [
            f"{configuration.place} of type {shorten(configuration.type)}"
            for configuration in inside
        ]
        contents += [] if inside else [manifest.name]
    if not configurations:
        raise NoAnswerError(
            f"{name} has no {_NETWORK} with a plugin of type {OURS} in its spec.config; found: "
            f"{', '.join(contents) or 'nothing'}"
        )
    return configurations


def _of_manifest(manifest: "Manifest", file: str) -> Iterator[Configuration]:
    """Yield a network's configurations; without spec.config Multus reads a file of the node."""
    text = manifest.config
    if manifest.values["kind"] != _NETWORK or text is None:
        return
    place = manifest.name
    if not isinstance(text, str):
        fault = f"spec.config is {shorten(text)}; it must be a text: put `|` before the JSON"
        yield Configuration(place, {}, fault)
        return
    try:
        config = decode_object(text.encode(errors="surrogatepass"), "spec.config")
    except CniError as error:
        yield Configuration(place, {}, _with_place(error, manifest, file))
        return
    name = manifest.at("metadata", "name")
    if config.get("name") in (None, "") and isinstance(name, str):
        config["name"] = name
    for configuration in _of_network(config):
        whole = f"{place}, {configuration.place}" if configuration.place else place
        yield replace(configuration, place=whole, twice=(*manifest.twice, *configuration.twice))


def _with_place(error: CniError, manifest: "Manifest", file: str) -> str:
    """Return a JSON fault, whose place is relative to spec.config, with its place in the file."""
    cause = error.__cause__
    if not isinstance(cause, json.JSONDecodeError):
        return error.msg
    place = manifest.place_in_config(cause.pos) or f"character {cause.pos + 1} of spec.config"
    return f"cannot decode spec.config: {cause.msg}: {place} of {file}; it must be one JSON object"
