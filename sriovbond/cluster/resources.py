"""The kinds of API objects read and written, and the API server's refusal."""

from dataclasses import dataclass
from typing import Final

from deviceinfo.plainfile import UnreadableError


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object: its plural name with the API group, as in RBAC, and its URL path."""

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


_REFUSALS: Final = range(400, 500)
_NOT_NOW: Final = frozenset({401, 408, 429})  # 401: the token may be renewed


class ApiRefusedError(UnreadableError):
    """The API server responded with an error; `status` is HTTP's."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status

    @property
    def is_lasting(self) -> bool:
        """Whether a repetition would be refused, too."""
        return self.status in _REFUSALS and self.status not in _NOT_NOW
