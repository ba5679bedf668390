"""Queries all sources about one pod, kubelet in parallel, and merges their readings."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from deviceinfo.checkpoint import read_checkpoint, read_registered
from deviceinfo.device import Bus, DeviceId
from deviceinfo.infofiles import read_cni_files, read_dp_files
from deviceinfo.merge import PodDevices, forget_ended, is_answered, merge, tie
from deviceinfo.multus import read_scratch
from deviceinfo.podresources import read_allocatable, read_claims, read_pod
from deviceinfo.results import read_results
from deviceinfo.sriovcni import read_cache
from deviceinfo.statement import Ask, PodRef, Reading, Sandbox, Source, Statement
from deviceinfo.sysfs import read_device

KUBELET_TIMEOUT_S: Final = 2.0
_GRACE_S: Final = 3.0  # for the import of grpc, which its deadline does not cover
_NOBODY: Final = PodRef("Nobody", "Nobody", "Nobody")
"""No pod, as names of Kubernetes have no capitals: all devices are those of others."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Places:
    """Paths on a node that the sources read."""

    sysfs: Path = Path("/sys")
    pod_resources: Path = Path("/var/lib/kubelet/pod-resources/kubelet.sock")
    checkpoint: Path = Path("/var/lib/kubelet/device-plugins/kubelet_internal_checkpoint")
    device_info: Path = Path("/var/run/k8s.cni.cncf.io/devinfo")
    multus: Path = Path("/var/lib/cni/multus")
    results: tuple[Path, ...] = (Path("/var/lib/cni/multus/results"), Path("/var/lib/cni/results"))
    sriov_cni: Path = Path("/var/lib/cni/sriov")


class Search:
    """One look-up: starts the kubelet query in the background, runs the rest in `conclude`."""

    def __init__(
        self, sandbox: Sandbox, places: Places, *, kubelet_timeout_s: float = KUBELET_TIMEOUT_S
    ) -> None:
        self._sandbox = sandbox
        self._places = places
        self._timeout_s = kubelet_timeout_s
        self._kubelet = Reading(Source.KUBELET, is_absent=True)
        self._thread: threading.Thread | None = None
        if sandbox.pod.name:
            late = f"kubelet has not answered within {kubelet_timeout_s} s"
            self._kubelet = Reading(Source.KUBELET, problems=(late,))
            self._thread = threading.Thread(target=self._ask_kubelet, name="kubelet", daemon=True)
            self._thread.start()

    def _ask_kubelet(self) -> None:
        ask = partial(read_pod, self._places.pod_resources, timeout_s=self._timeout_s)
        self._kubelet = _ask_guarded(Source.KUBELET, ask, self._sandbox.pod)

    def conclude(
        self, *handed_in: Reading, if_networks_lack_devices: Sequence[Ask] = ()
    ) -> PodDevices:
        """Read the files, wait for kubelet, and merge all with the readings `handed_in`.

        The sources in `if_networks_lack_devices` run only when a network has no known device.
        """
        readings = [*self._read_files(), *handed_in]
        if self._thread is not None:
            self._thread.join(self._timeout_s + _GRACE_S)
        readings = [self._kubelet, *readings]
        tied = tie(readings)
        if tied.lacks_devices:
            readings += [
                _ask_guarded(Source.API, ask, self._sandbox.pod) for ask in if_networks_lack_devices
            ]
            tied = tie(readings)
        if tied.has_unowned_devices and is_answered(self._kubelet):
            ask = partial(read_claims, self._places.pod_resources, timeout_s=self._timeout_s)
            listed = _ask_guarded(Source.KUBELET, ask, self._sandbox.pod)
            tied = tie([*forget_ended(readings, listed), listed])
        described = _ask_guarded(
            Source.DEVICE_INFO,
            partial(read_dp_files, self._places.device_info / "dp"),
            tied.allocated,
        )
        return merge(self._sandbox, tied, described, partial(read_device, self._places.sysfs))

    def _read_files(self) -> Iterator[Reading]:
        places, sandbox = self._places, self._sandbox
        ask = partial(read_checkpoint, places.checkpoint)
        yield _ask_guarded(Source.CHECKPOINT, ask, sandbox.pod)
        if not sandbox.container_id:
            return
        by_container: tuple[tuple[Source, Callable[[str], Reading]], ...] = (
            (Source.SRIOV_CNI, partial(_read_sriov_cni, places.sriov_cni, sandbox.netns)),
            (Source.DEVICE_INFO, partial(read_cni_files, places.device_info / "cni")),
            (Source.MULTUS, partial(read_scratch, places.multus)),
            (Source.RESULTS, partial(read_results, places.results)),
        )
        for source, read in by_container:
            yield _ask_guarded(source, read, sandbox.container_id)


def find_devices(
    sandbox: Sandbox,
    places: Places,
    *handed_in: Reading,
    kubelet_timeout_s: float = KUBELET_TIMEOUT_S,
) -> PodDevices:
    """Return the pod's devices from all sources of this node; their failures are problems."""
    return Search(sandbox, places, kubelet_timeout_s=kubelet_timeout_s).conclude(*handed_in)


def find_offered(
    places: Places, *, kubelet_timeout_s: float = KUBELET_TIMEOUT_S
) -> tuple[Reading, Reading]:
    """Return the devices that device plugins offer on this node, from kubelet and its checkpoint.

    They are statements without a pod; failures are problems.
    """
    ask = partial(read_allocatable, timeout_s=kubelet_timeout_s)
    return (
        _ask_guarded(Source.KUBELET, ask, places.pod_resources),
        _ask_guarded(Source.CHECKPOINT, read_registered, places.checkpoint),
    )


def find_claims(places: Places, *, kubelet_timeout_s: float = KUBELET_TIMEOUT_S) -> Reading:
    """Return which pod has which device of this node, as claims.

    They are kubelet's, or those of its checkpoint, by UID, where kubelet does not answer. Pods that
    have ended may be among them. Failures are problems.
    """
    ask = partial(read_claims, pod=_NOBODY, timeout_s=kubelet_timeout_s)
    kubelet = _ask_guarded(Source.KUBELET, ask, places.pod_resources)
    if is_answered(kubelet):
        return kubelet
    read = partial(read_checkpoint, pod=_NOBODY)
    return _ask_guarded(Source.CHECKPOINT, read, places.checkpoint)


def _ask_guarded(source: Source, ask: Callable[[T], Reading], about: T) -> Reading:
    """Run `ask`; any failure becomes a problem of that source."""
    try:
        return ask(about)
    except Exception as error:  # noqa: BLE001 - the other sources must still be read
        fault = f"cannot ask {source}: {type(error).__name__}: {error}"
        return Reading(source, problems=(fault,))


def _read_sriov_cni(folder: Path, netns: str, container_id: str) -> Reading:
    reading = read_cache(folder, container_id, netns=netns or None)
    statements = tuple(
        Statement(
            Source.SRIOV_CNI,
            device=DeviceId(Bus.PCI, entry.device_id),
            interface=entry.ifname,
            administrative_mac=entry.held_mac,
            details=entry.pf_name and f"VF {entry.vf_number} of {entry.pf_name}",
        )
        for entry in reading.entries
    )
    is_absent = not folder.exists()
    return Reading(Source.SRIOV_CNI, statements, problems=reading.problems, is_absent=is_absent)
