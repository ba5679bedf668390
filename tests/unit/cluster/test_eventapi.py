"""An Event of a happening: its fields, and that an API server would accept it."""

from typing import Any

import pytest

from sriovbond.cluster import eventapi
from sriovbond.cluster.eventapi import Series
from sriovbond.happenings.happening import Happening, HappeningKind
from tests.support import event_rules
from tests.support.watched import NOON, UID, a_happening, a_subject, a_watched_member


def built(happening: Happening, **facts: Any) -> dict[str, Any]:  # noqa: ANN401 - Series' fields
    series = Series(happening, happening.at, **{"uid": UID, **facts})
    event: dict[str, Any] = eventapi.build(series, "node-1")
    assert event_rules.faults(event, happening.subject.pod.namespace, None) == []
    return event


def test_an_event_is_on_the_pod_and_says_who_reports_it() -> None:
    event = built(a_happening())

    assert event["regarding"] == {
        "apiVersion": "v1",
        "kind": "Pod",
        "namespace": "default",
        "name": "nf1",
        "uid": UID,
    }
    assert (event["reason"], event["type"], event["action"]) == ("BondFailover", "Warning", "Watch")
    assert (event["reportingController"], event["reportingInstance"]) == ("sriovbond", "node-1")
    assert event["eventTime"] == "2026-09-21T14:13:20.250000Z"
    assert "series" not in event


@pytest.mark.parametrize("kind", HappeningKind)
def test_every_kind_is_an_event(kind: HappeningKind) -> None:
    happening = a_happening(kind)

    event = built(happening)

    assert event["reason"] == kind.value
    assert (event["type"] == "Warning") == happening.is_warning


def test_a_warning_says_which_pf_to_look_at() -> None:
    assert built(a_happening())["note"] == (
        "bond0: net1 failed, net2 is the active member now; look at pf1, the PF of net1"
    )
    told = "bond0: net1 (0000:01:10.0 of pf1) is down; look at pf1, its cable and its switch port"
    assert built(a_happening(text=told))["note"] == told


@pytest.mark.parametrize(
    "happening",
    [
        a_happening(HappeningKind.RESTORED),
        a_happening(member=None),
        a_happening(member=a_watched_member(pf="")),
    ],
)
def test_a_pf_is_named_only_where_it_can_be_the_cause(happening: Happening) -> None:
    assert "look at" not in built(happening)["note"]


@pytest.mark.parametrize("text", ["x" * 2000, "é" * 2000, "🔌" * 500, "a\udcff"])
def test_a_note_keeps_to_the_bound_of_bytes(text: str) -> None:
    note = built(a_happening(text=text))["note"]

    assert len(note.encode()) <= 1024


def test_a_series_has_count_and_last_time() -> None:
    event = built(a_happening(), count=7)

    assert event["series"] == {"count": 7, "lastObservedTime": "2026-09-21T14:13:20.250000Z"}


def test_a_name_is_the_same_at_a_second_try_and_another_for_another_happening() -> None:
    one = a_happening()
    others = [
        a_happening(at=NOON + 1e-3),
        a_happening(HappeningKind.DEGRADED),
        a_happening(subject=a_subject(ifname="bond1")),
        a_happening(text="net2 failed"),
    ]

    names = [built(happening)["metadata"]["name"] for happening in (one, *others)]

    assert built(a_happening())["metadata"]["name"] == names[0]
    assert len(set(names)) == 5


@pytest.mark.parametrize("pod", ["a" * 253, f"{'a' * 199}.{'b' * 50}", f"{'a' * 198}-.b"])
def test_the_longest_pods_have_events(pod: str) -> None:
    assert built(a_happening(subject=a_subject(pod)))["metadata"]["name"].startswith("aaa")


def test_a_pod_whose_uid_is_not_known_is_named_without() -> None:
    assert "uid" not in built(a_happening(), uid="")["regarding"]
