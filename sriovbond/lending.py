"""What the node lends of its own links: node.toml, asked only where a bond means to take some."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Final

import deviceinfo
from deviceinfo import PodDevices
from deviceinfo.jsonfile import UnreadableError
from sriovbond import rootfile
from sriovbond.bond import hostlinks
from sriovbond.bond.hostlinks import KEY, NODE_FILE, HostLinks, Kept, Usage
from sriovbond.bond.links import Link, Member
from sriovbond.errors import MachineError, RefusedError
from sriovbond.host import Host
from sriovbond.kernel import elsewhere, links
from sriovbond.kernel.netns import Namespace

_FILE_BYTES: Final = 1 << 16


def read(file: Path) -> HostLinks:
    """Return what the node lends: by default its unused links, nothing where the file is wrong.

    The file is `file` here, and node.toml to who writes it: a container sees the node's elsewhere.
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
    return rootfile.read(file, _FILE_BYTES)


def _parse(given: Mapping[str, object]) -> HostLinks:
    unknown = sorted(given.keys() - {KEY})
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no setting; the only one is {KEY}")
    return hostlinks.parse_host_links(given[KEY]) if KEY in given else HostLinks()


class Lender:
    """Speaks for the node on the links that one pod's bond would take; asks what it needs once."""

    def __init__(self, host: Host, home: Namespace, found: PodDevices) -> None:
        self._host = host
        self._home = home
        self._found = found

    def refusal(self, wanted: Sequence[Member]) -> str:
        """Say which of these links of the host are kept, and why; empty where all are lent."""
        upon = elsewhere.standing_on(self._home, {one.link.index for one in wanted})
        judged = (hostlinks.kept(self._lent, one, self._usage(one, upon)) for one in wanted)
        those: list[Kept] = [one for one in judged if one]
        return hostlinks.refusal(self._lent, those) if those else ""

    def refuse_what_changed(self, wanted: Sequence[Member]) -> None:
        """Judge again, just before they are moved. Raises RefusedError, MachineError."""
        standing = {link.index: link for link in links.snapshot(self._home.netlink)}
        words = self.refusal([replace(one, link=_now(one, standing)) for one in wanted])
        if words:
            raise RefusedError(words)

    @cached_property
    def _lent(self) -> HostLinks:
        return read(self._host.node_file)

    @cached_property
    def _offered(self) -> dict[str, str] | None:
        """The resource of each device that device plugins offer; None where nobody tells."""
        timeout_s = self._host.kubelet_timeout_s
        readings = deviceinfo.find_offered(self._host.places, kubelet_timeout_s=timeout_s)
        told = [one for one in readings if not (one.is_absent or one.problems)]
        said = [statement for reading in readings for statement in reading.statements]
        offered = {str(one.device): one.resource or "a resource" for one in said if one.device}
        return offered if told or offered else None

    def _usage(self, member: Member, upon: Mapping[int, str]) -> Usage:
        device = deviceinfo.parse_device_id(member.device)
        in_sysfs = deviceinfo.read_device(self._host.places.sysfs, device) if device else None
        given = self._found.get(member.device)
        offered = self._offered if device else {}
        return Usage(
            has_functions=bool(in_sysfs and in_sysfs.has_functions),
            resource=(offered or {}).get(member.device, ""),
            is_given=bool(given and given.is_allocated),
            is_unknown=offered is None and member.is_vf and bool(self._found.pod.name),
            elsewhere=upon.get(member.link.index, ""),
        )


def _now(member: Member, standing: Mapping[int, Link]) -> Link:
    link = standing.get(member.link.index)
    if link is None:
        raise MachineError(f"cannot move {member} into the pod: it has left the host meanwhile")
    return link
