"""Plans the bond from configuration and members, and compares a plan with the actual bond."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sriovbond.bond.checks import judge
from sriovbond.bond.config import NetConf
from sriovbond.bond.kinds import OptionValue
from sriovbond.bond.links import Member
from sriovbond.bond.options import ADAPTIVE, BondMode, Setting
from sriovbond.bond.ownkeys import MemberAddresses, Policy
from sriovbond.bond.rules import PASSING, Finding, Level
from sriovbond.bond.situation import Redundancy, Situation
from sriovbond.bond.states import BondState, MemberState
from sriovbond.errors import ConfigError, RefusedError, TryLaterError


@dataclass(frozen=True, slots=True)
class BondPlan:
    """The bond to build: `settings` includes our own defaults; MTU in bytes."""

    name: str
    settings: tuple[Setting, ...]
    members: tuple[Member, ...]
    mtu: int
    mac: str | None = None
    member_addresses: MemberAddresses = MemberAddresses.FLUSH
    warnings: tuple[Finding, ...] = ()
    policy: Policy = Policy.DEFAULT

    @property
    def mode(self) -> BondMode:
        """The bonding mode."""
        return BondMode(str(self.value("mode")))

    @property
    def keeps_macs(self) -> bool:
        """Whether each member keeps its MAC and the bond takes the active one's."""
        return self.mode is BondMode.ACTIVE_BACKUP and self.value("fail_over_mac") == "active"

    @property
    def shared_mac(self) -> str | None:
        """The fixed MAC shared by bond and members, if any; else None."""
        is_backup = self.mode is BondMode.ACTIVE_BACKUP
        if is_backup and self.value("fail_over_mac") in ("active", "follow"):
            return None
        return self.mac or self.members[0].link.mac

    @property
    def outline(self) -> "BondPlan":
        """The plan without what only a release or a report needs, which may be of any length."""
        members = tuple(
            replace(member, link=replace(member.link, addresses=(), routes=()))
            for member in self.members
        )
        return replace(self, members=members, warnings=())

    def value(self, name: str) -> OptionValue | None:
        """Return the option's planned value; None if it has none."""
        return next((setting.value for setting in self.settings if setting.name == name), None)


def plan_bond(
    name: str,
    config: NetConf,
    members: Sequence[Member],
    later: tuple[str, ...] = (),
    upon: tuple[str, ...] = (),
) -> BondPlan:
    """Return the plan, or raise why it cannot work; changes nothing.

    `later` are the pod's networks with a device that come after the bond, `upon` those on top of
    it.
    Raises ConfigError and RefusedError naming rules, TryLaterError when `policy: strict` finds only
    what is temporary.
    """
    mtu = config.mtu or min(member.link.mtu for member in members)
    situation = replace(config.situation, members=members, mtu=mtu, later=later, upon=upon)
    findings = tuple(dict.fromkeys((*config.warnings, *judge(situation))))
    refuse(findings, config.policy)
    return BondPlan(
        name=name,
        settings=tuple(_resolve(setting, members) for setting in config.settings),
        members=tuple(members),
        mtu=mtu,
        mac=config.mac,
        member_addresses=config.member_addresses,
        warnings=() if config.policy is Policy.WARN else findings,
        policy=config.policy,
    )


def judge_again(plan: BondPlan, members: Sequence[Member]) -> tuple[Finding, ...]:
    """Judge the plan for its members' current state, by ADD's rules; return the new findings.

    Findings that ADD already reported are left out. Raises as `plan_bond` does.
    """
    situation = Situation(
        mode=plan.mode,
        settings={setting.name: setting for setting in plan.settings},
        fail_over_mac=str(plan.value("fail_over_mac") or "none"),
        mac=plan.mac or plan.shared_mac,  # not the MAC that its first member came back with
        mtu=plan.mtu,
        is_mtu_asked=True,
        member_addresses=plan.member_addresses,
        redundancy=Redundancy.OFF,  # a VF's PF never changes
    )
    before = {finding.rule for finding in judge(replace(situation, members=plan.members))}
    findings = judge(replace(situation, members=members))
    new = tuple(
        finding
        for finding in findings
        if finding.rule not in before or finding.level is Level.REFUSED
    )
    refuse(new, plan.policy)
    return () if plan.policy is Policy.WARN else new


def refuse(findings: Sequence[Finding], policy: Policy) -> None:
    """Raise the findings that the policy refuses, worst first; see `plan_bond`."""
    by_level = {
        level: [finding for finding in findings if finding.level is level] for level in Level
    }
    for level, error in ((Level.CONFIG, ConfigError), (Level.REFUSED, RefusedError)):
        if by_level[level]:
            raise error.of("cannot build the bond", by_level[level])
    warnings = by_level[Level.WARNING] if policy is Policy.STRICT else []
    passing = [finding for finding in warnings if finding.rule in PASSING]
    if len(passing) < len(warnings):
        raise RefusedError.of("cannot build the bond under `policy: strict`", warnings)
    if passing:
        raise TryLaterError.of("cannot build the bond under `policy: strict` now", passing)


def _resolve(setting: Setting, members: Sequence[Member]) -> Setting:
    """Replace a primary given as PCI address or altname by the interface's name."""
    if setting.name != "primary":
        return setting
    for member in members:
        device = member.device.lower()
        primary = str(setting.value)
        if primary in member.link.names or primary.lower() in (
            device,
            device.removeprefix("0000:"),
        ):
            return replace(setting, value=member.name)
    choices = ", ".join(str(member) for member in members)
    raise ConfigError(f"cannot make {setting.value!r} the primary: the members are {choices}")


def differences(plan: BondPlan, bond: BondState) -> tuple[str, ...]:
    """Return the differences from the plan, except those that occur by themselves."""
    drift = [*_bond_differences(plan, bond), *setting_differences(plan.settings, bond)]
    states = {state.name: state for state in bond.members}
    for member in plan.members:
        state = states.pop(member.name, None)
        drift += [f"{member} is not in {plan.name}"] if not state else _member(plan, member, state)
    drift += [f"{name} is in {plan.name} and was not asked for" for name in states]
    return tuple(drift)


def setting_differences(settings: Sequence[Setting], bond: BondState) -> tuple[str, ...]:
    """Return the options that the kernel reports with another value, or not at all."""
    drift = []
    for setting in settings:
        value = bond.settings.get(setting.name)
        if value != setting.value:
            words = "nothing" if value is None else repr(value)
            drift.append(f"{setting.name} is {words} instead of {setting.value!r}")
    return tuple(drift)


def _bond_differences(plan: BondPlan, bond: BondState) -> list[str]:
    drift = []
    if not bond.is_up:
        drift.append(f"{bond.name} is down")
    if bond.mtu != plan.mtu:
        drift.append(f"the MTU of {bond.name} is {bond.mtu} instead of {plan.mtu}")
    if plan.shared_mac and bond.mac != plan.shared_mac:
        drift.append(f"the MAC of {bond.name} is {bond.mac} instead of {plan.shared_mac}")
    return drift


def has_late_macs(plan: BondPlan, bond: BondState) -> bool:
    """Return whether a member's MAC is not the planned one: its driver may set it late."""
    states = {state.name: state for state in bond.members}
    pairs = [(member, states.get(member.name)) for member in plan.members]
    return any(state and _find_missing_macs(plan, member, state) for member, state in pairs)


def _find_missing_macs(plan: BondPlan, member: Member, state: MemberState) -> frozenset[str]:
    """Return the MACs allowed for the member, if it has none of them."""
    shared = frozenset({plan.shared_mac} if plan.shared_mac else ())
    expected = member.lasting_macs if plan.keeps_macs else shared
    # balance-tlb and -alb swap MACs among the members
    is_free = plan.mode in ADAPTIVE or state.mac in expected
    return frozenset() if is_free else expected


def _member(plan: BondPlan, member: Member, state: MemberState) -> list[str]:
    drift = []
    if expected := _find_missing_macs(plan, member, state):
        macs = " or ".join(sorted(expected))
        drift.append(f"the MAC of {member} is {state.mac} instead of {macs}")
    if state.mtu != plan.mtu:
        drift.append(f"the MTU of {member} is {state.mtu} instead of {plan.mtu}")
    if not state.is_up:
        drift.append(f"{member} is down")
    for name, planned, got in (
        ("prio", member.prio, state.prio),
        ("queue_id", member.queue_id, state.queue_id),
        ("actor_port_prio", member.actor_port_prio, state.actor_port_prio),
    ):
        if planned is not None and planned != got:
            words = "nothing" if got is None else got
            drift.append(f"{name} of {member} is {words} instead of {planned}")
    return drift
