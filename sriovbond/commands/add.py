"""ADD: find the VFs, plan the bond, write the record, build, address, verify, answer."""

import errno
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Final

from deviceinfo import Ask, PodDevices
from sriovbond import candidates, ipam, log, records, release
from sriovbond.bond import plan as planning
from sriovbond.bond import redundancy, rules
from sriovbond.bond.config import NetConf
from sriovbond.bond.keys import DHCP
from sriovbond.bond.links import Member, Place
from sriovbond.bond.ownkeys import MemberAddresses
from sriovbond.bond.plan import BondPlan
from sriovbond.bond.rules import Finding
from sriovbond.bond.seen import Seen
from sriovbond.bond.states import BondState
from sriovbond.candidates import Lookup
from sriovbond.cni.request import CniRequest
from sriovbond.cni.result import CniResult, Dns, Interface
from sriovbond.cni.versions import CURRENT_VERSION
from sriovbond.commands import keeping
from sriovbond.commands.configuration import (
    accept,
    configuration,
    naming_unknown_keys,
    own_dns,
    refuse_taken_name,
)
from sriovbond.errors import DriftError, KernelError, MachineError, NamespaceError, RefusedError
from sriovbond.host import Host
from sriovbond.kernel import addresses, bonding, links, netns
from sriovbond.kernel.bonding import Handle
from sriovbond.kernel.netns import Namespace
from sriovbond.lending import Lender
from sriovbond.records import Record
from sriovbond.release import Keeper

_CARRIER_PAUSE_S: Final = 0.1


def add(
    request: CniRequest, host: Host, asks: Sequence[Ask] = (), keeper: Keeper | None = None
) -> CniResult:
    """Build the requested bond, or leave everything unchanged.

    `asks` are sources of device facts beyond this node: the Kubernetes API. When the ADD fails, the
    keeper keeps the IPAM lease that could not be released.
    """
    lookup = candidates.begin(host, request, asks)
    config = configuration(request)
    accept(request, config)
    dns = own_dns(request.config)
    with ExitStack() as held:
        held.enter_context(naming_unknown_keys(config))
        lock = held.enter_context(records.locked(host, request.attachment.key))
        lease = partial(ipam.add, request, host, lock)
        _release_stale(request, host)
        pod = held.enter_context(netns.opened(request.netns, request.netns_descriptor))
        home = held.enter_context(netns.own())
        with log.step("look"):
            seen, devices, lender = _look(request, config, lookup, pod, home)
        with log.step("plan"):
            plan = _plan(request, config, seen, devices, lender)
        if config.ipam_type:
            ipam.require(request, host)
        record = _record(request, host, config, pod, _with_sysctls(home, plan))
        with log.step("record"):
            records.write(host, record)
        with release.on_failure(host, record, request.netns_descriptor, keeper):
            with log.step("build"):
                _build(pod, home, plan, lender)
            with log.step("ipam"):
                leased = _addresses(lease, host, config, pod, plan)
                leased = replace(leased, dns=dns or leased.dns)
            with log.step("verify"):
                state = _verify(pod, plan, leased)
            with log.step("record"):
                records.write(host, record.completed(leased.to_json(CURRENT_VERSION)))
        if state.has_carrier:
            addresses.announce(pod, state.name, state.mac, leased)
    log.event(logging.INFO, "added", **_facts(plan, state, devices))
    return _result(request, state, leased)


def _release_stale(request: CniRequest, host: Host) -> None:
    """Release what an earlier ADD of the same attachment left without a DEL."""
    record = records.read(host, request.attachment.key)
    if record is None:
        return
    log.event(logging.WARNING, "an earlier ADD of this attachment was never deleted: releasing it")
    release.release(host, record, request.netns, request.netns_descriptor).finish()


def _look(
    request: CniRequest, config: NetConf, lookup: Lookup, pod: Namespace, home: Namespace
) -> tuple[Seen, PodDevices, Lender]:
    if pod.identity == home.identity and not request.netns_override:
        raise NamespaceError(
            f"cannot add to {request.netns!r}: it is the namespace that the plugin itself runs in"
        )
    seen, devices, lender = lookup.gather(config, pod, home)
    for remark in candidates.remarks(devices):
        log.event(logging.WARNING, remark)
    return seen, devices, lender


def _plan(
    request: CniRequest, config: NetConf, seen: Seen, devices: PodDevices, lender: Lender
) -> BondPlan:
    refuse_taken_name(request, {member.name for member in seen.pod})
    for member in seen.pod:
        if request.ifname in member.link.altnames:
            raise RefusedError(_altname_taken(request, member))
    members = candidates.choose(config, seen, lender)
    plan = planning.plan_bond(request.ifname, config, members, seen.later, seen.upon)
    _refuse_collisions(plan, seen.pod)
    for warning in (*plan.warnings, *candidates.uses_beside(devices, plan)):
        log.event(logging.WARNING, warning.words, rule=warning.rule)
    return plan


def _altname_taken(request: CniRequest, holder: Member) -> Finding:
    name = request.ifname
    return rules.NAME_TAKEN.finding(
        f"cannot make {name!r} in {request.netns!r}: it is an altname of {holder} there, perhaps "
        "of the device's former pod",
        f"take it off (`ip link property del dev {holder.name} altname {name}`), or ask for "
        "another name",
    )


def _refuse_collisions(plan: BondPlan, in_pod: Sequence[Member]) -> None:
    names = {plan.name}.union(*(member.link.names for member in in_pod))
    for member in plan.members:
        # altnames are removed from the host link while it is in the pod
        if member.place is Place.HOST and member.name in names:
            taken = f"cannot move {member} from the host into the pod: its name exists there"
            remedy = "name another, or set linksInContainer true"
            raise RefusedError(rules.NAME_TAKEN.finding(taken, remedy))


def _record(
    request: CniRequest, host: Host, config: NetConf, pod: Namespace, plan: BondPlan
) -> Record:
    return Record(
        network=request.network,
        container_id=request.attachment.container_id,
        ifname=request.ifname,
        netns=request.netns,
        namespace=pod.identity,
        boot_id=host.boot_id(),
        plan=plan,
        ipam=keeping.ipam_call(request) if config.ipam_type else None,
        pod=keeping.pod(request),
    )


def _with_sysctls(home: Namespace, plan: BondPlan) -> BondPlan:
    """Add to the host's links the sysctls that must be restored beside addresses and routes."""
    members = [
        replace(member, link=replace(member.link, sysctls=home.link_sysctls(member.name)))
        if member.place is Place.HOST
        else member
        for member in plan.members
    ]
    return replace(plan, members=tuple(members))


def _build(pod: Namespace, home: Namespace, plan: BondPlan, lender: Lender) -> None:
    bond = bonding.create(pod.netlink, plan)
    addresses.prepare(pod, plan.name, None)
    members: Sequence[Member] = plan.members
    coming = [member for member in members if member.place is Place.HOST]
    if coming:
        lender.refuse_what_changed(coming)
        members = _bring_members(pod, home, plan.members)
    for member in members:
        _enslave(pod, plan, bond, member)
    primary = plan.value("primary")
    for member in members:
        if member.name == primary:
            bonding.set_primary(pod.netlink, bond, member.name, member.link.index)
    bonding.set_up(pod.netlink, bond)


def _bring_members(pod: Namespace, home: Namespace, members: Sequence[Member]) -> Sequence[Member]:
    """Return the members with their links in the pod; host links have a new index there."""
    coming = [member for member in members if member.place is Place.HOST]
    in_pod = links.names(pod.netlink)
    for member in coming:
        # stale altnames of former pods; they are in the record, and restored on return
        links.free_names(home.netlink, member.link, in_pod)
        links.move(home.netlink, member.link, pod.descriptor, "pod")
    indices = {link.name: link.index for link in links.dump(pod.netlink)}
    return [_set_index(member, indices) if member in coming else member for member in members]


def _set_index(member: Member, indices: Mapping[str, int]) -> Member:
    index = indices.get(member.name)
    if index is None:
        raise MachineError(f"cannot bond {member}: it disappeared from the pod meanwhile")
    return replace(member, link=replace(member.link, index=index))


def _enslave(pod: Namespace, plan: BondPlan, bond: Handle, member: Member) -> None:
    if member.link.is_up and member.place is Place.POD:
        links.set_down(pod.netlink, member.link)
    if plan.member_addresses is MemberAddresses.FLUSH and member.place is Place.POD:
        links.flush(pod.netlink, member.link)
        if member.link.addresses:
            _report_flushed(member)
    try:
        bonding.add_member(pod.netlink, member, member.link.index, bond)
    except KernelError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            unclear = rules.VF_MAC_UNCLEAR.id
            error.hints += tuple(each for each in plan.warnings if each.rule == unclear)
        raise


def _report_flushed(member: Member) -> None:
    carried = member.link.addresses
    level = logging.WARNING if any(address.is_assigned for address in carried) else logging.INFO
    log.event(level, f"taken off {member}: {', '.join(address.text for address in carried)}")


def _addresses(
    lease: Callable[[], CniResult], host: Host, config: NetConf, pod: Namespace, plan: BondPlan
) -> CniResult:
    if not config.ipam_type:
        return CniResult()
    if config.ipam_type == DHCP:
        _await_carrier(pod, plan.name, host.dhcp_carrier_timeout_s)
    leased = lease()
    link = links.find(pod.netlink, plan.name)
    if link is None:
        raise DriftError(f"cannot put addresses on {plan.name}: it disappeared meanwhile")
    addresses.prepare(pod, plan.name, leased)
    addresses.apply(pod.netlink, plan.name, link.index, leased)
    return leased


def _await_carrier(pod: Namespace, ifname: str, timeout_s: float) -> None:
    """Wait for a VF's carrier, 1-3 s: a DHCP request before that is lost."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        link = links.find(pod.netlink, ifname)
        if link and link.has_carrier:
            return
        time.sleep(_CARRIER_PAUSE_S)
    log.event(
        logging.WARNING, f"{ifname} has no carrier after {timeout_s:.0f} s; asking DHCP anyway"
    )


def _verify(pod: Namespace, plan: BondPlan, leased: CniResult) -> BondState:
    state = bonding.observe(pod.netlink, plan.name)
    differences = planning.differences(plan, state) if state else ()
    if differences:  # a driver may set a MAC late
        state = bonding.observe_settled(pod.netlink, plan)
        differences = planning.differences(plan, state) if state else ()
    if state is None:
        raise DriftError(f"cannot verify {plan.name}: it is gone")
    drift = [
        *differences,
        *addresses.differences(pod.netlink, plan.name, state.index, leased),
    ]
    if drift:
        raise DriftError(
            f"cannot verify {plan.name}: {'; '.join(drift)}; look who else changes this pod's links"
        )
    return state


def _facts(plan: BondPlan, state: BondState, devices: PodDevices) -> Mapping[str, str]:
    """Return the log fields of a bond that deserves an operator's attention; empty for others.

    A VF's carrier comes 1 to 3 s later. The values are short: quoting them costs another ms.
    """
    return {
        "members": ",".join(
            f"{member.name}@{member.device or member.place}" for member in plan.members
        ),
        "numa": redundancy.numa_nodes(plan.members),
        "sources": "" if devices.is_known else "none",
        "carrier": "" if state.has_carrier else "not-yet",
    }


def _result(request: CniRequest, state: BondState, leased: CniResult) -> CniResult:
    """Return the result: the observed bond appended to prevResult, with IPAM's addresses."""
    before = request.prev_result or CniResult(cni_version=request.cni_version)
    place = len(before.interfaces)
    bond = Interface(name=state.name, mac=state.mac, mtu=state.mtu, sandbox=request.netns)
    return replace(
        before,
        interfaces=(*before.interfaces, bond),
        ips=(*before.ips, *(replace(ip, interface=place) for ip in leased.ips)),
        routes=(*before.routes, *leased.routes),
        dns=leased.dns if leased.dns != Dns() else before.dns,
    )
