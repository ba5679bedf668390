"""Bonds: make one empty, give it members, read it back, take it away; by the option table."""

import errno
from collections.abc import Iterable
from typing import Any, Final

from pyroute2.netlink import nla
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from sriovbond.bond.kinds import OptionValue
from sriovbond.bond.links import NO_MAC, Link, Member, MemberState
from sriovbond.bond.options import MEMBER_OPTIONS, OPTIONS, Option, Setting, option
from sriovbond.bond.plan import BondPlan, BondState, setting_differences
from sriovbond.errors import KernelError, RefusedError
from sriovbond.kernel import links
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.links import IFF_LOWER_UP, IFF_UP
from sriovbond.kernel.netlink import Answer, Netlink

IFLA_BOND_ACTIVE_SLAVE: Final = 2
IFLA_BOND_AD_INFO: Final = 23
IFLA_BOND_SLAVE_STATE, IFLA_BOND_SLAVE_MII_STATUS, IFLA_BOND_SLAVE_FAILURES = 1, 2, 3
_NEEDS_MEMBERS: Final = frozenset({"primary"})  # the kernel tells it only once the member is in


def _attribute_map(options: Iterable[Option], *others: int) -> tuple[tuple[int, str, str], ...]:
    numbers = sorted({*(row.number for row in options), *others})
    return ((0, "UNSPEC", "none"), *((number, str(number), "cdata") for number in numbers))


class _BondData(nla):  # type: ignore[misc] # pyroute2 is untyped
    """IFLA_INFO_DATA of a bond as raw bytes by number: the table encodes and decodes them.

    pyroute2 0.9.7 lacks PEER_NOTIF_DELAY and all later ones, and drops what it lacks silently.
    """

    nla_map = _attribute_map(OPTIONS, IFLA_BOND_ACTIVE_SLAVE, IFLA_BOND_AD_INFO)


class _BondSlaveData(nla):  # type: ignore[misc] # pyroute2 is untyped
    """IFLA_INFO_SLAVE_DATA of a bond's member, likewise."""

    nla_map = _attribute_map(
        MEMBER_OPTIONS, IFLA_BOND_SLAVE_STATE, IFLA_BOND_SLAVE_MII_STATUS, IFLA_BOND_SLAVE_FAILURES
    )


ifinfmsg.ifinfo.register_link_kind(module={"bond": _BondData})
ifinfmsg.ifinfo.bond_slave_data = _BondSlaveData


def create(netlink: Netlink, plan: BondPlan) -> BondState:
    """Make the bond without members, and prove that every option took.

    Raises KernelError where the kernel refuses, RefusedError naming the options that it dropped
    without a word, which an older kernel does with those it does not know.
    """
    message = ifinfmsg()
    attrs: list[tuple[str, Any]] = [("IFLA_IFNAME", plan.name), ("IFLA_MTU", plan.mtu)]
    if plan.mac:
        attrs.append(("IFLA_ADDRESS", plan.mac))
    settings = [one for one in plan.settings if one.name not in _NEEDS_MEMBERS]
    data = [(str(one.option.number), one.option.kind.encode(one.value)) for one in settings]
    attrs.append(("IFLA_LINKINFO", _info("IFLA_INFO_KIND", "IFLA_INFO_DATA", data)))
    message["attrs"] = attrs
    told = ", ".join(str(setting) for setting in settings)
    doing = f"make the bond {plan.name} with {told}"
    netlink.change(message, nl.RTM_NEWLINK, doing, nl.NLM_F_CREATE | nl.NLM_F_EXCL)
    state = observe(netlink, plan.name)
    if state is None:
        raise KernelError(f"cannot {doing}: it was gone at once", errno.ENODEV)
    _refuse_dropped(settings, state)
    return state


def _refuse_dropped(settings: Iterable[Setting], state: BondState) -> None:
    dropped = setting_differences([one for one in settings if one.name != "mode"], state)
    if dropped:
        since = {one.name: one.option.since for one in settings}
        named = [f"{words} (known since Linux {since[words.split()[0]]})" for words in dropped]
        raise RefusedError(
            f"cannot make the bond {state.name} as asked: this kernel did not take "
            f"{'; '.join(named)}; leave it out or use a newer kernel [option-not-taken]"
        )


def add_member(netlink: Netlink, member: Member, index: int, bond: BondState) -> None:
    """Put the link of that index, which must be down, into the bond; the kernel brings it up."""
    message = ifinfmsg()
    message["index"] = index
    message["attrs"] = [("IFLA_MASTER", bond.index)]
    netlink.change(message, nl.RTM_NEWLINK, f"put {member} into {bond.name}")
    asked = {"prio": member.prio, "queue_id": member.queue_id}
    data = [
        (str(option(name).number), option(name).kind.encode(value))
        for name, value in asked.items()
        if value is not None
    ]
    if data:
        told = ", ".join(f"{name} {value}" for name, value in asked.items() if value is not None)
        _set_member(netlink, index, data, f"set {told} of {member} in {bond.name}")


def _set_member(netlink: Netlink, index: int, data: list[tuple[str, bytes]], doing: str) -> None:
    message = ifinfmsg()
    message["index"] = index
    info = _info("IFLA_INFO_SLAVE_KIND", "IFLA_INFO_SLAVE_DATA", data)
    message["attrs"] = [("IFLA_LINKINFO", info)]
    netlink.change(message, nl.RTM_NEWLINK, doing)


def set_primary(netlink: Netlink, bond: BondState, name: str, index: int) -> None:
    """Make the member of that index the primary."""
    message = ifinfmsg()
    message["index"] = bond.index
    data = [(str(option("primary").number), option("primary").kind.encode(index))]
    message["attrs"] = [("IFLA_LINKINFO", _info("IFLA_INFO_KIND", "IFLA_INFO_DATA", data))]
    netlink.change(message, nl.RTM_NEWLINK, f"make {name} the primary of {bond.name}")


def _info(kind: str, data: str, attrs: list[tuple[str, bytes]]) -> dict[str, Any]:
    return {"attrs": [(kind, "bond"), (data, {"attrs": attrs})]}


def delete(netlink: Netlink, bond: Link) -> None:
    """Take the bond away; the kernel closes its members and gives MAC and MTU back to them."""
    message = ifinfmsg()
    message["index"] = bond.index
    with nl.passing_over(errno.ENODEV):
        netlink.change(message, nl.RTM_DELLINK, f"delete the bond {bond.name}")


def observe(netlink: Netlink, name: str) -> BondState | None:
    """Return the bond and its members as the kernel tells them; None where no bond is."""
    message = ifinfmsg()
    message["attrs"] = [("IFLA_EXT_MASK", links.RTEXT_FILTER_SKIP_STATS)]
    answers = netlink.dump(message, nl.RTM_GETLINK, f"look at {name}")
    by_index = {one.message["index"]: one for one in answers}
    found = next((one for one in answers if one.attribute("IFLA_IFNAME") == name), None)
    if found is None or found.attribute("IFLA_LINKINFO", "IFLA_INFO_KIND") != "bond":
        return None
    settings, active = _settings(found, by_index)
    members = [one for one in answers if one.attribute("IFLA_MASTER") == found.message["index"]]
    return BondState(
        index=found.message["index"],
        name=name,
        mac=(found.attribute("IFLA_ADDRESS") or NO_MAC).lower(),
        mtu=found.attribute("IFLA_MTU"),
        is_up=bool(found.message["flags"] & IFF_UP),
        has_carrier=bool(found.message["flags"] & IFF_LOWER_UP),
        settings=settings,
        members=tuple(_member(one, active) for one in members),
    )


def _settings(
    found: Answer, by_index: dict[int, Answer]
) -> tuple[dict[str, OptionValue], int | None]:
    data = found.attribute("IFLA_LINKINFO", "IFLA_INFO_DATA")
    settings: dict[str, OptionValue] = {}
    for row in OPTIONS:
        payload = data.get_attr(str(row.number)) if data is not None else None
        if payload is not None:
            settings[row.name] = row.kind.decode(payload)
    primary = by_index.get(int(settings.get("primary", 0)))  # type: ignore[arg-type] # its kind
    if primary is not None:
        settings["primary"] = primary.attribute("IFLA_IFNAME")
    payload = data.get_attr(str(IFLA_BOND_ACTIVE_SLAVE)) if data is not None else None
    return settings, int.from_bytes(payload, "little") if payload else None


def _member(answer: Answer, active: int | None) -> MemberState:
    data = answer.attribute("IFLA_LINKINFO", "IFLA_INFO_SLAVE_DATA")

    def number(place: int) -> int:
        payload = data.get_attr(str(place)) if data is not None else None
        return int.from_bytes(payload, "little") if payload else 0

    prio_row, queue_row = option("prio"), option("queue_id")
    prio = data.get_attr(str(prio_row.number)) if data is not None else None
    return MemberState(
        index=answer.message["index"],
        name=answer.attribute("IFLA_IFNAME"),
        mac=(answer.attribute("IFLA_ADDRESS") or NO_MAC).lower(),
        mtu=answer.attribute("IFLA_MTU"),
        is_up=bool(answer.message["flags"] & IFF_UP),
        has_carrier=bool(answer.message["flags"] & IFF_LOWER_UP),
        device=links.device_of(answer),
        mii_up=number(IFLA_BOND_SLAVE_MII_STATUS) == 0,
        is_active=answer.message["index"] == active,
        failures=number(IFLA_BOND_SLAVE_FAILURES),
        queue_id=number(queue_row.number),
        prio=None if prio is None else int(prio_row.kind.decode(prio)),  # type: ignore[arg-type]
    )
