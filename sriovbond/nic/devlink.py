"""Ports, eswitch mode and health of NICs, by devlink's generic netlink.

pyroute2's own helper dumps devices and ports only; the other requests are built from its messages.
"""

import errno
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from pyroute2.netlink.devlink import (
    DEVLINK_CMD_ESWITCH_GET,
    DEVLINK_CMD_GET,
    DEVLINK_CMD_HEALTH_REPORTER_GET,
    DEVLINK_CMD_PORT_GET,
    devlinkcmd,
)
from pyroute2.netlink.exceptions import NetlinkError

from sriovbond.kernel.netns import Namespace
from sriovbond.nic import genetlink
from sriovbond.nic.facts import Devlink, Port, Reporter
from sriovbond.nic.genetlink import Channel, Family, Message

FAMILY: Final = Family("devlink", devlinkcmd)
# include/uapi/linux/devlink.h: enum devlink_port_flavour, devlink_eswitch_mode,
# devlink_health_reporter_state
FLAVOURS: Final = (
    "physical",
    "cpu",
    "dsa",
    "pcipf",
    "pcivf",
    "virtual",
    "unused",
    "pcisf",
)
_ESWITCH: Final[Mapping[int, str]] = {0: "legacy", 1: "switchdev"}
_HEALTH: Final[Mapping[int, str]] = {0: "healthy", 1: "error"}
_VERSION: Final = 1  # DEVLINK_GENL_VERSION


@dataclass(frozen=True, slots=True)
class Instance:
    """A devlink instance to query: pci/0000:01:00.0; only a PF's may have an eswitch."""

    handle: str
    driver: str
    may_have_eswitch: bool = True


def read(namespace: Namespace, instances: Iterable[Instance]) -> dict[str, Devlink]:
    """Return the facts of the namespace's devlink instances by handle."""
    by_handle = {instance.handle: instance for instance in instances}

    async def ask(channel: Channel, handle: str) -> Devlink:
        return await _Questions(channel, by_handle[handle]).ask()

    return genetlink.ask_each(namespace, FAMILY, by_handle, ask, _without)


def _without(handle: str, reason: str) -> Devlink:
    return Devlink(handle, problems=(reason,))


@dataclass(frozen=True, slots=True)
class _Questions:
    channel: Channel
    instance: Instance
    problems: list[str] = field(default_factory=list)

    async def ask(self) -> Devlink:
        handle = self.instance.handle
        try:
            await self.channel.get(question(DEVLINK_CMD_GET, handle))
        except NetlinkError as error:
            return _without(handle, self._in_words(error))
        return Devlink(
            handle,
            eswitch=await self._eswitch(),
            ports=parse_ports(await self._dump("ports", DEVLINK_CMD_PORT_GET)),
            reporters=parse_reporters(await self._dump("health", DEVLINK_CMD_HEALTH_REPORTER_GET)),
            problems=tuple(self.problems),
        )

    async def _eswitch(self) -> str:
        if not self.instance.may_have_eswitch:
            return ""
        message = question(DEVLINK_CMD_ESWITCH_GET, self.instance.handle)
        try:
            return parse_eswitch(await self.channel.get(message))
        except NetlinkError as error:
            self.problems.append(f"eswitch: {self._in_words(error)}")
            return ""

    async def _dump(self, topic: str, command: int) -> list[Message]:
        handle = self.instance.handle
        try:
            return list(_of_instance(handle, await self.channel.dump(question(command, handle))))
        except NetlinkError as error:
            self.problems.append(f"{topic}: {self._in_words(error)}")
            return []

    def _in_words(self, error: NetlinkError) -> str:
        driver = self.instance.driver
        if error.code == errno.ENODEV:  # the driver has registered no instance
            return f"not supported by {driver or 'its driver'}"
        return genetlink.in_words(error, driver)


def question(command: int, handle: str) -> Message:
    """Return a request for an instance, such as pci/0000:01:00.0."""
    bus, _, device = handle.partition("/")
    message = devlinkcmd()
    message["cmd"], message["version"] = command, _VERSION
    message["attrs"] += [("DEVLINK_ATTR_BUS_NAME", bus), ("DEVLINK_ATTR_DEV_NAME", device)]
    return message


def _of_instance(handle: str, answers: Iterable[Message]) -> Iterator[Message]:
    """Yield the instance's messages: before 6.4 the kernel dumps those of all."""
    for answer in answers:
        parts = (answer.get_attr(f"DEVLINK_ATTR_{name}_NAME") for name in ("BUS", "DEV"))
        if "/".join(map(str, parts)) == handle:
            yield answer


def parse_eswitch(answer: Message) -> str:
    """Return the name of the eswitch mode."""
    mode = answer.get_attr("DEVLINK_ATTR_ESWITCH_MODE")
    return _ESWITCH.get(mode, f"mode {mode}")


def parse_ports(answers: Iterable[Message]) -> tuple[Port, ...]:
    """Return the ports by their index."""
    return tuple(sorted(map(_parse_port, answers), key=lambda port: port.index))


def _parse_port(answer: Message) -> Port:
    flavour = answer.get_attr("DEVLINK_ATTR_PORT_FLAVOUR")
    is_known = flavour is not None and flavour < len(FLAVOURS)
    return Port(
        index=answer.get_attr("DEVLINK_ATTR_PORT_INDEX"),
        flavour=FLAVOURS[flavour] if is_known else f"flavour {flavour}",
        netdev=answer.get_attr("DEVLINK_ATTR_PORT_NETDEV_NAME") or "",
        pf_number=answer.get_attr("DEVLINK_ATTR_PORT_PCI_PF_NUMBER"),
        vf_number=answer.get_attr("DEVLINK_ATTR_PORT_PCI_VF_NUMBER"),
    )


def parse_reporters(answers: Iterable[Message]) -> tuple[Reporter, ...]:
    """Return the health reporters in the kernel's order."""
    return tuple(map(_parse_reporter, answers))


def _parse_reporter(answer: Message) -> Reporter:
    reporter = answer.get_attr("DEVLINK_ATTR_HEALTH_REPORTER")
    state = reporter.get_attr("DEVLINK_ATTR_HEALTH_REPORTER_STATE")
    return Reporter(
        name=reporter.get_attr("DEVLINK_ATTR_HEALTH_REPORTER_NAME") or "",
        state=_HEALTH.get(state, f"state {state}"),
        errors=reporter.get_attr("DEVLINK_ATTR_HEALTH_REPORTER_ERR_COUNT") or 0,
        recoveries=reporter.get_attr("DEVLINK_ATTR_HEALTH_REPORTER_RECOVER_COUNT") or 0,
        port=answer.get_attr("DEVLINK_ATTR_PORT_INDEX"),
    )
