"""Puts together what all sources said of one pod: its devices, and where sources disagree. Pure."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final, TypeVar

from deviceinfo.device import Device, DeviceId
from deviceinfo.statement import Claim, Kind, NetworkRequest, PodRef, Reading, Source, Statement

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
        return _first(one.resource for one in self.statements)

    @property
    def network(self) -> str | None:
        """The NetworkAttachmentDefinition that asked for it."""
        return _first(one.network for one in self.statements)

    @property
    def container(self) -> str | None:
        """The container that it was allocated to."""
        return _first(one.container for one in self.statements)

    @property
    def interface(self) -> str | None:
        """Its interface in the pod; where it stands counts more than where it was put."""
        standing = (one.interface for one in self.statements if one.source is Source.NAMESPACE)
        return _first(standing) or _first(one.interface for one in self.statements)

    @property
    def administrative_mac(self) -> str | None:
        """The MAC that its PF is known to hold it to."""
        return _first(one.administrative_mac for one in self.statements)

    @property
    def kind(self) -> Kind:
        """What it is to its user."""
        return _first(one.kind for one in self.statements) or Kind.PCI

    @property
    def is_allocated(self) -> bool:
        """True where kubelet or its checkpoint says that the pod was given it."""
        return any(one.source in _ALLOCATING for one in self.statements)

    @property
    def sources(self) -> tuple[Source, ...]:
        """Who says that the pod was given it."""
        said = (one.source for one in self.statements if one.source not in _DESCRIBING)
        return tuple(dict.fromkeys(said))


@dataclass(frozen=True, slots=True)
class Disagreement:
    """What sources say differently about a device or an interface; at least two values differ."""

    about: str
    field: str
    said: tuple[tuple[Source, str], ...]

    def __str__(self) -> str:
        told = "; ".join(f"{value}, says {source}" for source, value in self.said)
        return f"the sources disagree about {self.about}: {self.field} is {told}"


@dataclass(frozen=True, slots=True)
class PodDevices:
    """All that was found; `loose` are statements on networks whose device nobody names."""

    pod: PodRef
    devices: tuple[AllocatedDevice, ...] = ()
    loose: tuple[Statement, ...] = ()
    networks: tuple[NetworkRequest, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()
    readings: tuple[Reading, ...] = ()

    @property
    def is_told(self) -> bool:
        """True where some source says what the pod was given."""
        return any(one.sources for one in self.devices)

    @property
    def problems(self) -> tuple[str, ...]:
        """What the sources could not read, in words."""
        return tuple(problem for reading in self.readings for problem in reading.problems)

    def is_foreign(self, device: AllocatedDevice) -> bool:
        """Tell that kubelet gave the device to other pods only, whatever others say of it."""
        if not device.claims or device.is_allocated:
            return False
        return any(is_answered(one) for one in self.readings)

    def get(self, address: str) -> AllocatedDevice | None:
        """Return the device at the address."""
        return next((one for one in self.devices if one.id.address == address), None)


@dataclass(frozen=True, slots=True)
class Tied:
    """What the sources said, each statement with its device where any of them names one."""

    readings: tuple[Reading, ...]
    told: tuple[Statement, ...]
    loose: tuple[Statement, ...]

    @property
    def allocated(self) -> list[tuple[str, str]]:
        """Resource and device id of each allocation."""
        given = {(one.resource, str(one.device)) for one in self.told if one.resource}
        return sorted((resource, device) for resource, device in given if resource)

    @property
    def lacks_devices(self) -> bool:
        """True where a network has a resource, and nobody names its device."""
        return any(one.resource and not one.kind for one in self.loose)

    @property
    def has_strangers(self) -> bool:
        """True where there is a device of which kubelet says neither that it is ours nor whose."""
        known = {one.device for one in self.told if one.source in _ALLOCATING}
        known |= {claim.device for reading in self.readings for claim in reading.claims}
        return any(one.device not in known for one in self.told)


def tie(readings: Sequence[Reading]) -> Tied:
    """Bring together who speaks of a device and who of a network or an interface."""
    settled = _settled(readings)
    told, loose = _joined([one for reading in settled for one in reading.statements])
    return Tied(tuple(settled), tuple(told), tuple(loose))


def merge(
    pod: PodRef, tied: Tied, described: Reading, look: Callable[[DeviceId], Device | None]
) -> PodDevices:
    """Return the devices; `described` says more of those that are tied, `look` asks sysfs."""
    told = [*tied.told, *(one for one in described.statements if one.device)]
    claims = [claim for reading in tied.readings for claim in reading.claims]
    devices = tuple(
        _device(id_, look(id_), [one for one in told if one.device == id_], claims)
        for id_ in sorted({one.device for one in told if one.device})
    )
    return PodDevices(
        pod=pod,
        devices=devices,
        loose=tied.loose,
        networks=next((one.networks for one in tied.readings if one.networks), ()),
        disagreements=tuple(_disagreements(devices, tied.readings)),
        readings=(*tied.readings, described),
    )


def _device(
    id_: DeviceId, device: Device | None, told: Sequence[Statement], claims: Sequence[Claim]
) -> AllocatedDevice:
    statements = [*told, *([_of_sysfs(device)] if device else [])]
    order = list(Source)
    statements.sort(key=lambda one: order.index(one.source))
    own_claims = tuple(one for one in claims if one.device == id_)
    return AllocatedDevice(id_, device, tuple(statements), own_claims)


def _of_sysfs(device: Device) -> Statement:
    return Statement(
        Source.SYSFS,
        device=device.id,
        kind=Kind.VDPA if device.vdpa else None,
        pf=device.pf,
        driver=device.driver,
        numa_node=device.numa_node,
        rdma=", ".join(device.rdma) or None,
    )


def _settled(readings: Sequence[Reading]) -> list[Reading]:
    """Leave out what the kubelet says of another pod of this name, where the checkpoint can tell.

    Pods of one name are told apart by the UID, which only the checkpoint has.
    """
    kept = next(
        (one for one in readings if one.source is Source.CHECKPOINT and one.statements), None
    )
    if kept is None:
        return list(readings)
    ours = {one.device for one in kept.statements}
    theirs = {claim.device for claim in kept.claims} - ours
    return [
        replace(one, statements=tuple(said for said in one.statements if said.device not in theirs))
        if one.is_ambiguous
        else one
        for one in readings
    ]


def _joined(statements: Sequence[Statement]) -> tuple[list[Statement], list[Statement]]:
    """Give statements on an interface or a network their device; return also the loose ones."""
    told = [one for one in statements if one.device]
    loose = []
    for one in statements:
        if one.device:
            continue
        device = _only(
            {other.device for other in told if one.interface and other.interface == one.interface}
        ) or _only({other.device for other in told if one.network and other.network == one.network})
        if device:
            told.append(replace(one, device=device))
        else:
            loose.append(one)
    return _by_order(told, loose)


def _by_order(
    told: list[Statement], loose: list[Statement]
) -> tuple[list[Statement], list[Statement]]:
    """Tie a network that names only its resource to its device, as Multus would.

    Multus gives the networks of one resource its devices in the order of the ids' texts
    (SortDeviceIDs, pkg/types/types.go).
    """
    for resource in {one.resource for one in loose if one.resource}:
        given = {one.device for one in told if one.resource == resource and one.device}
        taken = {one.device for one in told if one.network and one.device in given}
        free = sorted(given - taken, key=str)
        networks = [one for one in loose if one.resource == resource]
        if len(free) == len(networks):
            told += [replace(one, device=to) for one, to in zip(networks, free, strict=True)]
    tied = {(one.source, one.network, one.interface) for one in told}
    rest = [one for one in loose if (one.source, one.network, one.interface) not in tied]
    return told, rest


def _only(found: set[DeviceId | None]) -> DeviceId | None:
    return next(iter(found)) if len(found) == 1 else None


def _disagreements(
    devices: Sequence[AllocatedDevice], readings: Sequence[Reading]
) -> Iterator[Disagreement]:
    for device in devices:
        for field in _COMPARED:
            yield from _contradictions(device.id, field, _values(device.statements, field))
        yield from _unknown_to(device, readings)
    by_interface: dict[str, list[tuple[Source, str]]] = {}
    for device in devices:
        for one in device.statements:
            if one.interface:
                by_interface.setdefault(one.interface, []).append((one.source, str(device.id)))
    for interface, said in by_interface.items():
        yield from _contradictions(interface, "its device", said)


def _values(statements: Sequence[Statement], field: str) -> list[tuple[Source, str]]:
    """Return what each source says, without what it says in another way of the same thing."""
    said = [(one.source, getattr(one, field)) for one in statements]
    given = [(source, str(value)) for source, value in said if value is not None]
    if field == "resource":  # a device of DRA has a claim, and the driver's resource name
        return [one for one in given if not one[1].startswith(_CLAIM_OF_DRA)]
    if field == "network" and any("/" in value for _, value in given):
        # libcni's results know a network by the name in its configuration, which may be any
        return [one for one in given if "/" in one[1]]
    return given


def _contradictions(
    about: object, field: str, said: Sequence[tuple[Source, str]]
) -> Iterator[Disagreement]:
    if len(said) < 2:  # noqa: PLR2004 - it takes two
        return
    told = tuple(dict.fromkeys(said))
    by_source: dict[Source, set[str]] = {}
    for source, value in told:
        by_source.setdefault(source, set()).add(value)
    # one source may name several: the containers of a pod, the ports of a device
    if any(not one & other for one, other in combinations(by_source.values(), 2)):
        yield Disagreement(str(about), field, told)


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
        said = ((sources[0], "the pod's"), (reading.source, "not the pod's"))
        yield Disagreement(str(device.id), "it", said)


def _first(values: Iterable[T | None]) -> T | None:
    return next((value for value in values if value is not None), None)
