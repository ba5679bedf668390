"""Bonds: create one empty, add members, read it back, delete it; by the option table."""

import errno
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sriovbond.bond import rules
from sriovbond.bond.kinds import OptionValue
from sriovbond.bond.links import Link, Member
from sriovbond.bond.options import MEMBER_OPTIONS, OPTIONS, Setting, option
from sriovbond.bond.plan import BondPlan, has_late_macs, setting_differences
from sriovbond.bond.states import BondState, MemberState
from sriovbond.errors import KernelError, RefusedError
from sriovbond.kernel import attributes, ioctls, links, messages
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.messages import (
    IFF_UP,
    IFLA_ADDRESS,
    IFLA_IFNAME,
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_INFO_SLAVE_DATA,
    IFLA_INFO_SLAVE_KIND,
    IFLA_LINKINFO,
    IFLA_MASTER,
    IFLA_MTU,
    LinkMessage,
)
from sriovbond.kernel.netlink import Netlink, NetlinkRequest

IFLA_BOND_ACTIVE_SLAVE: Final = 2
IFLA_BOND_SLAVE_STATE, IFLA_BOND_SLAVE_MII_STATUS, IFLA_BOND_SLAVE_FAILURES = 1, 2, 3
_BOND: Final = "bond"
_DRIVER: Final = "bonding"
_NEEDS_MEMBERS: Final = frozenset({"primary"})  # the kernel reports it only once the member is in
_NO_DRIVER: Final = "Unknown device type"  # rtnl_newlink, net/core/rtnetlink.c
_NEW: Final = nl.NLM_F_CREATE | nl.NLM_F_EXCL

known_to_kernel: Final[set[str]] = set()
"""Options that a bond accepted since this process began: no later bond drops them silently."""


@dataclass(frozen=True, slots=True)
class Handle:
    """A bond as requests identify it."""

    index: int
    name: str


def create(netlink: Netlink, plan: BondPlan) -> Handle:
    """Create the bond without members, and verify each option not used before by this process.

    Raises KernelError when the kernel refuses, RefusedError naming the options that it dropped
    silently, which an older kernel does with those it does not know.
    """
    settings = [setting for setting in plan.settings if setting.name not in _NEEDS_MEMBERS]
    data = {setting.name: setting.value for setting in settings}
    parts = [messages.word(IFLA_MTU, plan.mtu)]
    if plan.mac:
        octets = bytes.fromhex(plan.mac.replace(":", ""))
        parts.append(messages.attribute(IFLA_ADDRESS, octets))
    doing = make(netlink, plan.name, settings, *parts)
    gone = KernelError(f"cannot {doing}: it was gone at once", errno.ENODEV)
    if not known_to_kernel.issuperset(data):
        bond = links.read(netlink, plan.name)
        if bond is None:
            raise gone
        _refuse_dropped(settings, state_of(bond, [bond]))
        known_to_kernel.update(data)
    index = ioctls.index(netlink, plan.name)
    if not index:
        raise gone
    return Handle(index, plan.name)


def make(netlink: Netlink, name: str, settings: Sequence[Setting], *attributes: bytes) -> str:
    """Create a bond without members; return what was done, for an error's text.

    Nothing is read back. Raises KernelError.
    """
    data = {setting.name: setting.value for setting in settings}
    info = _info(IFLA_INFO_KIND, IFLA_INFO_DATA, data)
    body = messages.link(0, messages.name(IFLA_IFNAME, name), *attributes, info)
    doing = f"make the bond {name} with {', '.join(map(str, settings))}"
    _send_first(netlink, NetlinkRequest(nl.RTM_NEWLINK, doing, body, _NEW))
    return doing


def change(netlink: Netlink, bond: Handle, settings: Sequence[Setting]) -> None:
    """Change settings of a bond in one request; nothing is read back. Raises KernelError."""
    data = {setting.name: setting.value for setting in settings}
    info = _info(IFLA_INFO_KIND, IFLA_INFO_DATA, data)
    doing = f"set {', '.join(map(str, settings))} of {bond.name}"
    netlink.send(NetlinkRequest(nl.RTM_NEWLINK, doing, messages.link(bond.index, info)))


def change_member(netlink: Netlink, member: Handle, data: Mapping[str, OptionValue]) -> None:
    """Change what the bond has for a member; nothing is read back. Raises KernelError."""
    info = _info(IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA, data)
    settings = ", ".join(f"{name} {value}" for name, value in data.items())
    doing = f"set {settings} of the port {member.name}"
    netlink.send(NetlinkRequest(nl.RTM_NEWLINK, doing, messages.link(member.index, info)))


def _send_first(netlink: Netlink, request: NetlinkRequest) -> None:
    """Send the first request that needs the bonding driver, which the kernel loads if it can."""
    try:
        netlink.send(request)
    except KernelError as error:
        if _NO_DRIVER not in error.said:
            raise
        cause = rules.BONDING_DRIVER.finding(f"{error.message}; the kernel has no bonding driver")
        raise KernelError(cause, error.errno, said=error.said) from error


def _refuse_dropped(settings: Iterable[Setting], state: BondState) -> None:
    dropped = [
        f"{difference} (known since Linux {setting.option.since})"
        for setting in settings
        if setting.name != "mode"
        for difference in setting_differences([setting], state)
    ]
    if dropped:
        raise RefusedError(
            rules.OPTION_NOT_TAKEN.finding(
                f"cannot make the bond {state.name} as asked: this kernel did not take "
                f"{'; '.join(dropped)}"
            )
        )


def add_member(netlink: Netlink, member: Member, index: int, bond: Handle | BondState) -> None:
    """Put the link of that index, which must be down, into the bond; the kernel brings it up.

    Retried while the device is busy: the kernel sets its MAC and opens it here, and closed it just
    before.
    """
    body = messages.link(index, messages.word(IFLA_MASTER, bond.index))
    nl.send_patiently(
        netlink, NetlinkRequest(nl.RTM_NEWLINK, f"put {member} into {bond.name}", body)
    )
    options = ((row.name, getattr(member, row.name)) for row in MEMBER_OPTIONS)
    data = {name: value for name, value in options if value is not None}
    if data:
        settings = ", ".join(f"{name} {value}" for name, value in data.items())
        info = _info(IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA, data)
        doing = f"set {settings} of {member} in {bond.name}"
        netlink.send(NetlinkRequest(nl.RTM_NEWLINK, doing, messages.link(index, info)))


def set_primary(netlink: Netlink, bond: Handle | BondState, name: str, index: int) -> None:
    """Make the member of that index the primary."""
    info = _info(IFLA_INFO_KIND, IFLA_INFO_DATA, {"primary": index})
    doing = f"make {name} the primary of {bond.name}"
    netlink.send(NetlinkRequest(nl.RTM_NEWLINK, doing, messages.link(bond.index, info)))


def set_up(netlink: Netlink, bond: Handle) -> None:
    """Bring the bond up."""
    body = messages.link(bond.index, flags=IFF_UP, change=IFF_UP)
    netlink.send(NetlinkRequest(nl.RTM_NEWLINK, f"bring {bond.name} up", body))


def _info(kind: int, place: int, values: Mapping[str, OptionValue]) -> bytes:
    """Return the options of a bond or a member, encoded as in the table."""
    rows = ((option(name), value) for name, value in values.items())
    data = b"".join(messages.attribute(row.number, row.kind.encode(value)) for row, value in rows)
    parts = messages.name(kind, _BOND) + messages.attribute(place, data)
    return messages.attribute(IFLA_LINKINFO, parts)


def find(netlink: Netlink, name: str) -> Handle | None:
    """Return the bond of exactly that name, None if there is none; an altname does not count."""
    index = ioctls.index(netlink, name)
    is_bond = index and ioctls.driver(netlink, name) == _DRIVER
    return Handle(index, name) if is_bond and ioctls.name(netlink, index) == name else None


def delete(netlink: Netlink, bond: Handle | Link) -> None:
    """Delete the bond; the kernel detaches its members and restores their MAC and MTU."""
    doing = f"delete the bond {bond.name}"
    with nl.passing_over(errno.ENODEV):
        netlink.send(NetlinkRequest(nl.RTM_DELLINK, doing, messages.link(bond.index)))


def observe(netlink: Netlink, name: str) -> BondState | None:
    """Return the bond and its members as the kernel reports them; None if there is no bond.

    Raises as `links.read_bonded`.
    """
    link_messages = links.read_bonded(netlink, name)
    bond = next((message for message in link_messages if message.name == name), None)
    return state_of(bond, link_messages) if bond and bond.kind == _BOND else None


def observe_settled(netlink: Netlink, plan: BondPlan) -> BondState | None:
    """Return the bond once its members have their MACs, or after a bounded time as it is then.

    Older iavf drivers report success at once, and set the MAC when their PF has responded.
    """
    deadline = time.monotonic() + nl.PATIENCE_S
    state = observe(netlink, plan.name)
    while state and has_late_macs(plan, state) and time.monotonic() < deadline:
        time.sleep(nl.PAUSE_S)
        state = observe(netlink, plan.name)
    return state


def with_bus_addresses(netlink: Netlink, state: BondState) -> BondState:
    """Return the bond with devices of its members where the kernel (before 5.14) reports none."""
    if all(member.device for member in state.members):
        return state
    devices = {link.index: link.device for link in links.dump_like(netlink, ())}
    members = [
        replace(member, device=member.device or devices.get(member.index, ""))
        for member in state.members
    ]
    return replace(state, members=tuple(members))


def state_of(bond: LinkMessage, link_messages: Iterable[LinkMessage]) -> BondState:
    """Return what the messages about a bond and other links say of it and its members."""
    data = attributes.by_number(bond.info.get(IFLA_INFO_DATA, b""))
    active = messages.whole(data.get(IFLA_BOND_ACTIVE_SLAVE, b""))
    members = [message for message in link_messages if message.number(IFLA_MASTER) == bond.index]
    return BondState(
        index=bond.index,
        name=bond.name,
        mac=bond.mac,
        mtu=bond.number(IFLA_MTU),
        is_up=bond.is_up,
        has_carrier=bond.has_carrier,
        settings=_settings(data, {member.index: member.name for member in members}),
        members=tuple(_member(member, active) for member in members),
    )


def _settings(data: Mapping[int, bytes], names: Mapping[int, str]) -> dict[str, OptionValue]:
    settings = {
        row.name: value
        for row in OPTIONS
        if row.number in data and (value := row.decode(data)) is not None
    }
    primary = settings.get("primary")
    if isinstance(primary, int) and primary in names:
        settings["primary"] = names[primary]
    return settings


def _member(message: LinkMessage, active: int) -> MemberState:
    data = attributes.by_number(message.info.get(IFLA_INFO_SLAVE_DATA, b""))
    prio, port_prio = option("prio").decode(data), option("actor_port_prio").decode(data)

    def number(place: int) -> int:
        return messages.whole(data.get(place, b""))

    return MemberState(
        index=message.index,
        name=message.name,
        mac=message.mac,
        mtu=message.number(IFLA_MTU),
        is_up=message.is_up,
        has_carrier=message.has_carrier,
        device=message.device,
        mii_up=number(IFLA_BOND_SLAVE_MII_STATUS) == 0,
        is_active=message.index == active,
        failures=number(IFLA_BOND_SLAVE_FAILURES),
        queue_id=number(option("queue_id").number),
        prio=prio if isinstance(prio, int) else None,
        actor_port_prio=port_prio if isinstance(port_prio, int) else None,
    )
