"""The host links that the node lends, from node.toml; read only when a bond may take some."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Final

import deviceinfo
from deviceinfo import PodDevices
from deviceinfo.plainfile import UnreadableError
from sriovbond import ownfiles
from sriovbond.bond import hostlinks
from sriovbond.bond.hostlinks import KEY, NODE_FILE, HostLinks, Kept, Usage
from sriovbond.bond.links import Link, Member
from sriovbond.bond.rules import Finding
from sriovbond.errors import MachineError, RefusedError
from sriovbond.host import Host
from sriovbond.kernel import elsewhere, snapshots
from sriovbond.kernel.netns import Namespace

_FILE_BYTES: Final = 1 << 16


def read(file: Path) -> HostLinks:
    """Return what the node lends: by default its unused links, nothing if the file is faulty.

    The file is `file` here, and node.toml in texts: a container sees the node's at another path.
    """
    import tomllib  # noqa: PLC0415 - an ADD over links of the pod needs none of it

    try:
        return _parse(tomllib.loads(_content(file).decode()))
    except FileNotFoundError:
        return HostLinks()
    except (UnreadableError, ValueError, OSError, RecursionError) as error:
        return HostLinks(fault=f"{NODE_FILE} cannot be used: {error}")


def _content(file: Path) -> bytes:
    if file.parent.is_symlink():  # a container would follow it into its own root
        raise UnreadableError("its folder is a link, which is not followed")
    return ownfiles.read(file, _FILE_BYTES)


def _parse(settings: Mapping[str, object]) -> HostLinks:
    unknown = sorted(settings.keys() - {KEY})
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no setting; the only one is {KEY}")
    return hostlinks.parse_host_links(settings[KEY]) if KEY in settings else HostLinks()


class Lender:
    """Checks whether the node lends the links that a pod's bond would take; caches facts."""

    def __init__(self, host: Host, home: Namespace, devices: PodDevices) -> None:
        self._host = host
        self._home = home
        self._devices = devices

    def refusal(self, members: Sequence[Member]) -> Finding | None:
        """Return which of these host links are not lent, and why; None if all are lent."""
        upon = elsewhere.find_uppers(self._home, {member.link.index for member in members})
        judged = (
            hostlinks.kept(self._lent, member, self._usage(member, upon)) for member in members
        )
        those: list[Kept] = [kept for kept in judged if kept]
        return hostlinks.refusal(self._lent, those) if those else None

    def refuse_what_changed(self, members: Sequence[Member]) -> None:
        """Check again, just before they are moved. Raises RefusedError, MachineError."""
        indices = {member.link.index for member in members}
        present = snapshots.take(self._home.netlink, is_meant=lambda link: link.index in indices)
        host_links = {link.index: link for link in present}
        now = [replace(member, link=_now(member, host_links)) for member in members]
        refusal = self.refusal(now)
        if refusal:
            raise RefusedError(refusal)

    @cached_property
    def _lent(self) -> HostLinks:
        return read(self._host.node_file)

    @cached_property
    def _offered(self) -> dict[str, str] | None:
        """The resource of each device that device plugins offer; None if unknown."""
        timeout_s = self._host.kubelet_timeout_s
        readings = deviceinfo.find_offered(self._host.places, kubelet_timeout_s=timeout_s)
        answered = [reading for reading in readings if not (reading.is_absent or reading.problems)]
        statements = [statement for reading in readings for statement in reading.statements]
        offered = {
            str(statement.device): statement.resource or "a resource"
            for statement in statements
            if statement.device
        }
        return offered if answered or offered else None

    def _usage(self, member: Member, upon: Mapping[int, str]) -> Usage:
        device = deviceinfo.parse_device_id(member.device)
        in_sysfs = deviceinfo.read_device(self._host.places.sysfs, device) if device else None
        allocation = self._devices.get(member.device)
        offered = self._offered if device else {}
        return Usage(
            has_functions=bool(in_sysfs and in_sysfs.has_functions),
            resource=(offered or {}).get(member.device, ""),
            is_given=bool(allocation and allocation.is_allocated),
            is_unknown=offered is None and member.is_vf and bool(self._devices.pod.name),
            elsewhere=upon.get(member.link.index, ""),
        )


def _now(member: Member, host_links: Mapping[int, Link]) -> Link:
    link = host_links.get(member.link.index)
    if link is None:
        raise MachineError(f"cannot move {member} into the pod: it has left the host meanwhile")
    return link
