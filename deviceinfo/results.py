"""Reads libcni's cache of successful ADDs: the result caches of runtimes and of Multus."""

import os
import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import Final

from deviceinfo import plainfile
from deviceinfo.containerid import require_container_id
from deviceinfo.device import parse_device_id
from deviceinfo.jsonfile import Fields, parse_object, some_of
from deviceinfo.networks import first_plugin, parse_given_device, possible_networks
from deviceinfo.plainfile import UnreadableError
from deviceinfo.statement import PodRef, Reading, Sandbox, Source, Statement

_FILE_BYTES: Final = 4 << 20  # containerd includes the pod's annotations: up to 256 KiB, escaped
_KIND: Final = "cniCacheV1"
_SANDBOXES: Final = 1000
_RUNTIME_ID: Final = re.compile(r"-([0-9a-f]{64})-")


def read_results(folders: Sequence[Path], container_id: str) -> Reading:
    """Read the files `<network>-<container_id>-<ifname>` of a container.

    When two folders have one interface the first one counts: Multus' own folder
    (`/var/lib/cni/multus/results`) has each network, the runtime's (`/var/lib/cni/results`) has one
    file for all that Multus did. The loopback interface is left out. The file's content names its
    container, so an ambiguous file name is no problem.

    `network` is the NetworkAttachmentDefinition, `namespace/name`, only where CNIDeviceInfoFile
    names it and either has one possible split or has the pod's namespace and the name in the
    configuration; else it is that name, without "/": it distinguishes the networks of one pod, and
    usually is the definition's. `device` was given in the call (capability deviceID, or deviceID or
    pciBusID of the configuration's first plugin), or it is in the result (pciID). A result may have
    more interfaces in the container; they are included unless they have their own file.

    Raises DeviceInfoError if CNI does not allow the container id.
    Source: cacheAdd in libcni/api.go of containernetworking/cni; section 5 of its SPEC.md.
    """
    attachments: list[_CachedResult] = []
    problems: list[str] = []
    is_absent = True
    for folder in folders:
        require_container_id(container_id, folder)
        earlier = {attachment.own.interface for attachment in attachments}
        try:
            entries = list(_read_folder(folder, container_id))
        except FileNotFoundError:
            continue
        is_absent = False
        problems += [entry for entry in entries if isinstance(entry, str)]
        attachments += [
            entry
            for entry in entries
            if isinstance(entry, _CachedResult) and entry.own.interface not in earlier
        ]
    return Reading(
        Source.RESULTS,
        statements=tuple(_statements(attachments)),
        problems=tuple(problems),
        is_absent=is_absent,
    )


def find_sandboxes(folders: Sequence[Path]) -> tuple[Sandbox, ...]:
    """List the containers of a node by their result caches: newest first, the newest 1000.

    A cache outlives its container when the DEL was lost, so a namespace may be gone. Unreadable
    files are ignored.
    """
    sandboxes: dict[str, _Dated] = {}
    for folder in folders:
        try:
            with plainfile.open_folder(folder) as folder_fd:
                for dated in _read_sandboxes(folder_fd, sandboxes.keys()):
                    sandboxes.setdefault(dated.sandbox.container_id, dated)
        except OSError:
            continue
    newest = sorted(sandboxes.values(), key=attrgetter("written_ns"), reverse=True)
    return tuple(dated.sandbox for dated in newest[:_SANDBOXES])


@dataclass(frozen=True, slots=True)
class _CachedResult:
    own: Statement
    """The interface that the ADD was called for."""
    other_interfaces: tuple[Statement, ...]
    """All other interfaces of its result in the container."""


def _statements(attachments: Sequence[_CachedResult]) -> Iterator[Statement]:
    named = {attachment.own.interface for attachment in attachments}
    yield from (attachment.own for attachment in attachments)
    other_statements = (
        other for attachment in attachments for other in attachment.other_interfaces
    )
    yield from dict.fromkeys(other for other in other_statements if other.interface not in named)


def _read_folder(folder: Path, container_id: str) -> Iterator[_CachedResult | str]:
    """Yield attachments, and problems as texts; raises FileNotFoundError without the folder."""
    try:
        with plainfile.open_folder(folder) as folder_fd:
            for name in _names_with(f"-{container_id}-", folder_fd):
                try:
                    yield from _read_attachment(folder_fd, name, container_id)
                except UnreadableError as error:
                    yield f"cannot read {str(folder / name)!a}: {error}"
    except FileNotFoundError:
        raise
    except OSError as error:
        yield f"cannot list {folder}: {error.strerror}"


def _names_with(part: str, folder_fd: int) -> list[str]:
    return sorted(name for name in os.listdir(folder_fd) if part in name)


def _read_attachment(folder_fd: int, name: str, container_id: str) -> Iterator[_CachedResult]:
    """Read one file; yield nothing if it is another container's or of the loopback interface."""
    try:
        fields = _read_cache(folder_fd, name)
    except FileNotFoundError:
        return  # removed by a concurrent DEL
    if fields.text("containerId") != container_id or fields.text("ifName") == "lo":
        return
    attachment = _parse_attachment(fields)
    if fields.faults:
        raise UnreadableError(some_of(fields.faults))
    yield attachment


def _read_cache(folder_fd: int, name: str) -> Fields:
    fields = parse_object(plainfile.read(name, _FILE_BYTES, inside=folder_fd))
    if fields.members.get("kind") != _KIND:
        raise UnreadableError(f"its kind is not {_KIND}")
    return fields


def _parse_attachment(fields: Fields) -> _CachedResult:
    ifname, network = fields.ifname("ifName"), _network(fields)
    if not (ifname and network) and not fields.faults:
        fields.faults.append("ifName or networkName is missing")
    configured_device = parse_given_device(fields.section("capabilityArgs")) or parse_given_device(
        first_plugin(fields.packed("config"))
    )
    own = Statement(Source.RESULTS, device=configured_device, network=network, interface=ifname)
    other_statements = []
    for interface in fields.section("result").objects("interfaces"):
        is_on_host = not interface.text("sandbox")
        if is_on_host and not interface.faults:
            continue
        device = parse_device_id(interface.text("pciID") or "")
        name, mac = interface.ifname("name"), interface.mac("mac")
        fields.faults += interface.faults
        if name == ifname:
            own = replace(own, mac=mac, device=configured_device or device)
        elif name:
            other_statements.append(replace(own, device=device, interface=name, mac=mac))
    return _CachedResult(own, tuple(other_statements))


def _network(fields: Fields) -> str | None:
    """Return the network's name, as described in read_results."""
    name = fields.plain("networkName")
    file = fields.section("capabilityArgs").text("CNIDeviceInfoFile") or ""
    suffix = f"-{fields.text('containerId')}_{fields.text('ifName')}"
    if not file.endswith(suffix):
        return name
    networks = possible_networks(file.removesuffix(suffix).rpartition("/")[2])
    likely = f"{_cni_args(fields).get('K8S_POD_NAMESPACE')}/{name}"
    if len(networks) == 1:
        return networks[0]
    return likely if likely in networks else name


def _cni_args(fields: Fields) -> dict[str, str]:
    """Parse CNI_ARGS; the last value of a duplicate key counts, as in plugins."""
    args = {}
    pairs = fields.members.get("cniArgs")
    for pair in pairs if isinstance(pairs, list) else ():
        match pair:
            case [str(key), str(value)] if value and value.isprintable():
                args[key] = value
    return args


@dataclass(frozen=True, slots=True)
class _Dated:
    sandbox: Sandbox
    written_ns: int


def _read_sandboxes(folder_fd: int, known_ids: Container[str]) -> Iterator[_Dated]:
    """Read one file of each container not in `known_ids`, of the newest ones only."""
    names_of: dict[str, list[str]] = {}
    for name in _names_with("-", folder_fd):
        match = _RUNTIME_ID.search(name)
        names_of.setdefault(match[1] if match else name, []).append(name)
    groups = [
        (written_ns, names)
        for container_id, names in names_of.items()
        if container_id not in known_ids and (written_ns := _read_mtime_ns(folder_fd, names[0]))
    ]
    for written_ns, names in sorted(groups, reverse=True)[:_SANDBOXES]:
        sandboxes = (_read_sandbox(folder_fd, name) for name in names)
        sandbox = next(filter(None, sandboxes), None)
        if sandbox:
            yield _Dated(sandbox, written_ns)


def _read_mtime_ns(folder_fd: int, name: str) -> int:
    """Return when the file was last written, 0 if it is gone."""
    try:
        return os.stat(name, dir_fd=folder_fd, follow_symlinks=False).st_mtime_ns
    except OSError:
        return 0


def _read_sandbox(folder_fd: int, name: str) -> Sandbox | None:
    try:
        fields = _read_cache(folder_fd, name)
    except (FileNotFoundError, UnreadableError):
        return None
    args, container_id = _cni_args(fields), fields.plain("containerId")
    if container_id is None:
        return None
    namespace, name, uid = (
        args.get(f"K8S_POD_{part}", "") for part in ("NAMESPACE", "NAME", "UID")
    )
    return Sandbox(PodRef(namespace, name, uid), container_id, fields.plain("netns") or "")
