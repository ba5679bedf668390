"""What came of each document on this node: kubernetes-nmstate's enactment, as a file.

Sources: kubernetes-nmstate, api/shared/nodenetworkconfigurationenactment_types.go, and the
conditions of pkg/enactmentstatus/conditions/conditions.go.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import yaml

from sriovbond import hostname, ownfiles
from sriovbond.host import Host
from sriovbond.trial import persisted

_TYPES: Final = ("Available", "Failing", "Progressing", "Pending", "Aborted")
_MOST_BYTES: Final = 32 << 20
_LONGEST_MESSAGE: Final = 8 << 10


class Reason(StrEnum):
    """Why the conditions are as they are."""

    PROGRESSING = "ConfigurationProgressing"
    CONFIGURED = "SuccessfullyConfigured"
    RETRYING = "Retrying"
    FAILED = "FailedToConfigure"


_TRUE: Final = {
    Reason.PROGRESSING: {"Progressing"},
    Reason.CONFIGURED: {"Available"},
    Reason.RETRYING: {"Failing", "Progressing"},
    Reason.FAILED: {"Failing"},
}


@dataclass(frozen=True, slots=True)
class Enacted:
    """What came of a document, and after how many further tries; None: as many as before."""

    reason: Reason
    message: str
    retries: int | None = None


PROGRESSING: Final = Enacted(Reason.PROGRESSING, "Applying desired state", 0)
CONFIGURED: Final = Enacted(Reason.CONFIGURED, "successfully reconciled")


def failed(message: str) -> Enacted:
    """Return that the node could not be made so, and why."""
    return Enacted(Reason.FAILED, message)


def folder(host: Host) -> Path:
    """Return the folder of the enactments, each under its document's name."""
    return host.state / "enactments"


def note(host: Host, name: str, enacted: Enacted, document: str = "") -> None:
    """Write what came of a document; of one without a name nothing. Raises nothing.

    `document` is what the node is to be, in YAML; where it is empty, that of the earlier file
    stays. It is not synced, and a full disk must keep no network from being restored.
    """
    if not name:
        return
    kept = persisted.kept_name(name)
    file = folder(host) / f"{kept}.yml"
    with suppress(Exception):  # whatever is in the file: a boot goes on with other documents
        ownfiles.make_folder(folder(host), os.geteuid())
        status = _status(file)
        if not status and sum(1 for _ in folder(host).iterdir()) >= persisted.MOST:
            return
        state = yaml.safe_load(document) if document else status.get("desiredState")
        is_counted = enacted.retries is not None
        made = {
            "desiredState": state,
            "retryCount": {"0": enacted.retries} if is_counted else status.get("retryCount") or {},
            "conditions": list(_conditions(status, enacted)),
        }
        content = yaml.safe_dump(_enactment(kept, made), sort_keys=False)
        ownfiles.put_passing(file, content.encode())


def remove(host: Host) -> None:
    """Remove all enactments. Raises MachineError."""
    for file in folder(host).glob("*.yml"):
        ownfiles.remove(file)


def _enactment(name: str, status: dict[str, Any]) -> dict[str, Any]:
    node = hostname.running()
    labels = {"nmstate.io/node": node, "nmstate.io/policy": name}
    return {
        "apiVersion": "nmstate.io/v1beta1",
        "kind": "NodeNetworkConfigurationEnactment",
        "metadata": {"name": f"{node}.{name}", "labels": labels},
        "status": status,
    }


def _status(file: Path) -> dict[str, Any]:
    """Return the status of the earlier file, empty where there is none that can be read."""
    with suppress(Exception):  # a power loss may have left anything
        return dict(yaml.safe_load(ownfiles.read(file, _MOST_BYTES))["status"])
    return {}


def _conditions(before: Mapping[str, Any], enacted: Enacted) -> Iterator[dict[str, str]]:
    """Yield each condition, with the time since which its status is that."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    rows = before.get("conditions")
    known = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    earlier = {str(row.get("type")): row for row in known}
    for type_ in _TYPES:
        status = _value(type_, enacted.reason)
        row = earlier.get(type_, {})
        since = row.get("lastTransitionTime", now) if row.get("status") == status else now
        yield {
            "type": type_,
            "status": status,
            "reason": str(enacted.reason),
            "message": enacted.message[:_LONGEST_MESSAGE] if status == "True" else "",
            "lastHeartbeatTime": now,
            "lastTransitionTime": since,
        }


def _value(type_: str, reason: Reason) -> str:
    if type_ in _TRUE[reason]:
        return "True"
    is_open = reason is Reason.PROGRESSING and type_ in {"Available", "Failing"}
    return "Unknown" if is_open else "False"
