"""STATUS: report whether an ADD could succeed on this node now."""

from sriovbond import health, ipam
from sriovbond.cni.request import CniRequest
from sriovbond.commands.configuration import accept, configuration
from sriovbond.errors import UnavailableError
from sriovbond.host import Host


def status(request: CniRequest, host: Host) -> None:
    """Raise UnavailableError with every reason why an ADD would fail; else run IPAM's STATUS."""
    accept(request, configuration(request))
    reasons = health.reasons_against_add(host)
    if reasons:
        raise UnavailableError.of("cannot serve ADD", reasons)
    if ipam.is_asked_for(request.config):
        ipam.status(request, host)
