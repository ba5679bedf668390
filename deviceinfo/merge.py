"""Merges all sources' readings of one pod: its devices, and the sources' disagreements. Pure."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from operator import attrgetter
from typing import Final, TypeVar

from deviceinfo.device import Device, DeviceId
from deviceinfo.statement import (
    Claim,
    DeviceKind,
    NetworkRequest,
    PodRef,
    Reading,
    Sandbox,
    Source,
    Statement,
)

# They describe devices, or where these are, not to which pod they were allocated.
_DESCRIBING: Final = frozenset({Source.SYSFS, Source.NAMESPACE})
# They know every device that kubelet allocated to the pod; the others repeat a part of it.
_ALLOCATING: Final = frozenset({Source.KUBELET, Source.CHECKPOINT})
# Statement's fields that two sources of one device may disagree on.
_COMPARED: Final = ("resource", "network", "interface", "container", "kind", "pf", "numa_node")
_CLAIM_OF_DRA: Final = "claim "

_OF_DEVICE: Final = attrgetter("device")  # a function would cost an ADD hundreds of calls

K = TypeVar("K")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AllocatedDevice:
    """One device of the pod; each field is from the first source that has it, in Source's order.

    `device` is None when sysfs has no such device; `claims` are other pods that have it, too.
    """

    id: DeviceId
    device: Device | None
    statements: tuple[Statement, ...]
    claims: tuple[Claim, ...] = ()

    @property
    def resource(self) -> str | None:
        """The extended resource by which it was allocated."""
        return _first(statement.resource for statement in self.statements)

    @property
    def network(self) -> str | None:
        """The NetworkAttachmentDefinition that requested it."""
        return _first(statement.network for statement in self.statements)

    @property
    def container(self) -> str | None:
        """The container that it was allocated to."""
        return _first(statement.container for statement in self.statements)

    @property
    def interface(self) -> str | None:
        """Its interface in the pod; its observed name before its intended one."""
        in_namespace = (
            statement.interface
            for statement in self.statements
            if statement.source is Source.NAMESPACE
        )
        return _first(in_namespace) or _first(statement.interface for statement in self.statements)

    @property
    def administrative_mac(self) -> str | None:
        """The MAC that its PF is known to enforce."""
        return _first(statement.administrative_mac for statement in self.statements)

    @property
    def kind(self) -> DeviceKind:
        """Its device-info type."""
        return _first(statement.kind for statement in self.statements) or DeviceKind.PCI

    @property
    def is_allocated(self) -> bool:
        """Whether kubelet or its checkpoint lists it as allocated to the pod."""
        return any(statement.source in _ALLOCATING for statement in self.statements)

    @property
    def sources(self) -> tuple[Source, ...]:
        """The sources that list it as the pod's."""
        sources = (
            statement.source for statement in self.statements if statement.source not in _DESCRIBING
        )
        return tuple(dict.fromkeys(sources))


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Different values for a device or an interface, by source; at least two differ."""

    about: str
    field: str
    said: tuple[tuple[Source, str], ...]

    def __str__(self) -> str:
        per_source = "; ".join(f"{value}, says {source}" for source, value in self.said)
        return f"the sources disagree about {self.about}: {self.field} is {per_source}"


@dataclass(frozen=True, slots=True)
class PodDevices:
    """The merged devices; `loose` are statements on networks without a known device."""

    sandbox: Sandbox
    devices: tuple[AllocatedDevice, ...] = ()
    loose: tuple[Statement, ...] = ()
    networks: tuple[NetworkRequest, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()
    readings: tuple[Reading, ...] = ()

    @property
    def pod(self) -> PodRef:
        """The pod they are allocated to."""
        return self.sandbox.pod

    @property
    def is_known(self) -> bool:
        """Whether any source knows the pod's devices."""
        return any(device.sources for device in self.devices)

    @property
    def problems(self) -> tuple[str, ...]:
        """What the sources could not read, as texts."""
        return tuple(problem for reading in self.readings for problem in reading.problems)

    def is_foreign(self, device: AllocatedDevice) -> bool:
        """Return whether kubelet allocated the device to other pods only, whatever others say."""
        if not device.claims or device.is_allocated:
            return False
        return any(is_answered(reading) for reading in self.readings)

    def get(self, address: str) -> AllocatedDevice | None:
        """Return the device at the address."""
        return next((device for device in self.devices if device.id.address == address), None)


@dataclass(frozen=True, slots=True)
class Tied:
    """The sources' statements, each joined with its device if any source names one."""

    readings: tuple[Reading, ...]
    with_device: tuple[Statement, ...]
    loose: tuple[Statement, ...]

    @property
    def allocated(self) -> list[tuple[str, str]]:
        """Resource and device id of each allocation."""
        allocations = {
            (statement.resource, str(statement.device))
            for statement in self.with_device
            if statement.resource
        }
        return sorted((resource, device) for resource, device in allocations if resource)

    @property
    def lacks_devices(self) -> bool:
        """Whether a network has a resource, and no source names its device."""
        return any(statement.resource and not statement.kind for statement in self.loose)

    @property
    def has_unowned_devices(self) -> bool:
        """Whether kubelet lists a device neither as the pod's nor as another's.

        Its checkpoint does not count for others: it may list a pod that has ended.
        """
        known_devices = {
            statement.device for statement in self.with_device if statement.source in _ALLOCATING
        }
        known_devices |= {
            claim.device
            for reading in self.readings
            if reading.source is not Source.CHECKPOINT
            for claim in reading.claims
        }
        return any(statement.device not in known_devices for statement in self.with_device)


def tie(readings: Sequence[Reading]) -> Tied:
    """Join the statements about devices with those about networks and interfaces."""
    settled = _settle_owners(readings)
    with_device, loose = _join_devices(
        [statement for reading in settled for statement in reading.statements]
    )
    return Tied(tuple(settled), tuple(with_device), tuple(loose))


def forget_ended(readings: Sequence[Reading], listed: Reading) -> list[Reading]:
    """Drop what the checkpoint says of devices that kubelet, asked for all pods, lists of none.

    Nothing is dropped where kubelet has not answered, or several pods have one name.
    """
    if not is_answered(listed) or any(reading.is_ambiguous for reading in (*readings, listed)):
        return list(readings)
    devices = {claim.device for claim in listed.claims}
    return [
        replace(reading, claims=tuple(claim for claim in reading.claims if claim.device in devices))
        if reading.source is Source.CHECKPOINT
        else reading
        for reading in readings
    ]


def merge(
    sandbox: Sandbox, tied: Tied, described: Reading, look: Callable[[DeviceId], Device | None]
) -> PodDevices:
    """Return the devices; `described` adds facts to the joined ones, `look` reads sysfs."""
    statements = [
        *tied.with_device,
        *(statement for statement in described.statements if statement.device),
    ]
    by_device: dict[DeviceId, list[Statement]] = _group(statements, _OF_DEVICE)
    all_claims = [claim for reading in tied.readings for claim in reading.claims]
    claims: dict[DeviceId, list[Claim]] = _group(all_claims, _OF_DEVICE)
    devices = tuple(
        _device(id_, look(id_), by_device[id_], claims.get(id_, ())) for id_ in sorted(by_device)
    )
    return PodDevices(
        sandbox=sandbox,
        devices=devices,
        loose=tied.loose,
        networks=next((reading.networks for reading in tied.readings if reading.networks), ()),
        disagreements=tuple(_disagreements(devices, tied.readings)),
        readings=(*tied.readings, described),
    )


def _device(
    id_: DeviceId, device: Device | None, by_sources: Sequence[Statement], claims: Sequence[Claim]
) -> AllocatedDevice:
    statements = [*by_sources, *([_of_sysfs(device)] if device else [])]
    order = list(Source)
    statements.sort(key=lambda statement: order.index(statement.source))
    return AllocatedDevice(id_, device, tuple(statements), tuple(claims))


def _group(items: Iterable[T], key: Callable[[T], K | None]) -> dict[K, list[T]]:
    """Return the items by their keys, without those that have none: a pod may name thousands."""
    groups: defaultdict[K, list[T]] = defaultdict(list)
    for item in items:
        value = key(item)
        if value:
            groups[value].append(item)
    return groups


def _of_sysfs(device: Device) -> Statement:
    return Statement(
        Source.SYSFS,
        device=device.id,
        kind=DeviceKind.VDPA if device.vdpa else None,
        pf=device.pf,
        driver=device.driver,
        numa_node=device.numa_node,
        rdma=", ".join(device.rdma) or None,
    )


def _settle_owners(readings: Sequence[Reading]) -> list[Reading]:
    """Drop kubelet's entries of another pod of this name, if the checkpoint can distinguish them.

    Pods of one name differ in their UID, which only the checkpoint has.
    """
    checkpoint = next(
        (
            reading
            for reading in readings
            if reading.source is Source.CHECKPOINT and reading.statements
        ),
        None,
    )
    if checkpoint is None:
        return list(readings)
    ours = {statement.device for statement in checkpoint.statements}
    theirs = {claim.device for claim in checkpoint.claims} - ours
    return [
        replace(
            reading,
            statements=tuple(
                statement for statement in reading.statements if statement.device not in theirs
            ),
        )
        if reading.is_ambiguous
        else reading
        for reading in readings
    ]


def _join_devices(statements: Sequence[Statement]) -> tuple[list[Statement], list[Statement]]:
    """Join statements on an interface or a network with their device; return the loose ones too."""
    with_device = [statement for statement in statements if statement.device]
    if len(with_device) == len(statements):
        return with_device, []
    interfaces = _devices_by(with_device, attrgetter("interface"))
    networks = _devices_by(with_device, attrgetter("network"))
    loose = []
    for statement in statements:
        if statement.device:
            continue
        device = _only(interfaces.get(statement.interface or "")) or _only(
            networks.get(statement.network or "")
        )
        if device:
            with_device.append(replace(statement, device=device))
        else:
            loose.append(statement)
        for groups, name in ((interfaces, statement.interface), (networks, statement.network)):
            if device and name:
                groups.setdefault(name, set()).add(device)
    return _by_order(with_device, loose)


def _devices_by(
    statements: Iterable[Statement], key: Callable[[Statement], str | None]
) -> dict[str, set[DeviceId | None]]:
    groups = _group(statements, key)
    return {value: {statement.device for statement in alike} for value, alike in groups.items()}


def _by_order(
    with_device: list[Statement], loose: list[Statement]
) -> tuple[list[Statement], list[Statement]]:
    """Join a network that names only its resource with its device, as Multus would.

    Multus assigns the devices of a resource to its networks in lexical order of the ids
    (SortDeviceIDs, pkg/types/types.go).
    """
    of_resources = _devices_by(with_device, attrgetter("resource"))
    in_use = {statement.device for statement in with_device if statement.network}
    for resource, networks in _group(loose, attrgetter("resource")).items():
        free = sorted(of_resources.get(resource, set()) - in_use - {None}, key=str)
        if len(free) == len(networks):
            with_device += [
                replace(statement, device=to) for statement, to in zip(networks, free, strict=True)
            ]
            in_use.update(to for joined, to in zip(networks, free, strict=True) if joined.network)
    tied = {(statement.source, statement.network, statement.interface) for statement in with_device}
    rest = [
        statement
        for statement in loose
        if (statement.source, statement.network, statement.interface) not in tied
    ]
    return with_device, rest


def _only(devices: Collection[DeviceId | None] | None) -> DeviceId | None:
    return next(iter(devices)) if devices and len(devices) == 1 else None


def _disagreements(
    devices: Sequence[AllocatedDevice], readings: Sequence[Reading]
) -> Iterator[Disagreement]:
    for device in devices:
        for field in _COMPARED:
            yield from _contradictions(device.id, field, _values(device.statements, field))
        yield from _unknown_to(device, readings)
    by_interface: dict[str, list[tuple[Source, str]]] = {}
    for device in devices:
        for statement in device.statements:
            if statement.interface:
                by_interface.setdefault(statement.interface, []).append(
                    (statement.source, str(device.id))
                )
    for interface, answers in by_interface.items():
        yield from _contradictions(interface, "its device", answers)


def _values(statements: Sequence[Statement], field: str) -> list[tuple[Source, str]]:
    """Return each source's value, without those that differ only in form."""
    values = [(statement.source, getattr(statement, field)) for statement in statements]
    answers = [(source, str(value)) for source, value in values if value is not None]
    if field == "resource":  # a DRA device has a claim, and the driver's resource name
        return [answer for answer in answers if not answer[1].startswith(_CLAIM_OF_DRA)]
    if field == "network" and any("/" in value for _, value in answers):
        # libcni's results have the network's name in its configuration, which may be any
        return [answer for answer in answers if "/" in answer[1]]
    return answers


def _contradictions(
    about: object, field: str, answers: Sequence[tuple[Source, str]]
) -> Iterator[Disagreement]:
    if len(answers) < 2:  # noqa: PLR2004 - it takes two
        return
    distinct = tuple(dict.fromkeys(answers))
    by_source: dict[Source, set[str]] = {}
    for source, value in distinct:
        by_source.setdefault(source, set()).add(value)
    # one source may name several: the containers of a pod, the ports of a device
    if any(not values & other for values, other in combinations(by_source.values(), 2)):
        yield Disagreement(str(about), field, distinct)


def is_answered(reading: Reading) -> bool:
    """Return whether kubelet or its checkpoint knows the pod; the latter only pods with devices."""
    if reading.source is Source.KUBELET:
        return bool(reading.statements) or not (reading.is_absent or reading.problems)
    return reading.source is Source.CHECKPOINT and bool(reading.statements)


def _unknown_to(device: AllocatedDevice, readings: Sequence[Reading]) -> Iterator[Disagreement]:
    """Yield the allocating sources that know the pod but not this device."""
    resource, sources = device.resource, device.sources
    if not resource or resource.startswith(_CLAIM_OF_DRA) or not sources:
        return
    for reading in readings:
        knows_all = reading.source in _ALLOCATING and is_answered(reading)
        if not knows_all or reading.source in sources:
            continue
        answers = ((sources[0], "the pod's"), (reading.source, "not the pod's"))
        yield Disagreement(str(device.id), "it", answers)


def _first(values: Iterable[T | None]) -> T | None:
    return next((value for value in values if value is not None), None)
