"""The node's preconditions for an ADD, one probe each."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sriovbond.bond import rules
from sriovbond.bond.rules import Finding, Rule
from sriovbond.host import Host

_LEAST_ROOM_BYTES = 256 * 1024  # most records have 10 KiB
_MODULE_LISTS = ("modules.dep", "modules.builtin")
_MIB = 1 << 20
_THIN_ADD_BYTES = 31 * _MIB  # where kubelet is queried, which imports grpc
_LEAST_LIMIT_BYTES = 64 * _MIB  # one ADD beside a Multus daemon of 20 to 30 MiB


@dataclass(frozen=True, slots=True)
class Probe:
    """One precondition; `reasons` yields why it is not met."""

    rule: Rule
    reasons: Callable[[Host], Iterator[str]]


def reasons_against_add(host: Host) -> list[Finding]:
    """Return every reason why an ADD would fail now; reads only."""
    return [probe.rule.finding(reason) for probe in PROBES for reason in probe.reasons(host)]


def _bonding_driver(host: Host) -> Iterator[str]:
    if (host.places.sysfs / "module/bonding").is_dir():
        return
    folder = host.modules / os.uname().release
    for name in _MODULE_LISTS:
        try:
            if "/bonding.ko" in (folder / name).read_text(encoding="utf-8", errors="replace"):
                return
        except OSError:
            continue
    yield f"the kernel has no bonding driver, loaded or to be loaded from {str(folder)!r}"


def _state_folder(host: Host) -> Iterator[str]:
    try:
        yield from _faults_of(host.state)
    except OSError as error:
        yield (
            f"{str(host.state)!r} cannot be looked at: {error.strerror}, and the records go there"
        )


def _faults_of(folder: Path) -> Iterator[str]:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not os.access(folder, os.W_OK | os.X_OK):
        yield f"{str(folder)!r} cannot be written, and the records go there"
        return
    room = os.statvfs(folder)
    free_bytes = room.f_bfree * room.f_frsize
    if free_bytes < _LEAST_ROOM_BYTES or (room.f_files and not room.f_ffree):
        yield (
            f"{str(folder)!r} has room for {free_bytes // 1024} KiB and {room.f_ffree} files, and "
            "the records go there"
        )


def _privilege(_: Host) -> Iterator[str]:
    if os.geteuid():
        yield f"the plugin runs as user {os.geteuid()}"


def _memory_limit(host: Host) -> Iterator[str]:
    """In thin mode each call's memory counts for the runtime, or Multus' daemon."""
    limit = None if host.is_agent else min(_limits(host), default=None)
    if limit is not None and limit < _LEAST_LIMIT_BYTES:
        yield (
            f"an ADD takes {_THIN_ADD_BYTES // _MIB} MiB, and whoever calls the plugin may have "
            f"{limit // _MIB} MiB in all, so the kernel would kill one of them"
        )


def _limits(host: Host) -> Iterator[int]:
    """Yield the memory limits of this process's cgroup and its parents, as far as visible."""
    try:
        lines = (host.proc / "self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        controllers, _, group = line.partition(":")[2].partition(":")
        if not group or ".." in PurePosixPath(group).parts:
            continue  # "..": outside of this cgroup namespace
        if controllers == "":
            yield from _limits_above(host.cgroups, group, "memory.max")
        elif "memory" in controllers.split(","):
            yield from _limits_above(host.cgroups / "memory", group, "memory.limit_in_bytes")


def _limits_above(root: Path, group: str, name: str) -> Iterator[int]:
    below = PurePosixPath(group.lstrip("/"))
    for folder in (below, *below.parents):
        yield from _limit(root / folder / name)


def _limit(file: Path) -> Iterator[int]:
    try:
        yield int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):  # missing, or "max"
        return


PROBES = (
    Probe(rules.RUNS_AS_ROOT, _privilege),
    Probe(rules.BONDING_DRIVER, _bonding_driver),
    Probe(rules.STATE_FOLDER, _state_folder),
    Probe(rules.MEMORY_LIMIT, _memory_limit),
)
