"""Events over HTTP: written, counted, rate-limited, retried, and given up."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sriovbond import cluster
from sriovbond.cluster.events import LIMITS, Events, Limits
from sriovbond.happenings.happening import HappeningKind
from sriovbond.host import Host
from tests.docs_tables import CHECKOUT
from tests.support import cluster_api
from tests.support.cluster_api import TOKEN, ClusterApi
from tests.support.watched import NOON, UID, a_happening, a_subject

QUICK = replace(LIMITS, again_s=0.05, pause_s=0.05, per_s=1000.0, write_s=2.0)
POD_PATH = "/api/v1/namespaces/default/pods/nf1"

Make = Callable[..., Events]


@pytest.fixture
def make(api: ClusterApi, tmp_path: Path) -> Iterator[Make]:
    """Create sinks to the server; at the end each must end."""
    made: list[Events] = []

    def build(limits: Limits = QUICK, **user: object) -> Events:
        made.append(Events(api.host(tmp_path, **user), "node-1", limits))
        return made[-1]

    yield build
    api.ended.set()
    assert [sink for sink in made if not sink.close(10)] == []
    assert api.refused == []


def until(holds: Callable[[], object], timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)


def test_a_happening_is_written_with_the_token(api: ClusterApi, make: Make) -> None:
    make()(a_happening())

    until(api.events)
    [event] = api.events()
    assert (event["reason"], event["regarding"]["uid"]) == ("BondFailover", UID)
    assert event["reportingInstance"] == "node-1"
    [got] = api.requests
    assert (got.method, got.token) == ("POST", f"Bearer {TOKEN}")


def test_the_same_again_is_one_event_that_counts(api: ClusterApi, make: Make) -> None:
    sink = make()
    sink(a_happening(at=100.0))
    until(api.events)

    for at in range(101, 121):
        sink(a_happening(at=float(at)))

    until(lambda: api.events()[0].get("series", {}).get("count") == 21)
    [event] = api.events()
    assert event["series"]["lastObservedTime"] == "1970-01-01T00:02:00.000000Z"
    assert event["eventTime"] == "1970-01-01T00:01:40.000000Z"


def test_a_flapping_bond_is_not_written_at_each_flap(api: ClusterApi, make: Make) -> None:
    sink = make(replace(QUICK, again_s=60.0))

    sink(a_happening())
    until(api.events)
    for number in range(999):
        sink(a_happening(at=float(number)))
    time.sleep(0.2)

    assert len(api.requests) == 1
    assert sink.close()
    assert len(api.requests) == 2
    assert api.events()[0]["series"]["count"] == 1000


def test_after_a_while_the_same_is_another_event(api: ClusterApi, make: Make) -> None:
    sink = make(replace(QUICK, open_s=0.1))
    sink(a_happening(at=1.0))
    until(api.events)
    time.sleep(0.2)

    sink(a_happening(at=2.0))

    until(lambda: len(api.events()) == 2)


def test_an_event_that_the_server_has_forgotten_is_written_anew(
    api: ClusterApi, make: Make
) -> None:
    sink = make()
    sink(a_happening())
    until(api.events)
    api.objects.clear()

    sink(a_happening())

    until(api.events)
    assert api.events()[0]["series"]["count"] == 2


@pytest.mark.parametrize("uid", ["", "0123456789abcdef0123456789abcdef"])
def test_an_unknown_uid_is_requested_once(api: ClusterApi, make: Make, uid: str) -> None:
    sink = make()
    happening = a_happening(subject=a_subject(pod_uid=uid))
    sink(happening)
    until(api.events)

    sink(happening)

    until(lambda: "series" in api.events()[0])
    assert api.events()[0]["regarding"]["uid"] == UID
    assert api.paths.count(POD_PATH) == 1


@pytest.mark.parametrize(("code", "times"), [(401, 1), (429, 12), (500, 12)])
def test_a_uid_that_cannot_be_had_now_is_requested_again(
    api: ClusterApi, make: Make, code: int, times: int
) -> None:
    api.fail(cluster_api.status(code), on=POD_PATH, times=times)

    make()(a_happening(subject=a_subject(pod_uid="0123456789abcdef0123456789abcdef")))

    until(api.events)
    assert api.events()[0]["regarding"].get("uid") == UID


def test_of_a_pod_that_has_gone_an_event_is_written_all_the_same(
    api: ClusterApi, make: Make
) -> None:
    make()(a_happening(HappeningKind.RELEASED, subject=a_subject("nf2", pod_uid="")))

    until(api.events)
    assert "uid" not in api.events()[0]["regarding"]


def test_of_a_bond_without_a_pod_nothing_is_written(api: ClusterApi, make: Make) -> None:
    sink = make()

    for facts in ({"pod_name": ""}, {"pod_namespace": ""}, {"pod_name": "../nodes"}):
        sink(a_happening(subject=a_subject(**facts)))

    assert sink.close()
    assert (api.requests, sink.lost) == ([], 0)


@pytest.mark.parametrize(
    "answer",
    [
        cluster_api.status(500),
        cluster_api.status(429, Retry_After="1"),
        cluster_api.status(401),
        cluster_api.hang_up,
        cluster_api.flood(503),
    ],
)
def test_a_failed_write_is_retried(api: ClusterApi, make: Make, answer: cluster_api.Answer) -> None:
    api.fail(answer, times=3)

    sink = make()
    sink(a_happening())
    sink(a_happening(HappeningKind.DEGRADED))

    until(lambda: len(api.events()) == 2)
    assert sink.lost == 0


@pytest.mark.parametrize("answer", [cluster_api.status(500), cluster_api.hang])
def test_a_namespace_whose_events_fail_keeps_those_of_no_other_back(
    api: ClusterApi, make: Make, answer: cluster_api.Answer
) -> None:
    """As with a webhook of that namespace whose server is away."""
    api.fail(answer, on="/namespaces/broken/")
    sink = make(replace(QUICK, write_s=0.5))

    for number in range(3):
        sink(a_happening(subject=a_subject(f"nf{number}", pod_namespace="broken")))
    sink(a_happening())

    until(api.events, timeout_s=5)
    assert sink.lost == 0


def test_an_answer_that_got_lost_makes_no_second_event(api: ClusterApi, make: Make) -> None:
    def lose(handler: cluster_api.Handler) -> None:
        api.answer_to(api.requests[-1])
        cluster_api.hang_up(handler)

    api.fail(lose, on="/events", times=1)
    sink = make()
    sink(a_happening())
    until(lambda: len(api.requests) == 2)

    sink(a_happening())

    until(lambda: "series" in api.events()[0])
    assert len(api.events()) == 1


def test_refused_events_are_dropped_and_logged_once(
    api: ClusterApi, make: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    api.fail(cluster_api.status(403), times=2)
    sink = make()
    for kind in (HappeningKind.FAILOVER, HappeningKind.DEGRADED, HappeningKind.MEMBER_DOWN):
        sink(a_happening(kind))
    until(api.events)

    assert (sink.lost, len(api.events())) == (2, 1)
    err = capfd.readouterr().err
    assert err.count("403: no right to create events.events.k8s.io") == 1
    assert "level=warning" in err
    assert TOKEN not in err


def test_an_event_that_cannot_be_written_for_too_long_is_lost(api: ClusterApi, make: Make) -> None:
    api.fail(cluster_api.status(503))

    sink = make(replace(QUICK, give_up_s=0.2))
    sink(a_happening())

    until(lambda: sink.lost == 1)


def test_more_than_there_is_room_for_is_lost(api: ClusterApi, make: Make) -> None:
    api.fail(cluster_api.hang)
    sink = make(replace(QUICK, series=10, series_of_a_bond=3))

    for pod in range(20):
        sink(a_happening(pod=f"nf{pod}"))
    assert sink.lost == 10

    crowded = make(replace(QUICK, series_of_a_bond=3))
    for number in range(5):
        crowded(a_happening(text=f"one of {number}"))
    crowded(a_happening(pod="nf2"))
    assert crowded.lost == 2


def test_written_events_take_no_room_from_new_ones(api: ClusterApi, make: Make) -> None:
    """All bonds of a node fail over, and back: each has five Events within minutes."""
    sink = make(replace(QUICK, series=10))
    for pod in range(10):
        sink(a_happening(pod=f"nf{pod}"))
    until(lambda: len(api.events()) == 10)

    for pod in range(10):
        sink(a_happening(HappeningKind.RESTORED, pod=f"nf{pod}"))

    until(lambda: len(api.events()) == 20)
    sink(a_happening(pod="nf0"))
    until(lambda: any("series" in event for event in api.events()))
    assert (sink.lost, len(api.events())) == (0, 20)


def test_of_too_many_written_ones_the_oldest_is_counted_no_more(
    api: ClusterApi, make: Make
) -> None:
    sink = make(replace(QUICK, series=2, series_in_all=4))
    for pod in range(5):
        sink(a_happening(pod=f"nf{pod}"))
        until(lambda: len(api.events()) == pod + 1)  # noqa: B023 - called within the loop

    for pod in (4, 0):
        sink(a_happening(pod=f"nf{pod}", at=NOON + 1))

    until(lambda: len(api.events()) == 6 and any("series" in event for event in api.events()))
    assert sink.lost == 0


def test_a_storm_is_written_no_faster_than_allowed(api: ClusterApi, make: Make) -> None:
    sink = make(replace(QUICK, burst=5, per_s=20.0))

    began = time.monotonic()
    for pod in range(12):
        sink(a_happening(pod=f"nf{pod}"))

    until(lambda: len(api.events()) == 12)
    assert api.requests[-1].at - began > (12 - 5) / 20.0 - 0.01


def test_a_caller_never_waits_for_a_server_that_hangs(api: ClusterApi, make: Make) -> None:
    api.fail(cluster_api.hang)
    sink = make(replace(QUICK, write_s=60.0))
    started = time.monotonic()

    for number in range(2000):
        sink(a_happening(pod=f"nf{number % 500}"))

    assert not sink.close(0.2)
    assert time.monotonic() - started < 20  # waiting for a single write would take longer


def test_closing_writes_the_waiting_events_and_drops_later_ones(
    api: ClusterApi, make: Make
) -> None:
    sink = make(replace(QUICK, burst=3, per_s=0.01))
    for pod in range(9):
        sink(a_happening(pod=f"nf{pod}"))

    assert sink.close()

    sink(a_happening(pod="late"))
    assert len(api.events()) == 9
    assert sink.lost == 1


def test_closing_does_not_try_again(api: ClusterApi, make: Make) -> None:
    api.fail(cluster_api.status(503))
    sink = make(replace(QUICK, pause_s=30.0))
    sink(a_happening())
    until(lambda: api.requests)

    assert sink.close(3)
    assert sink.lost == 1


@pytest.mark.parametrize(("content", "why"), [(None, "no such file"), ("{}", "no kubeconfig")])
def test_a_kubeconfig_that_is_missing_or_wrong_is_reported_and_looked_at_again(
    api: ClusterApi,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    content: str | None,
    why: str,
) -> None:
    file = tmp_path / "sriovbond.kubeconfig"
    if content is not None:
        file.write_text(content)
    sink = Events(Host(kubeconfig=file), "node-1", QUICK)
    sink(a_happening())
    told = ""

    def is_told() -> bool:
        nonlocal told
        told += capfd.readouterr().err
        return why in told

    until(is_told)
    api.kubeconfig(tmp_path)

    until(api.events)
    assert sink.close()


def test_kubernetes_is_loaded_with_the_first_event_and_not_before(
    api: ClusterApi, tmp_path: Path
) -> None:
    program = (
        "import sys; from pathlib import Path; from sriovbond import cluster;"
        "from sriovbond.host import Host; from tests.support.watched import a_happening;"
        "sink = cluster.sink(Host(kubeconfig=Path(sys.argv[1])), 'node-1');"
        "before = 'kubernetes' in sys.modules; sink(a_happening()); sink.close(20);"
        "print(before, 'kubernetes' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, str(api.kubeconfig(tmp_path))],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "False True\n"
    assert len(api.events()) == 1


def test_missing_credentials_are_reported_at_the_start(
    api: ClusterApi, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cluster.sink(Host(kubeconfig=tmp_path / "none"), "node-1").close()
    told = capfd.readouterr().err
    assert cluster.sink(api.host(tmp_path), "node-1").close()
    assert cluster.sink(Host(service_account=tmp_path), "node-1").close()

    assert f"cannot write Kubernetes Events yet: there is no kubeconfig {tmp_path}/none" in told
    assert capfd.readouterr().err == ""
