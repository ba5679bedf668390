"""CHECK: compare the bond with its record and with prevResult, and name each difference."""

from collections.abc import Sequence
from dataclasses import replace

from sriovbond import ipam, records
from sriovbond.bond import plan as planning
from sriovbond.bond.plan import BondPlan
from sriovbond.cni.request import CniRequest
from sriovbond.cni.result import CniResult, Interface
from sriovbond.errors import ConfigError, DriftError
from sriovbond.host import Host
from sriovbond.kernel import addresses, bonding, netns
from sriovbond.kernel.netns import Namespace
from sriovbond.records import Record


def check(request: CniRequest, host: Host) -> None:
    """Raise DriftError naming every difference; else run IPAM's CHECK."""
    if request.prev_result is None:
        raise ConfigError("cannot check without prevResult: the runtime must give it")
    record = records.read(host, request.attachment.key)
    if record is None or record.plan is None:
        raise DriftError(
            f"cannot check {request.ifname!r} of container {request.attachment.container_id}: "
            "there is no record of its ADD; was it deleted, or made by another plugin?"
        )
    with netns.opened(request.netns, request.netns_descriptor) as pod:
        drift = _differences(pod, record, record.plan, request)
    if drift:
        raise DriftError(f"cannot confirm {request.ifname}: {'; '.join(drift)}")
    if ipam.is_asked_for(request.config):
        ipam.check(request, host)


def _differences(pod: Namespace, record: Record, plan: BondPlan, request: CniRequest) -> list[str]:
    result = request.prev_result or CniResult()
    state = bonding.observe(pod.netlink, plan.name)
    if state is None:
        return [f"{plan.name} is gone, or is no bond"]
    own = [each for each in result.interfaces if each.name == plan.name and each.sandbox]
    # a later plugin of the chain may have set another MAC, as tuning does, and says so there
    expected = replace(plan, mac=own[0].mac.lower()) if own and own[0].mac else plan
    return [
        *planning.differences(expected, state),
        *_interface_differences(plan, result, own, request.netns),
        *addresses.differences(
            pod.netlink, plan.name, state.index, _own_part(record, result), may_change=True
        ),
    ]


def _interface_differences(
    plan: BondPlan, result: CniResult, own: Sequence[Interface], netns_path: str
) -> list[str]:
    """Compare the bond's namespace with prevResult's; 0.1.0 and 0.2.0 list no interfaces."""
    if not own:
        return [f"prevResult does not list {plan.name}"] if result.interfaces else []
    if own[0].sandbox != netns_path:
        return [f"prevResult has {plan.name} in {own[0].sandbox}, CNI_NETNS is {netns_path}"]
    return []


def _own_part(record: Record, result: CniResult) -> CniResult:
    """Return IPAM's part of this bond, without what later plugins removed from prevResult."""
    leased = record.lease
    addresses_ = {ip.address for ip in result.ips}
    targets = {route.dst for route in result.routes}
    return CniResult(
        ips=tuple(ip for ip in leased.ips if ip.address in addresses_),
        routes=tuple(route for route in leased.routes if route.dst in targets),
    )
