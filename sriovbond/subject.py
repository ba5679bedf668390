"""The subject of a call, a record and a bond: an attachment, its network, and the pod."""

from collections.abc import Mapping
from dataclasses import dataclass

from deviceinfo import UNKNOWN_POD, PodRef
from sriovbond.cni.attachment import Attachment
from sriovbond.cni.request import CniRequest


@dataclass(frozen=True, slots=True)
class Subject:
    """An attachment; the pod as far as CNI_ARGS name it."""

    attachment: Attachment
    network: str = ""
    pod: PodRef = UNKNOWN_POD

    @classmethod
    def of(cls, request: CniRequest) -> "Subject":
        """Return the subject of the request."""
        return cls(request.attachment, request.network, pod_of(request.args))

    @property
    def fields(self) -> dict[str, object]:
        """Its fields in the log."""
        return {
            "pod": "/".join(filter(None, (self.pod.namespace, self.pod.name))),
            "container": self.attachment.container_id,
            "ifname": self.attachment.ifname,
            "network": self.network,
        }


def pod_of(args: Mapping[str, str]) -> PodRef:
    """Return the pod named in CNI_ARGS, as kubelet's container runtimes do."""
    return PodRef(
        args.get("K8S_POD_NAMESPACE", ""),
        args.get("K8S_POD_NAME", ""),
        args.get("K8S_POD_UID", ""),
    )
