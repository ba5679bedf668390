"""STATUS: tell whether an ADD could succeed on this node now."""

from sriovbond import health, ipam
from sriovbond.cni.request import CniRequest
from sriovbond.cni.wire import CniError, ErrorCode
from sriovbond.commands.configuration import accept, configuration
from sriovbond.host import Host


def status(request: CniRequest, host: Host) -> None:
    """Raise CniError 50 with every reason why an ADD would fail; else ask IPAM."""
    accept(request, configuration(request))
    reasons = health.reasons_against_add(host)
    if reasons:
        raise CniError(ErrorCode.NOT_AVAILABLE, f"cannot serve ADD: {'; '.join(reasons)}")
    if ipam.is_asked_for(request.config):
        ipam.status(request, host)
