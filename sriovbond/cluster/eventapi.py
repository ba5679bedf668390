"""Builds Events of events.k8s.io/v1 from happenings, and writes them through the client.

The bounds are those of ValidateEventCreate (Kubernetes, pkg/apis/core/validation/events.go).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from sriovbond.cluster.resources import EVENTS, PODS, ApiRefusedError
from sriovbond.happenings.happening import Happening, HappeningKind
from sriovbond.subject import Subject

if TYPE_CHECKING:  # imports kubernetes
    from sriovbond.cluster.client import Client

CONTROLLER: Final = "sriovbond"
_NOTE_BYTES: Final = 1024
_POD_CHARACTERS: Final = 200  # an Event's name may have 253
_GONE: Final = 404
_ACTIONS: Final = {
    HappeningKind.REPAIRED: "Repair",
    HappeningKind.REPAIR_REFUSED: "Repair",
    HappeningKind.RELEASED: "Release",
}
"""An Event's `action`, where it is another than watching."""


@dataclass(slots=True)
class Series:
    """One or more equal happenings; `written` is the count that the API has.

    `uid` is the pod's; None until it is known.
    """

    first: Happening
    last_at: float
    count: int = 1
    written: int = 0
    uid: str | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """The fields that are equal in all of them."""
        return key_of(self.first)


def key_of(happening: Happening) -> tuple[object, ...]:
    """Return the fields that two happenings of one Event have in common."""
    member = happening.member.name if happening.member else ""
    return (happening.subject, happening.kind, member, happening.text)


def write(series: Series, node: str, client: "Client") -> None:
    """Write the series to the API as it is now. Raises ApiRefusedError, UnreadableError."""
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
            series.written = 0  # the API deletes Events, by default after an hour
    if not series.written:
        client.create(EVENTS, namespace, event)
    series.written = count


def build(series: Series, node: str) -> dict[str, object]:
    """Build the Event; for more than one happening with their count and last time."""
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
    """Return the Event's note; that of a warning names the PF where the text does not."""
    member, text = happening.member, happening.text
    if happening.is_warning and member and member.pf not in text:
        text += f"; look at {member.pf}, the PF of {member.name}"
    content = text.encode("utf-8", "replace")
    if len(content) <= _NOTE_BYTES:
        return content.decode()
    return content[: _NOTE_BYTES - 3].decode(errors="ignore") + "…"


def _uid(subject: Subject, client: "Client") -> str:
    """Return the pod's UID from the API, "" when the pod no longer exists or must not be read.

    kubelet identifies a static pod by a hash without dashes, the API by another UID. Raises
    ApiRefusedError when it cannot be read now: without it kubectl would not show the Event.
    """
    if "-" in subject.pod.uid:
        return subject.pod.uid
    try:
        pod = client.get(PODS, subject.pod.namespace, subject.pod.name)
    except ApiRefusedError as error:
        if not error.is_lasting:
            raise
        return ""
    return pod.section("metadata").text("uid") or ""


def _pod(subject: Subject, uid: str | None) -> Mapping[str, str]:
    pod = {"namespace": subject.pod.namespace, "name": subject.pod.name}
    return {"apiVersion": "v1", "kind": "Pod", **pod, **({"uid": uid} if uid else {})}


def _name(happening: Happening) -> str:
    """Return the Event's name, which begins with the pod's and is the same in each attempt."""
    of = repr((key_of(happening), happening.at)).encode("utf-8", "replace")
    pod = happening.subject.pod.name[:_POD_CHARACTERS].rstrip("-.")
    return f"{pod}.{blake2b(of, digest_size=8).hexdigest()}"


def _micro_time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
