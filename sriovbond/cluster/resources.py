"""The kinds of objects that are asked for and written, and the answer that says no."""

from dataclasses import dataclass
from typing import Final

from deviceinfo.plainfile import UnreadableError


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object: its plural name with the API group as RBAC has it, and where it stands."""

    name: str
    path: str


PODS: Final = Resource("pods", "/api/v1/namespaces/{namespace}/pods/{name}")
NETWORKS: Final = Resource(
    "network-attachment-definitions.k8s.cni.cncf.io",
    "/apis/k8s.cni.cncf.io/v1/namespaces/{namespace}/network-attachment-definitions/{name}",
)
EVENTS: Final = Resource(
    "events.events.k8s.io", "/apis/events.k8s.io/v1/namespaces/{namespace}/events/{name}"
)
NODE_STATES: Final = Resource(
    "sriovnetworknodestates.sriovnetwork.openshift.io",
    "/apis/sriovnetwork.openshift.io/v1/namespaces/{namespace}/sriovnetworknodestates/{name}",
)


class ApiRefusedError(UnreadableError):
    """The API server answered, and not with what was asked for; `status` is HTTP's."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status
