"""Reads the checkpoint of kubelet's device manager: kubelet_internal_checkpoint."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from deviceinfo import plainfile
from deviceinfo.device import DeviceId, parse_device_id
from deviceinfo.jsonfile import Fields, parse_object, some_of
from deviceinfo.plainfile import UnreadableError
from deviceinfo.statement import Claim, PodRef, Reading, Source, Statement

# 250 pods with a dozen allocations each, and the plugins' responses, are some 3 MB.
_FILE_BYTES: Final = 8 << 20
_ELEMENTS: Final = 1_000_000  # it is kubelet's own, and lists every device that plugins offer
_NUMA_NODE: Final = re.compile(r"-?[0-9]{1,9}")
_NO_NUMA_NODE: Final = "-1"  # nodeWithoutTopology in pkg/kubelet/cm/devicemanager/manager.go


def read_checkpoint(file: Path, pod: PodRef) -> Reading:
    """Read which devices kubelet allocated to the pod of this UID, and which to others.

    The devices of other UIDs are claims. Such a pod may have ended: kubelet forgets it only at its
    next allocation or query. Without the pod's UID its devices cannot be distinguished, which is a
    problem; where there is no pod at all, kubelet has nothing to say. The file is kubelet's own, in
    `/var/lib/kubelet/device-plugins`, and replaced atomically, so unknown fields in it are ignored.
    Its checksum depends on Go's types and is not verified. AllocResp is not read: its environment
    variables only repeat the devices. Up to Kubernetes 1.19 it has no NUMA nodes.

    Source: checkpoint.go and checkpointv1.go in pkg/kubelet/cm/devicemanager/checkpoint of
    Kubernetes.
    """
    try:
        entries = _read_entries(file)
    except FileNotFoundError:
        return Reading(Source.CHECKPOINT, is_absent=True)
    except UnreadableError as error:
        return _problem(f"cannot read {file}: {error}")
    if not (pod.uid or pod.name):  # the caller is no Kubernetes
        return Reading(Source.CHECKPOINT, is_absent=True)
    if not pod.uid:
        return _problem(f"cannot find pod {pod} in {file}: it names pods by UID; give the UID")
    return _distinguish(entries, pod.uid, file)


def read_registered(file: Path) -> Reading:
    """Read which healthy devices device plugins have registered, allocated or not.

    One statement per device; ids that do not have the form of a network device are ignored.
    Source: writeCheckpoint in pkg/kubelet/cm/devicemanager/manager.go of Kubernetes.
    """
    try:
        data = parse_object(plainfile.read(file, _FILE_BYTES), most_elements=_ELEMENTS).section(
            "Data"
        )
        registered = data.section("RegisteredDevices").members
    except FileNotFoundError:
        return Reading(Source.CHECKPOINT, is_absent=True)
    except UnreadableError as error:
        return _problem(f"cannot read {file}: {error}")
    if "RegisteredDevices" not in data.members:
        data.blame("RegisteredDevices", "an object of lists")
    faults = [*data.faults, *(f"{key} is no list" for key in _without_list(registered))]
    if faults:
        return _problem(f"cannot read all of {file}: {some_of(faults)}")
    return Reading(Source.CHECKPOINT, tuple(_list_registered(registered)))


def _without_list(registered: Mapping[str, object]) -> Iterator[str]:
    yield from (key for key, ids in registered.items() if not isinstance(ids, list | None))


def _list_registered(registered: Mapping[str, object]) -> Iterator[Statement]:
    for resource, ids in registered.items():
        for text in ids if isinstance(ids, list) else ():
            device = parse_device_id(text) if isinstance(text, str) else None
            if device:
                yield Statement(Source.CHECKPOINT, device=device, resource=resource)


def _problem(text: str) -> Reading:
    return Reading(Source.CHECKPOINT, problems=(text,))


def _read_entries(file: Path) -> list[Fields]:
    data = parse_object(plainfile.read(file, _FILE_BYTES), most_elements=_ELEMENTS).section("Data")
    entries = data.objects("PodDeviceEntries")
    if data.faults:
        raise UnreadableError(some_of(data.faults))
    return entries


def _distinguish(entries: list[Fields], uid: str, file: Path) -> Reading:
    statements: list[Statement] = []
    claims: list[Claim] = []
    faults: list[str] = []
    for entry in entries:
        owner, of_entry = entry.plain("PodUID"), list(_statements(entry))
        faults += entry.faults or ([] if owner else ["an entry has no PodUID"])
        if owner == uid:
            statements += of_entry
        elif owner:
            claims += [
                Claim(Source.CHECKPOINT, statement.device, f"pod UID {owner}")
                for statement in of_entry
                if statement.device
            ]
    return Reading(
        Source.CHECKPOINT,
        statements=tuple(statements),
        claims=tuple(dict.fromkeys(claims)),
        problems=(f"cannot read all of {file}: {some_of(faults)}",) if faults else (),
    )


def _statements(entry: Fields) -> Iterator[Statement]:
    """Return the entry's devices; none at all if a part of it is malformed."""
    resource, container = entry.plain("ResourceName"), entry.plain("ContainerName")
    allocated = list(_list_allocated(entry))
    for device, numa_node in () if entry.faults else allocated:
        yield Statement(
            Source.CHECKPOINT,
            device=device,
            resource=resource,
            container=container,
            numa_node=numa_node,
        )


def _list_allocated(entry: Fields) -> Iterator[tuple[DeviceId, int | None]]:
    """Yield devices and NUMA nodes; an id that is no network device is ignored."""
    by_node = entry.members.get("DeviceIDs") or {}
    if isinstance(by_node, list):  # up to Kubernetes 1.19
        by_node = {_NO_NUMA_NODE: by_node}
    if not isinstance(by_node, dict):
        entry.blame("DeviceIDs", "an object of lists")
        return
    for node, ids in by_node.items():
        if not _NUMA_NODE.fullmatch(node) or not isinstance(ids, list | None):
            entry.blame("DeviceIDs", "lists by NUMA node")
            return
        devices = (parse_device_id(text) for text in ids or () if isinstance(text, str))
        numa_node = int(node) if int(node) >= 0 else None
        yield from ((device, numa_node) for device in devices if device)
