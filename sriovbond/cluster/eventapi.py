"""What happened as an Event of events.k8s.io/v1, and how it is written; pure but for the client.

The bounds are those of ValidateEventCreate (Kubernetes, pkg/apis/core/validation/events.go).
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from sriovbond.cluster.resources import EVENTS, PODS, ApiRefusedError
from sriovbond.happenings.happening import Happening, HappeningKind
from sriovbond.subject import Subject

if TYPE_CHECKING:  # it loads kubernetes
    from sriovbond.cluster.client import Client

CONTROLLER: Final = "sriovbond"
_NOTE_BYTES: Final = 1024
_POD_CHARACTERS: Final = 200  # an Event's name has 253
_GONE: Final = 404
_ACTIONS: Final = {
    HappeningKind.REPAIRED: "Repair",
    HappeningKind.REPAIR_REFUSED: "Repair",
    HappeningKind.RELEASED: "Release",
}
"""What the agent was doing, where it was more than to watch."""


@dataclass(slots=True)
class Series:
    """The same happening once or more often; `written` is the count that the API knows.

    `uid` is the pod's; None until it is known.
    """

    first: Happening
    last_at: float
    count: int = 1
    written: int = 0
    uid: str | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """What is the same in all of them."""
        return key_of(self.first)


def key_of(happening: Happening) -> tuple[object, ...]:
    """Return what two happenings have in common that are told as one Event."""
    member = happening.member.name if happening.member else ""
    return (happening.subject, happening.kind, member, happening.text)


def write(series: Series, node: str, client: "Client") -> None:
    """Have the API know the series as it is now. Raises ApiRefusedError, UnreadableError."""
    namespace, count = series.first.subject.pod.namespace, series.count
    if series.uid is None:
        series.uid = _uid(series.first.subject, client)
    event = build(series, node)
    if series.written:
        try:
            change = {"series": event["series"]}
            client.merge(EVENTS, namespace, _name(series.first), change)
        except ApiRefusedError as error:
            if error.status != _GONE:
                raise
            series.written = 0  # the API forgets Events, by default after an hour
    if not series.written:
        client.create(EVENTS, namespace, event)
    series.written = count


def build(series: Series, node: str) -> dict[str, object]:
    """Make the Event; of more than one it tells how many and when the last was."""
    happening = series.first
    event: dict[str, object] = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"namespace": happening.subject.pod.namespace, "name": _name(happening)},
        "eventTime": _micro_time(happening.at),
        "type": "Warning" if happening.is_warning else "Normal",
        "reason": happening.kind.value,
        "action": _ACTIONS.get(happening.kind, "Watch"),
        "note": note(happening),
        "regarding": _pod(happening.subject, series.uid),
        "reportingController": CONTROLLER,
        "reportingInstance": node,
    }
    if series.count > 1:
        last = {"count": series.count, "lastObservedTime": _micro_time(series.last_at)}
        event["series"] = last
    return event


def note(happening: Happening) -> str:
    """Say what happened, and of a warning which PF to look at where the text does not."""
    member, text = happening.member, happening.text
    if happening.is_warning and member and member.pf not in text:
        text += f"; look at {member.pf}, the PF of {member.name}"
    content = text.encode("utf-8", "replace")
    if len(content) <= _NOTE_BYTES:
        return content.decode()
    return content[: _NOTE_BYTES - 3].decode(errors="ignore") + "…"


def _uid(subject: Subject, client: "Client") -> str:
    """Return the pod's UID as the API has it, or nothing where the pod has gone.

    kubelet calls a static pod by a hash without dashes, the API by another.
    """
    if "-" in subject.pod.uid:
        return subject.pod.uid
    with suppress(ApiRefusedError):
        pod = client.get(PODS, subject.pod.namespace, subject.pod.name)
        return pod.section("metadata").text("uid") or ""
    return ""


def _pod(subject: Subject, uid: str | None) -> Mapping[str, str]:
    pod = {"namespace": subject.pod.namespace, "name": subject.pod.name}
    return {"apiVersion": "v1", "kind": "Pod", **pod, **({"uid": uid} if uid else {})}


def _name(happening: Happening) -> str:
    """Name the Event after the pod; a second try has the same name."""
    of = repr((key_of(happening), happening.at)).encode("utf-8", "replace")
    pod = happening.subject.pod.name[:_POD_CHARACTERS].rstrip("-.")
    return f"{pod}.{blake2b(of, digest_size=8).hexdigest()}"


def _micro_time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
