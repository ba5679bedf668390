"""What an API server refuses of an Event of events.k8s.io/v1.

As ValidateEventCreate and ValidateEventUpdate do (Kubernetes, pkg/apis/core/validation/events.go).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

MICRO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
NAME = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
FIELDS = {
    *("apiVersion", "kind", "metadata", "eventTime", "series", "reportingController"),
    *("reportingInstance", "action", "reason", "regarding", "related", "note", "type"),
}
LONGEST = {"action": 128, "reason": 128, "reportingInstance": 128, "note": 1024}


def faults(event: Mapping[str, Any], namespace: str, before: Mapping[str, Any] | None) -> list[str]:
    """Return the faults of an Event that is created, or changed if there was one before."""
    broken = [*_of_fields(event), *_of_names(event, namespace), *_of_series(event.get("series"))]
    if before is not None:
        changed = {name for name in FIELDS - {"series"} if event.get(name) != before.get(name)}
        broken += [f"{name} is immutable" for name in changed]
    return broken


def _of_fields(event: Mapping[str, Any]) -> Iterator[str]:
    for name in event.keys() - FIELDS:
        yield f"there is no {name}"
    for name, longest in LONGEST.items():
        if not 0 < len(event.get(name, "").encode()) <= longest:
            yield f"{name} has no or more than {longest} bytes"
    if not MICRO_TIME.fullmatch(event.get("eventTime", "")):
        yield "eventTime is no MicroTime"
    if event.get("type") not in {"Normal", "Warning"}:
        yield "type is none"
    if not re.fullmatch(r"[A-Za-z0-9][-A-Za-z0-9_.]{0,62}", event.get("reportingController", "")):
        yield "reportingController is no qualified name"


def _of_names(event: Mapping[str, Any], namespace: str) -> Iterator[str]:
    if not NAME.fullmatch(event["metadata"]["name"]):
        yield "metadata.name is no name"
    if {event["metadata"]["namespace"], event["regarding"]["namespace"]} != {namespace}:
        yield "the namespaces differ"


def _of_series(series: Mapping[str, Any] | None) -> Iterator[str]:
    if series is None:
        return
    if series.keys() != {"count", "lastObservedTime"} or series["count"] < 2:
        yield "series.count is below 2, or something is missing"
    if not MICRO_TIME.fullmatch(series.get("lastObservedTime", "")):
        yield "series.lastObservedTime is no MicroTime"
