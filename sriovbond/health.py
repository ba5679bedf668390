"""The probes: what must hold on this node for an ADD to succeed, one row each."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sriovbond.host import Host

_MODULE_LISTS = ("modules.dep", "modules.builtin")


@dataclass(frozen=True, slots=True)
class Probe:
    """One thing that must hold; `reasons` yields why it does not."""

    id: str
    reasons: Callable[[Host], Iterator[str]]


def reasons_against_add(host: Host) -> list[str]:
    """Return every reason why an ADD would fail now; reads only."""
    return [f"{reason} [{probe.id}]" for probe in PROBES for reason in probe.reasons(host)]


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
    yield (
        "the kernel has no bonding driver, loaded or to be loaded from "
        f"{str(folder)!r}: install the kernel's modules package"
    )


def _state_folder(host: Host) -> Iterator[str]:
    folder = host.state
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not os.access(folder, os.W_OK | os.X_OK):
        yield f"{str(folder)!r} cannot be written, and the records go there: make it writable"


def _privilege(_: Host) -> Iterator[str]:
    if os.geteuid():
        yield f"the plugin runs as user {os.geteuid()}: the runtime must run it as root"


PROBES = (
    Probe("runs-as-root", _privilege),
    Probe("bonding-driver", _bonding_driver),
    Probe("state-folder", _state_folder),
)
