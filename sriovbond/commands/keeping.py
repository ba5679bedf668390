"""The parts of a request that records keep: the IPAM call and the pod."""

from deviceinfo import PodRef
from sriovbond.cni.request import CniRequest
from sriovbond.host import Host
from sriovbond.records import IpamCall, Record
from sriovbond.subject import pod_of

NO_NAMESPACE = (0, 0, 0)
"""The namespace in a record that was not written by an ADD."""


def ipam_call(request: CniRequest) -> IpamCall:
    """Return the IPAM call of the request."""
    environment = {name: _writable(text) for name, text in request.environment.items()}
    return IpamCall(request.stdin.decode("utf-8", "replace"), environment)


def pod(request: CniRequest) -> PodRef:
    """Return the pod, as far as the runtime names it."""
    return PodRef(*map(_writable, pod_of(request.args)))


def ipam_only(request: CniRequest, host: Host) -> Record:
    """Return a record of IPAM's part only, for an attachment without a record."""
    return Record(
        network=request.network,
        container_id=request.attachment.container_id,
        ifname=request.ifname,
        netns=_writable(request.netns),
        namespace=NO_NAMESPACE,
        boot_id=host.boot_id(),
        plan=None,
        ipam=ipam_call(request),
        pod=pod(request),
    )


def read_mtime(host: Host, record: Record) -> float:
    """Return when the record was last written, in seconds since the epoch; 0 when it is gone."""
    try:
        return (host.records / f"{record.key}.json").lstat().st_mtime
    except OSError:
        return 0.0


def _writable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
