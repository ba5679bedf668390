"""The configurations in a person's file that are ours, and what the plugin would say of each."""

import codecs
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sriovbond import log
from sriovbond.bond.config import NetConf, parse_config
from sriovbond.cni.decoding import MAX_JSON_BYTES, Doubled, decode_object, given_twice, shorten
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


_MAKERS: Final = frozenset(
    {
        OURS, "bond", "sriov", "ib-sriov", "accelerated-bridge", "ovs", "flannel",
        # containernetworking/plugins: plugins/main
        "bridge", "dummy", "host-device", "ipvlan", "macvlan", "ptp", "tap", "vlan",
    }
)  # fmt: skip
"""Plugins that make the interface they are asked for, and so leave none to make after them."""
STDIN: Final = Path("-")


class NothingJudgedError(click.ClickException):
    """There is no configuration of ours to judge."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Configuration:
    """What one plugin would get on stdin; `place` is where it was, empty for the whole file.

    `fault` is why there is nothing to get; `twice` names keys that stand twice in its text;
    `is_taken` tells that an earlier plugin of its list makes the interface.
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

    A plugin's own configuration is returned whatever its type; `-` is standard input.
    Raises NothingJudgedError where there is none.
    """
    name = "standard input" if file == STDIN else str(file)
    content = _read(file, name)
    try:
        given = decode_object(content, name)
    except CniError as error:
        return _of_manifests(name, _manifests(content, error.msg))
    if "apiVersion" in given:
        from sriovbond.cli import manifests  # noqa: PLC0415 - it loads YAML

        return _of_manifests(name, manifests.of_json(content.decode(), given))
    found = list(_of_network(given))
    ours = _ours(found)
    if given.get("plugins") is None:
        return ours or found
    if not ours:
        types = ", ".join(shorten(one.type) for one in found) or "nothing"
        raise NothingJudgedError(f"{name} lists no plugin of type {OURS}; found: {types}")
    return ours


def find_ours(file: Path) -> list[Configuration]:
    """Return what `find` does. Raises NothingJudgedError where it is another plugin's, too."""
    found = find(file)
    if not _ours(found):
        types = ", ".join(shorten(one.type) for one in found)
        raise NothingJudgedError(
            f'type is {types}: the runtime would call that plugin; write "type": "{OURS}"'
        )
    return found


def _read(file: Path, name: str) -> bytes:
    try:
        with nullcontext(sys.stdin.buffer) if file == STDIN else file.open("rb") as source:
            content = source.read(MAX_JSON_BYTES + 1)
    except OSError as error:
        raise NothingJudgedError(f"cannot read {name}: {error.strerror}") from error
    if len(content) > MAX_JSON_BYTES:
        raise NothingJudgedError(f"cannot read {name}: it has more than {MAX_JSON_BYTES} bytes")
    return content


def judge(given: Configuration, logs: Path) -> Judgement:
    """Say what an ADD would, by the functions that it calls; `logs` is the folder of log files."""
    if given.fault:
        return Judgement((given.fault,))
    try:
        return _judged(given, logs)
    except RecursionError:
        return Judgement(("cannot read it: it is nested too deeply",))


def _judged(given: Configuration, logs: Path) -> Judgement:
    faults: list[str] = []
    values = given.values
    request = CniRequest(Command.ADD, config=values)
    try:
        request = _as_called(given)
        values = request.config
    except CniError as error:
        faults.append(error.msg)
    try:
        config = parse_config(values, faults=given.twice)
    except ConfigError as error:
        return Judgement((*faults, error.message))
    faults += _refusals(request, config)
    return Judgement(tuple(faults), tuple(_warnings(config, logs)))


def _as_called(given: Configuration) -> CniRequest:
    """Return the request that an ADD would get, in a list after the plugins before it."""
    request = parse_request(_ADD, json.dumps(given.values).encode())
    if not given.is_taken or request.prev_result:
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


def _of_network(given: Mapping[str, object]) -> Iterator[Configuration]:
    """Yield each plugin's configuration, with what libcni puts into it from around."""
    plugins = given.get("plugins")
    if plugins is None:
        yield from _with_delegate(Configuration("", given, twice=given_twice(given)))
    elif isinstance(plugins, list):
        around = {key: given.get(key) for key in ("name", "cniVersion")}
        twice = _twice_around(given)
        is_taken = False
        for number, plugin in enumerate(plugins):
            place = f"plugins[{number}]"
            if not isinstance(plugin, dict):
                yield Configuration(place, {}, f"found {shorten(plugin)}; it must be an object")
                continue
            keys_twice = (*twice, *given_twice(plugin))
            one = Configuration(place, {**plugin, **around}, "", keys_twice, is_taken)
            yield from _with_delegate(one)
            is_taken = is_taken or one.type in _MAKERS
    else:
        yield Configuration("plugins", {}, f"found {shorten(plugins)}; it must be a list")


def _twice_around(given: Mapping[str, object]) -> tuple[str, ...]:
    """Name the keys that stand twice in a list itself, not in its plugins."""
    if not isinstance(given, Doubled):
        return ()
    return given_twice(Doubled([pair for pair in given.pairs if pair[0] != "plugins"]))


def _with_delegate(given: Configuration) -> Iterator[Configuration]:
    """Yield it and what it hands on, as flannel does: by its own name and version."""
    yield given
    delegate = given.values.get("delegate")
    if isinstance(delegate, dict):
        place = f"{given.place}.delegate" if given.place else "delegate"
        version = given.values.get("cniVersion") or delegate.get("cniVersion")
        around = {"name": given.values.get("name"), "cniVersion": version}
        yield replace(given, place=place, values={**delegate, **around})


def _ours(found: Iterable[Configuration]) -> list[Configuration]:
    return [one for one in found if one.fault or one.type == OURS]


def _manifests(content: bytes, fault: str) -> list["Manifest"]:
    """Return the objects of Kubernetes in YAML; `fault` is why the content is no JSON."""
    from sriovbond.cli import manifests  # noqa: PLC0415 - it loads YAML

    found: list[Manifest] = []
    told = ""
    if not content.lstrip().startswith((b"{", b"[")):
        try:
            found = manifests.of_yaml(_text(content))
        except manifests.FormatError as error:
            told = f" (as YAML: {error})"
    if not found:
        raise NothingJudgedError(f"{fault}, or YAML with {_NETWORK}s{told}")
    return found


def _text(content: bytes) -> str:
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if is_utf16 else "utf-8-sig", "replace")


def _of_manifests(name: str, given: Iterable["Manifest"]) -> list[Configuration]:
    found: list[Configuration] = []
    told: list[str] = []
    for manifest in given:
        inside = list(_of_manifest(manifest, name))
        found += _ours(inside)
        told += [f"{one.place} of type {shorten(one.type)}" for one in inside]
        told += [] if inside else [manifest.name]
    if not found:
        raise NothingJudgedError(
            f"{name} has no {_NETWORK} with a plugin of type {OURS} in its spec.config; found: "
            f"{', '.join(told) or 'nothing'}"
        )
    return found


def _of_manifest(manifest: "Manifest", file: str) -> Iterator[Configuration]:
    """Yield what a network has; of one without spec.config Multus reads a file of the node."""
    text = manifest.config
    if manifest.values["kind"] != _NETWORK or text is None:
        return
    place = manifest.name
    if not isinstance(text, str):
        fault = f"spec.config is {shorten(text)}; it must be a text: put `|` before the JSON"
        yield Configuration(place, {}, fault)
        return
    try:
        given = decode_object(text.encode(errors="surrogatepass"), "spec.config")
    except CniError as error:
        yield Configuration(place, {}, _with_place(error, manifest, file))
        return
    name = manifest.at("metadata", "name")
    if given.get("name") in (None, "") and isinstance(name, str):
        given["name"] = name
    for one in _of_network(given):
        whole = f"{place}, {one.place}" if one.place else place
        yield replace(one, place=whole, twice=(*manifest.twice, *one.twice))


def _with_place(error: CniError, manifest: "Manifest", file: str) -> str:
    """Tell where in the file a fault of JSON is, which is told by its place in spec.config."""
    cause = error.__cause__
    if not isinstance(cause, json.JSONDecodeError):
        return error.msg
    place = manifest.place_in_config(cause.pos) or f"character {cause.pos + 1} of spec.config"
    return f"cannot decode spec.config: {cause.msg}: {place} of {file}; it must be one JSON object"
