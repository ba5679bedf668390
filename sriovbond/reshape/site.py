"""The node that steps are carried out on, and how one of its links is changed."""

import errno
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pyroute2.netlink import nla

from sriovbond.errors import KernelError
from sriovbond.host import Host
from sriovbond.kernel import links, messages
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.attributes import HEADER
from sriovbond.kernel.messages import (
    IFF_UP,
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_INFO_SLAVE_DATA,
    IFLA_INFO_SLAVE_KIND,
    IFLA_LINKINFO,
    LinkMessage,
)
from sriovbond.kernel.netlink import Netlink, NetlinkRequest
from sriovbond.kernel.netns import Namespace

_MACHINE_ID: Final = "etc/machine-id"


@dataclass(frozen=True, slots=True)
class Site:
    """A node: its open namespace, the root of its files, its sysfs, and where our files are.

    What a step waits for without having to ends at `deadline_s`, of time.monotonic().
    """

    node: Namespace
    root: Path
    sysfs: Path
    host: Host = field(default_factory=Host)
    deadline_s: float = math.inf

    @property
    def netlink(self) -> Netlink:
        """The socket in its namespace."""
        return self.node.netlink

    def machine_id(self) -> str:
        """Return machine-id(5), empty where the node has none."""
        with suppress(OSError, UnicodeDecodeError):
            return (self.root / _MACHINE_ID).read_text(encoding="ascii").strip()
        return ""

    def find(self, name: str) -> LinkMessage | None:
        """Return the link of that name, None if it is missing."""
        return links.read(self.netlink, name)

    def link(self, name: str) -> LinkMessage:
        """Return the link of that name. Raises KernelError if it is missing."""
        message = self.find(name)
        if message is None:
            raise KernelError(f"cannot change {name}: it is missing", errno.ENODEV)
        return message

    def change(self, link: LinkMessage, doing: str, *attributes: bytes) -> None:
        """Change a link; retry while its device is busy. Raises KernelError."""
        self._send(link, doing, attributes, 0, 0)

    def set_up(self, link: LinkMessage) -> None:
        """Bring a link up. Raises KernelError."""
        self._send(link, f"bring {link.name} up", (), IFF_UP, IFF_UP)

    def set_down(self, link: LinkMessage) -> None:
        """Bring a link down. Raises KernelError."""
        self._send(link, f"bring {link.name} down", (), 0, IFF_UP)

    def set_flag(self, link: LinkMessage, doing: str, flag: int, *, is_set: bool) -> None:
        """Set one of a link's IFF_* flags, or clear it. Raises KernelError."""
        self._send(link, doing, (), flag if is_set else 0, flag)

    def _send(
        self, link: LinkMessage, doing: str, attributes: tuple[bytes, ...], flags: int, change: int
    ) -> None:
        body = messages.link(link.index, *attributes, flags=flags, change=change)
        nl.send_patiently(self.netlink, NetlinkRequest(nl.RTM_NEWLINK, doing, body))


def pack(of: type[nla], values: Mapping[str, object]) -> bytes:
    """Return attributes as pyroute2's class encodes them, by its names."""
    section = of()
    section["attrs"] = list(values.items())
    section.encode()
    return bytes(section.data)[HEADER.size :]


def info(kind: str, data: bytes = b"") -> bytes:
    """Return the attribute with a link's kind and what it has of that kind."""
    part = messages.name(IFLA_INFO_KIND, kind)
    return messages.attribute(IFLA_LINKINFO, part + messages.attribute(IFLA_INFO_DATA, data))


def port_info(kind: str, data: bytes) -> bytes:
    """Return the attribute with what a controller of that kind has for a port."""
    part = messages.name(IFLA_INFO_SLAVE_KIND, kind)
    return messages.attribute(IFLA_LINKINFO, part + messages.attribute(IFLA_INFO_SLAVE_DATA, data))
