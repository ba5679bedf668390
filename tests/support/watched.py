"""Builders of the watch's data: a bond nf1 over net1 and net2, by default."""

from typing import Any

from deviceinfo import PodRef
from sriovbond.cni.attachment import Attachment
from sriovbond.happenings.happening import Happening, HappeningKind, WatchedBond, WatchedMember
from sriovbond.subject import Subject

UID = "a7a12eba-d958-461a-bb10-d6271ffea285"
NOON = 1_790_000_000.25


def a_subject(pod: str = "nf1", **facts: Any) -> Subject:  # noqa: ANN401 - Subject's fields
    facts = {
        "container_id": f"{pod}-sandbox",
        "ifname": "bond0",
        "network": "bond-net",
        "pod_namespace": "default",
        "pod_name": pod,
        "pod_uid": UID,
        **facts,
    }
    ref = PodRef(facts["pod_namespace"], facts["pod_name"], facts["pod_uid"])
    return Subject(Attachment(facts["container_id"], facts["ifname"]), facts["network"], ref)


def a_watched_member(number: int = 1, **facts: Any) -> WatchedMember:  # noqa: ANN401 - its fields
    """Return net1 of pf1, or another number, working."""
    fields = {
        "device": f"0000:0{number}:10.0",
        "pf": f"pf{number}",
        "is_up": True,
        "is_active": number == 1,
        **facts,
    }
    return WatchedMember(f"net{number}", **fields)


def a_watched_bond(pod: str = "nf1", **facts: Any) -> WatchedBond:  # noqa: ANN401 - its fields
    fields: dict[str, Any] = {
        "mode": "active-backup",
        "has_carrier": True,
        "members": (a_watched_member(1), a_watched_member(2)),
        **facts,
    }
    return WatchedBond(a_subject(pod), **fields)


def a_happening(
    kind: HappeningKind = HappeningKind.FAILOVER,
    pod: str = "nf1",
    **facts: Any,  # noqa: ANN401 - its fields
) -> Happening:
    fields: dict[str, Any] = {
        "text": "bond0: net1 failed, net2 is the active member now",
        "at": NOON,
        "member": a_watched_member(1, is_up=False, is_active=False),
        **facts,
    }
    return Happening(kind, fields.pop("subject", a_subject(pod)), **fields)
