"""Puts together what all sources said of one pod: its devices, and where sources disagree. Pure."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
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

# They tell what a device is or where it stands, not to whom it was given.
_DESCRIBING: Final = frozenset({Source.SYSFS, Source.NAMESPACE})
# They know of every device that kubelet gave the pod; the others repeat what they were told.
_ALLOCATING: Final = frozenset({Source.KUBELET, Source.CHECKPOINT})
# Statement's fields in which two sources can contradict each other about one device.
_COMPARED: Final = ("resource", "network", "interface", "container", "kind", "pf", "numa_node")
_CLAIM_OF_DRA: Final = "claim "

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AllocatedDevice:
    """One device of the pod; each fact is the first that a source states, in Source's order.

    `device` is None where sysfs has no such device; `claims` are other pods that have it, too.
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
        """The NetworkAttachmentDefinition that asked for it."""
        return _first(statement.network for statement in self.statements)

    @property
    def container(self) -> str | None:
        """The container that it was allocated to."""
        return _first(statement.container for statement in self.statements)

    @property
    def interface(self) -> str | None:
        """Its interface in the pod; where it stands counts more than where it was put."""
        in_namespace = (
            statement.interface
            for statement in self.statements
            if statement.source is Source.NAMESPACE
        )
        return _first(in_namespace) or _first(statement.interface for statement in self.statements)

    @property
    def administrative_mac(self) -> str | None:
        """The MAC that its PF is known to hold it to."""
        return _first(statement.administrative_mac for statement in self.statements)

    @property
    def kind(self) -> DeviceKind:
        """What it is to its user."""
        return _first(statement.kind for statement in self.statements) or DeviceKind.PCI

    @property
    def is_allocated(self) -> bool:
        """True where kubelet or its checkpoint says that the pod was given it."""
        return any(statement.source in _ALLOCATING for statement in self.statements)

    @property
    def sources(self) -> tuple[Source, ...]:
        """Who says that the pod was given it."""
        sources = (
            statement.source for statement in self.statements if statement.source not in _DESCRIBING
        )
        return tuple(dict.fromkeys(sources))


@dataclass(frozen=True, slots=True)
class Disagreement:
    """What sources say differently about a device or an interface; at least two values differ."""

    about: str
    field: str
    said: tuple[tuple[Source, str], ...]

    def __str__(self) -> str:
        per_source = "; ".join(f"{value}, says {source}" for source, value in self.said)
        return f"the sources disagree about {self.about}: {self.field} is {per_source}"


@dataclass(frozen=True, slots=True)
class PodDevices:
    """All that was found; `loose` are statements on networks whose device nobody names."""

    sandbox: Sandbox
    devices: tuple[AllocatedDevice, ...] = ()
    loose: tuple[Statement, ...] = ()
    networks: tuple[NetworkRequest, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()
    readings: tuple[Reading, ...] = ()

    @property
    def pod(self) -> PodRef:
        """Whose they are."""
        return self.sandbox.pod

    @property
    def is_told(self) -> bool:
        """True where some source says what the pod was given."""
        return any(device.sources for device in self.devices)

    @property
    def problems(self) -> tuple[str, ...]:
        """What the sources could not read, in words."""
        return tuple(problem for reading in self.readings for problem in reading.problems)

    def is_foreign(self, device: AllocatedDevice) -> bool:
        """Tell that kubelet gave the device to other pods only, whatever others say of it."""
        if not device.claims or device.is_allocated:
            return False
        return any(is_answered(reading) for reading in self.readings)

    def get(self, address: str) -> AllocatedDevice | None:
        """Return the device at the address."""
        return next((device for device in self.devices if device.id.address == address), None)


@dataclass(frozen=True, slots=True)
class Tied:
    """What the sources said, each statement with its device where any of them names one."""

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
        """True where a network has a resource, and nobody names its device."""
        return any(statement.resource and not statement.kind for statement in self.loose)

    @property
    def has_strangers(self) -> bool:
        """True where there is a device of which kubelet says neither that it is ours nor whose."""
        known_devices = {
            statement.device for statement in self.with_device if statement.source in _ALLOCATING
        }
        known_devices |= {claim.device for reading in self.readings for claim in reading.claims}
        return any(statement.device not in known_devices for statement in self.with_device)


def tie(readings: Sequence[Reading]) -> Tied:
    """Bring together who speaks of a device and who of a network or an interface."""
    settled = _settle_owners(readings)
    with_device, loose = _join_devices(
        [statement for reading in settled for statement in reading.statements]
    )
    return Tied(tuple(settled), tuple(with_device), tuple(loose))


def merge(
    sandbox: Sandbox, tied: Tied, described: Reading, look: Callable[[DeviceId], Device | None]
) -> PodDevices:
    """Return the devices; `described` says more of those that are tied, `look` asks sysfs."""
    statements = [
        *tied.with_device,
        *(statement for statement in described.statements if statement.device),
    ]
    claims = [claim for reading in tied.readings for claim in reading.claims]
    devices = tuple(
        _device(
            id_,
            look(id_),
            [statement for statement in statements if statement.device == id_],
            claims,
        )
        for id_ in sorted({statement.device for statement in statements if statement.device})
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
    own_claims = tuple(claim for claim in claims if claim.device == id_)
    return AllocatedDevice(id_, device, tuple(statements), own_claims)


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
    """Leave out what the kubelet says of another pod of this name, where the checkpoint can tell.

    Pods of one name are told apart by the UID, which only the checkpoint has.
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
    """Give statements on an interface or a network their device; return also the loose ones."""
    with_device = [statement for statement in statements if statement.device]
    loose = []
    for statement in statements:
        if statement.device:
            continue
        device = _only(
            {
                other.device
                for other in with_device
                if statement.interface and other.interface == statement.interface
            }
        ) or _only(
            {
                other.device
                for other in with_device
                if statement.network and other.network == statement.network
            }
        )
        if device:
            with_device.append(replace(statement, device=device))
        else:
            loose.append(statement)
    return _by_order(with_device, loose)


def _by_order(
    with_device: list[Statement], loose: list[Statement]
) -> tuple[list[Statement], list[Statement]]:
    """Tie a network that names only its resource to its device, as Multus would.

    Multus gives the networks of one resource its devices in the order of the ids' texts
    (SortDeviceIDs, pkg/types/types.go).
    """
    for resource in {statement.resource for statement in loose if statement.resource}:
        of_resource = {
            statement.device
            for statement in with_device
            if statement.resource == resource and statement.device
        }
        in_use = {
            statement.device
            for statement in with_device
            if statement.network and statement.device in of_resource
        }
        free = sorted(of_resource - in_use, key=str)
        networks = [statement for statement in loose if statement.resource == resource]
        if len(free) == len(networks):
            with_device += [
                replace(statement, device=to) for statement, to in zip(networks, free, strict=True)
            ]
    tied = {(statement.source, statement.network, statement.interface) for statement in with_device}
    rest = [
        statement
        for statement in loose
        if (statement.source, statement.network, statement.interface) not in tied
    ]
    return with_device, rest


def _only(devices: set[DeviceId | None]) -> DeviceId | None:
    return next(iter(devices)) if len(devices) == 1 else None


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
    """Return what each source says, without what it says in another way of the same thing."""
    values = [(statement.source, getattr(statement, field)) for statement in statements]
    answers = [(source, str(value)) for source, value in values if value is not None]
    if field == "resource":  # a device of DRA has a claim, and the driver's resource name
        return [answer for answer in answers if not answer[1].startswith(_CLAIM_OF_DRA)]
    if field == "network" and any("/" in value for _, value in answers):
        # libcni's results know a network by the name in its configuration, which may be any
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
    """Tell that kubelet or its checkpoint knows the pod; the checkpoint has those with devices."""
    if reading.source is Source.KUBELET:
        return bool(reading.statements) or not (reading.is_absent or reading.problems)
    return reading.source is Source.CHECKPOINT and bool(reading.statements)


def _unknown_to(device: AllocatedDevice, readings: Sequence[Reading]) -> Iterator[Disagreement]:
    """Name who knows what the pod was given, and does not know of this device."""
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
