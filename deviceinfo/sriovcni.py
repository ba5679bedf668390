"""Reads SR-IOV CNI's cache of the VFs that it moved to pods, in /var/lib/cni/sriov."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deviceinfo import plainfile
from deviceinfo.containerid import is_container_id, require_container_id, settle
from deviceinfo.device import PciAddress
from deviceinfo.jsonfile import is_ifname, parse_object
from deviceinfo.plainfile import UnreadableError

_FILE_BYTES: Final = 1 << 20
_NO_MAC: Final = "00:00:00:00:00:00"
_NETNS_BYTES: Final = 4096  # PATH_MAX, linux/limits.h
_LINK_STATES: Final = ("auto", "enable", "disable")


@dataclass(frozen=True, slots=True)
class SriovCniEntry:
    """One VF as SR-IOV CNI cached it at the end of its ADD (NetConf, its pkg/types/types.go).

    None: not requested by the network configuration or, in a field about the VF's state before
    ADD, not stored.
    """

    ifname: str
    device_id: PciAddress
    pf_name: str | None
    vf_number: int | None
    administrative_mac: str | None
    """The MAC requested by the user (`mac`, CNI_ARGS or runtimeConfig), set through the PF."""
    vlan: int | None
    trust: bool | None
    spoofchk: bool | None
    link_state: str | None
    original_admin_mac: str | None
    """The PF's MAC for the VF before; all zero if it had none."""
    original_effective_mac: str | None
    """The VF's own MAC before; not stored under a userspace driver."""
    host_ifname: str | None
    netns: str | None
    """The namespace that has the device now, by `pci/<device_id>`, written by its last ADD."""

    @property
    def held_mac(self) -> str | None:
        """The MAC that SR-IOV CNI, or an earlier writer, had the PF set on the VF.

        An entry equal to the VF's own MAC proves nothing: some drivers store the VF's own request.
        """
        if self.administrative_mac:
            return self.administrative_mac
        before, own = self.original_admin_mac, self.original_effective_mac
        return before if before not in (None, _NO_MAC, own) else None


@dataclass(frozen=True, slots=True)
class CacheReading:
    """The entries of one container by interface name, and what could not be read, as texts."""

    entries: tuple[SriovCniEntry, ...]
    problems: tuple[str, ...]


def read_cache(folder: Path, container_id: str, *, netns: str | None = None) -> CacheReading:
    """Read SR-IOV CNI's files `<container_id>-<ifname>` in `folder`; empty without the folder.

    Ids and interface names may both contain "-": `a-b-net1` is `b-net1` of `a` or `net1` of `a-b`.
    If an id of 64 hex digits does not decide it, the network namespace of the device does: `netns`
    (CNI_NETNS as received), else the one of the container's unambiguous entries. A file that stays
    ambiguous is a problem, not an entry: it may be another pod's VF.

    Raises DeviceInfoError if CNI does not allow `container_id`.
    Source: SaveNetConf in pkg/utils/utils.go, SaveAllocatedPCI in pkg/utils/pci_allocator.go.
    """
    require_container_id(container_id, folder)
    search = _Search(folder, container_id)
    try:
        with plainfile.open_folder(folder) as folder_fd:
            search.run(folder_fd)
    except FileNotFoundError:
        return CacheReading((), ())
    except OSError as error:
        return CacheReading((), (f"cannot list {folder}: {error.strerror}",))
    return search.conclude(netns)


class _Search:
    """Collects the possible entries of a container, then decides the ambiguous ones."""

    def __init__(self, folder: Path, container_id: str) -> None:
        self._folder = folder
        self._container_id = container_id
        self._sure: list[SriovCniEntry] = []
        self._doubtful: list[SriovCniEntry] = []
        self._problems: list[str] = []

    def run(self, folder_fd: int) -> None:
        for name in sorted(os.listdir(folder_fd)):
            ifname_of = _ifname_by_owner(name)
            if self._container_id not in ifname_of:
                continue
            try:
                entry = _read_entry(folder_fd, name, ifname_of[self._container_id])
            except FileNotFoundError:
                continue  # removed by a concurrent DEL
            except UnreadableError as error:
                self._problems.append(f"cannot read {self._show_path(name)}: {error}")
            else:
                (self._sure if len(ifname_of) == 1 else self._doubtful).append(entry)

    def conclude(self, netns: str | None) -> CacheReading:
        ours = netns or self._find_netns()
        entries = list(self._sure)
        for entry in self._doubtful:
            if ours is None or entry.netns is None:
                self._problems.append(self._doubt(entry))
            elif entry.netns == ours:
                entries.append(entry)
        entries.sort(key=lambda entry: entry.ifname)
        return CacheReading(tuple(entries), tuple(self._problems))

    def _find_netns(self) -> str | None:
        """Return the namespace of all the container's devices; two mean a stale entry, so None."""
        seen = {entry.netns for entry in self._sure if entry.netns}
        return seen.pop() if len(seen) == 1 else None

    def _show_path(self, name: str) -> str:
        """Return a path in printable characters: a file name may be any bytes."""
        return ascii(str(self._folder / name))

    def _doubt(self, entry: SriovCniEntry) -> str:
        name = f"{self._container_id}-{entry.ifname}"
        owners = " or ".join(repr(owner) for owner in _ifname_by_owner(name))
        return (
            f"cannot tell whose {self._show_path(name)} is: it fits container {owners}, and the "
            f"network namespace that holds {entry.device_id} does not decide it "
            f"(found: {entry.netns!r})"
        )


def _ifname_by_owner(file_name: str) -> dict[str, str]:
    """Return each possible split of `<container id>-<ifname>`, by container id."""
    return settle(
        {
            file_name[:at]: file_name[at + 1 :]
            for at, char in enumerate(file_name)
            if char == "-" and is_container_id(file_name[:at]) and is_ifname(file_name[at + 1 :])
        }
    )


def _read_entry(folder_fd: int, file_name: str, ifname: str) -> SriovCniEntry:
    fields = parse_object(plainfile.read(file_name, _FILE_BYTES, inside=folder_fd))
    before = fields.section("OrigVfState")
    device_id = fields.pci_address("deviceID")
    if device_id is None:
        raise UnreadableError("; ".join(fields.faults or ["deviceID is missing"]))

    entry = SriovCniEntry(
        ifname=ifname,
        device_id=device_id,
        pf_name=fields.ifname("Master"),
        vf_number=fields.number("VFID"),
        administrative_mac=fields.mac("MAC"),
        vlan=fields.number("vlan"),
        trust=_is_on(fields.text("trust")),
        spoofchk=_is_on(fields.text("spoofchk")),
        link_state=fields.choice("link_state", _LINK_STATES),
        original_admin_mac=before.mac("AdminMAC"),
        original_effective_mac=before.mac("EffectiveMAC"),
        host_ifname=before.ifname("HostIFName"),
        netns=_read_netns(folder_fd, device_id),
    )
    if fields.faults:
        raise UnreadableError("; ".join(fields.faults))
    return entry


def _is_on(switch: str | None) -> bool | None:
    """Decode a switch as SR-IOV CNI's ApplyVFConfig (pkg/sriov/sriov.go): all but "on" is off."""
    return None if switch is None else switch == "on"


def _read_netns(folder_fd: int, device_id: PciAddress) -> str | None:
    """Read `pci/<device_id>`; None if it cannot be read, since it then decides nothing."""
    try:
        with plainfile.open_folder("pci", inside=folder_fd) as pci_fd:
            content = plainfile.read(device_id, _NETNS_BYTES, inside=pci_fd)
    except (OSError, UnreadableError):
        return None
    return os.fsdecode(content).strip() or None
