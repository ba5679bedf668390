"""Builders of the bond room's data: each field has a default, so tests name what matters."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sriovbond.bond.config import NetConf, parse_config
from sriovbond.bond.links import Link, Member, PhysicalFunction, Place, VfSettings
from sriovbond.bond.plan import BondPlan, plan_bond
from sriovbond.bond.seen import Seen, Unlinked
from sriovbond.bond.states import BondState, MemberState

MTU = 1500


def a_link(name: str = "net1", index: int = 0, **facts: Any) -> Link:  # noqa: ANN401 - Link's fields
    """Return a link; its index and MAC derive from its name unless given."""
    index = index or sum(name.encode())
    mac = facts.pop("mac", f"02:00:00:00:{index // 256:02x}:{index % 256:02x}")
    return Link(index=index, name=name, mac=mac, mtu=facts.pop("mtu", MTU), **facts)


def a_vf(
    name: str = "net1",
    number: int = 0,
    *,
    pf: PhysicalFunction | None = None,
    link: dict[str, Any] | None = None,
    **view: Any,  # noqa: ANN401 - VfSettings' fields
) -> Member:
    """Return a VF in the pod, trusted by its PF; `view` overrides the PF's settings of it."""
    pf = pf or a_pf()
    pci = f"{pf.device[:-4]}10.{number}"
    vf_link = a_link(name, device=pci, **(link or {}))
    fields: dict[str, Any] = {"mac": vf_link.mac, "trust": True, "spoofchk": False, **view}
    return Member(
        link=vf_link,
        place=Place.POD,
        driver="igbvf",
        is_vf=True,
        pf=pf,
        vf_number=number,
        settings=VfSettings(number, **fields),
    )


def a_pf(number: int = 0, **facts: Any) -> PhysicalFunction:  # noqa: ANN401 - PhysicalFunction's fields
    """Return a PF with carrier."""
    fields: dict[str, Any] = {"name": f"pf{number}", "mtu": 9000, "has_carrier": True, **facts}
    return PhysicalFunction(f"0000:{number + 1:02x}:00.0", **fields)


def a_member(name: str = "net1", place: Place = Place.POD, **facts: Any) -> Member:  # noqa: ANN401 - Link's fields
    """Return a member that is no VF, such as a veth."""
    return Member(a_link(name, **facts), place)


def two_vfs(**view: Any) -> tuple[Member, Member]:  # noqa: ANN401 - VfSettings' fields
    """Return net1 and net2, VFs of two PFs with the same settings except for their MAC."""
    return a_vf("net1", pf=a_pf(0), **view), a_vf("net2", pf=a_pf(1), **view)


def a_netconf(**keys: object) -> NetConf:
    """Parse a configuration with these keys."""
    return parse_config({"cniVersion": "1.1.0", "name": "net", "type": "sriovbond", **keys})


def a_plan(members: Sequence[Member] | None = None, **keys: object) -> BondPlan:
    """Plan bond0 over two trusted VFs, or over `members`."""
    return plan_bond("bond0", a_netconf(**keys), two_vfs() if members is None else members)


def a_state(plan: BondPlan) -> BondState:
    """Return the bond as the kernel reports it when it matches the plan."""
    return BondState(
        index=9,
        name=plan.name,
        mac=plan.shared_mac or plan.members[0].link.mac,
        mtu=plan.mtu,
        is_up=True,
        has_carrier=True,
        settings={setting.name: setting.value for setting in plan.settings},
        members=tuple(_state_of(plan, member) for member in plan.members),
    )


def _state_of(plan: BondPlan, member: Member) -> MemberState:
    return MemberState(
        index=member.link.index,
        name=member.name,
        mac=plan.shared_mac or member.link.mac,
        mtu=plan.mtu,
        is_up=True,
        has_carrier=True,
        mii_up=True,
        queue_id=member.queue_id or 0,
        prio=member.prio or 0,
    )


def seen(
    pod: Sequence[Member] = (),
    host: Sequence[Member] = (),
    unlinked: Sequence[Unlinked] = (),
    **facts: Any,  # noqa: ANN401 - Seen's fields
) -> Seen:
    """Return the candidates: these members, with their facts."""
    return Seen(
        pod=[replace(member, place=Place.POD) for member in pod],
        host=[replace(member, place=Place.HOST) for member in host],
        unlinked=unlinked,
        **facts,
    )
