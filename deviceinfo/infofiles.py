"""Reads device-info files, written by device plugins, Multus and other CNI plugins."""

import os
import re
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from deviceinfo import plainfile
from deviceinfo.containerid import is_container_id, require_container_id, settle
from deviceinfo.device import Bus, DeviceId, parse_device_id
from deviceinfo.jsonfile import Fields, is_ifname, parse_object
from deviceinfo.networks import NAME_BYTES, possible_networks
from deviceinfo.plainfile import UnreadableError
from deviceinfo.statement import DeviceKind, Reading, Source, Statement

_FILE_BYTES: Final = 1 << 20
_VERSION: Final = re.compile(r"1\.[0-9]{1,9}\.[0-9]{1,9}")

_DETAILS: Final[Mapping[DeviceKind, tuple[str, ...]]] = MappingProxyType(
    {  # type: the keys whose values are shown as they are, sections 3.1.3 to 3.1.6
        DeviceKind.PCI: ("vhost-net", "representor-device"),
        DeviceKind.VDPA: ("parent-device", "driver", "path", "representor-device"),
        DeviceKind.VHOST_USER: ("mode", "path"),
        DeviceKind.MEMIF: ("role", "mode", "path"),
    }
)


Told = Statement | str
"""A file's statement, or a text why it cannot be read."""


def read_cni_files(folder: Path, container_id: str) -> Reading:
    """Read the files of a container's attachments, `<namespace>-<NAD>-<container_id>_<ifname>`.

    Multus writes these files in `devinfo/cni`, for networks with a device only. `network` is None
    where the name can be split into namespace and NAD in more than one way: `a-b-c` is `b-c` in `a`
    or `c` in `a-b`. A file that may belong to another container, which an id of 64 hex digits
    excludes, is a problem.

    Raises DeviceInfoError if CNI does not allow the container id.
    Source: device-info-spec, SPEC.md 1.1.0; delegateRuntimeConfig in Multus, pkg/types/conf.go.
    """
    require_container_id(container_id, folder)
    return _gather(folder, lambda folder_fd: _cni_files(folder, folder_fd, container_id))


def read_dp_files(folder: Path, allocations: Iterable[tuple[str, str]]) -> Reading:
    """Read the device plugins' files of devices, given as pairs of resource and device id.

    The files are `devinfo/dp/<resource>-<device id>-device.json`, each "/" replaced by "-". A
    device without a file has no statement: plugins need not write one.
    Source: device-info-spec, SPEC.md 1.1.0, section 4.1; getDPDeviceInfoPath of
    network-attachment-definition-client, pkg/utils.
    """
    pairs = tuple(dict.fromkeys(allocations))
    return _gather(folder, lambda folder_fd: _dp_files(folder, folder_fd, pairs))


def parse_info(fields: Fields) -> Statement:
    """Parse a device-info object. Raises UnreadableError with every fault."""
    version, kind = fields.text("version"), fields.text("type")
    if version is None or not _VERSION.fullmatch(version):
        raise UnreadableError(f"its version is {reprlib.repr(version)}, and only 1.x.y is known")
    if kind not in set(DeviceKind):
        raise UnreadableError(
            f"its type is {reprlib.repr(kind)}, not one of {', '.join(DeviceKind)}"
        )
    return _parse_kind(DeviceKind(kind), fields)


def _gather(folder: Path, read: Callable[[int], Iterator[Told]]) -> Reading:
    answers: list[Told] = []
    try:
        with plainfile.open_folder(folder) as folder_fd:
            answers += read(folder_fd)
    except FileNotFoundError:
        return Reading(Source.DEVICE_INFO, is_absent=True)
    except OSError as error:
        answers.append(f"cannot list {folder}: {error.strerror}")
    return Reading(
        Source.DEVICE_INFO,
        statements=tuple(answer for answer in answers if isinstance(answer, Statement)),
        problems=tuple(answer for answer in answers if isinstance(answer, str)),
    )


@dataclass(frozen=True, slots=True)
class _FileOwner:
    networks: tuple[str, ...]
    ifname: str


def _cni_files(folder: Path, folder_fd: int, container_id: str) -> Iterator[Told]:
    for name in sorted(os.listdir(folder_fd)):
        if f"-{container_id}_" not in name:
            continue
        attachment_of = _attachment_by_owner(name)
        if container_id not in attachment_of:
            continue
        if len(attachment_of) > 1:
            owners = " or ".join(map(repr, attachment_of))
            yield f"cannot tell whose {_show_path(folder, name)} is: it fits container {owners}"
            continue
        attachment = attachment_of[container_id]
        network = attachment.networks[0] if len(attachment.networks) == 1 else None
        for answer in _read_file(folder, folder_fd, name):
            if isinstance(answer, Statement):
                yield replace(answer, network=network, interface=attachment.ifname)
            else:
                yield answer


def _attachment_by_owner(file_name: str) -> dict[str, _FileOwner]:
    """Return each possible split of `<namespace>-<NAD>-<container id>_<ifname>` by container id."""
    attachments = {}
    for end in (at for at, char in enumerate(file_name) if char == "_"):
        if not is_ifname(file_name[end + 1 :]):
            continue
        for start in (at for at, char in enumerate(file_name[:end]) if char == "-"):
            owner, networks = file_name[start + 1 : end], possible_networks(file_name[:start])
            if networks and is_container_id(owner):
                attachments[owner] = _FileOwner(tuple(networks), file_name[end + 1 :])
    return settle(attachments)


def _dp_files(
    folder: Path, folder_fd: int, allocations: tuple[tuple[str, str], ...]
) -> Iterator[Told]:
    for resource, device_id in allocations:
        name = f"{resource}-{device_id}-device.json".replace("/", "-")
        if not (name.isascii() and name.isprintable() and len(name) <= NAME_BYTES):
            yield f"cannot look for device {device_id!r} of {resource!r}: no file has such a name"
            continue
        device = parse_device_id(device_id)
        for answer in _read_file(folder, folder_fd, name):
            if not isinstance(answer, Statement):
                yield answer
            elif _is_of_another(answer, device):
                yield f"cannot use {_show_path(folder, name)}: it describes {answer.device}"
            else:
                yield replace(answer, resource=resource, device=device or answer.device)


def _is_of_another(statement: Statement, device: DeviceId | None) -> bool:
    """Compare PCI functions only: a sub-function's file may name its parent function."""
    is_pci = device is not None and device.bus is Bus.PCI
    return is_pci and statement.device is not None and statement.device != device


def _read_file(folder: Path, folder_fd: int, name: str) -> Iterator[Told]:
    try:
        yield parse_info(parse_object(plainfile.read(name, _FILE_BYTES, inside=folder_fd)))
    except FileNotFoundError:
        return  # none was written, or a concurrent DEL removed it
    except UnreadableError as error:
        yield f"cannot read {_show_path(folder, name)}: {error}"


def _parse_kind(kind: DeviceKind, fields: Fields) -> Statement:
    keys = fields.section(kind)
    address, pf = keys.pci_address("pci-address"), keys.pci_address("pf-pci-address")
    details = ((key, keys.plain(key)) for key in _DETAILS[kind])
    statement = Statement(
        Source.DEVICE_INFO,
        kind=kind,
        device=DeviceId(Bus.PCI, address) if address else None,
        pf=DeviceId(Bus.PCI, pf) if pf else None,
        rdma=keys.plain("rdma-device"),
        details=", ".join(f"{key} {value}" for key, value in details if value) or None,
    )
    if kind is DeviceKind.PCI and address is None and not keys.faults:
        raise UnreadableError("pci.pci-address is missing")
    if keys.faults:
        raise UnreadableError("; ".join(keys.faults))
    return statement


def _show_path(folder: Path, name: str) -> str:
    """Return a path in printable characters: a file name may be any bytes."""
    return ascii(str(folder / name))
