"""The metrics: which series are exposed, with which labels, and for how long."""

import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sriovbond import __version__, aside
from sriovbond.agent.report import series
from sriovbond.agent.report.metrics import Metrics
from sriovbond.cni.wire import ErrorCode
from sriovbond.dispatch import Failure
from sriovbond.happenings.happening import HappeningKind, WatchedBond
from sriovbond.host import Host
from tests.docs_tables import CHECKOUT
from tests.support.watched import a_happening, a_subject, a_watched_bond, a_watched_member

Sample = tuple[str, frozenset[tuple[str, str]]]
NF1 = {
    "pod_namespace": "default",
    "pod_name": "nf1",
    "ifname": "bond0",
    "network": "bond-net",
}
NET1 = {**NF1, "member": "net1", "device": "0000:01:10.0", "pf": "pf1"}


def some_metrics(bonds: Iterable[WatchedBond] = ()) -> Metrics:
    return Metrics(lambda: list(bonds), lambda: 0, kept=lambda: {"net": 2})


def told(metrics: Metrics) -> dict[Sample, float]:
    """Return the samples of a scrape; a duplicate one is a fault."""
    found: dict[Sample, float] = {}
    for family in text_string_to_metric_families(metrics.page().content.decode()):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, key
            found[key] = sample.value
    return found


def value(metrics: Metrics, name: str, labels: Mapping[str, str] = {}) -> float:
    return told(metrics)[name, frozenset(labels.items())]


def test_a_bond_and_its_members_are_reported_with_pod_and_pf() -> None:
    members = (a_watched_member(1, failures=3), a_watched_member(2, is_up=False))
    bond = a_watched_bond(
        members=members,
        failovers=7,
        failed_over_at=1e9,
        drift=("miimon is 0, planned 100",),
        refused=("net2 is back, and has no VLAN where ADD found VLAN 7",),
    )

    found = told(some_metrics([bond]))

    def of(name: str, labels: Mapping[str, str]) -> float:
        return found[f"sriovbond_{name}", frozenset(labels.items())]

    assert of("bonds", {}) == of("bond_carrier", NF1) == of("bond_drift", NF1) == 1
    assert of("bond_members_refused", NF1) == 1
    assert (of("bond_members", NF1), of("bond_members_working", NF1)) == (2, 1)
    assert (of("bond_failovers_total", NF1), of("member_link_failures_total", NET1)) == (7, 3)
    assert of("bond_last_failover_timestamp_seconds", NF1) == 1e9
    net2 = {**NF1, "member": "net2", "device": "0000:02:10.0", "pf": "pf2"}
    assert [of(name, net2) for name in ("member_up", "member_active", "member_in_bond")] == [
        0,
        0,
        1,
    ]
    assert [of(name, NET1) for name in ("member_up", "member_active", "member_in_bond")] == [
        1,
        1,
        1,
    ]


def test_the_series_of_a_bond_go_with_it() -> None:
    bonds = [a_watched_bond("nf1"), a_watched_bond("nf2")]
    metrics = some_metrics(bonds)
    before = set(told(metrics))

    del bonds[1]

    gone = before - set(told(metrics))
    assert gone == {one for one in before if ("pod_name", "nf2") in one[1]} != set()


def test_of_a_sandbox_and_its_successor_the_later_one_is_exported() -> None:
    first = a_watched_bond(failovers=5)
    second = replace(first, subject=a_subject(container_id="another"), failovers=1)

    metrics = some_metrics([first, second])

    assert value(metrics, "sriovbond_bond_failovers_total", NF1) == 1
    assert value(metrics, "sriovbond_bonds") == 2


def test_bonds_without_a_pod_are_distinguished_by_their_containers() -> None:
    nameless = [
        replace(a_watched_bond(), subject=a_subject(pod_name="", container_id=name))
        for name in ("one", "two")
    ]

    found = told(some_metrics(nameless))

    for name in ("one", "two"):
        labels = frozenset({**NF1, "pod_name": name}.items())
        assert found["sriovbond_bond_members", labels] == 2


def test_labels_may_hold_any_bytes() -> None:
    odd = replace(a_watched_bond(), subject=a_subject(network='a"\\\n\udcff'))

    labels = {**NF1, "network": 'a"\\\n?'}

    assert value(some_metrics([odd]), "sriovbond_bond_members", labels) == 2


def test_a_command_is_timed_as_a_whole_and_by_step() -> None:
    metrics = some_metrics()

    metrics.count_call("ADD", 0.12, {"look": 0.02, "build": 0.08})

    found = told(metrics)
    whole, step = "sriovbond_command_duration_seconds", "sriovbond_command_step_duration_seconds"
    add = {"command": "ADD"}
    assert found[f"{whole}_sum", frozenset(add.items())] == 0.12
    assert found[f"{whole}_bucket", frozenset({**add, "le": "0.1"}.items())] == 0
    assert found[f"{whole}_bucket", frozenset({**add, "le": "0.15"}.items())] == 1
    assert found[f"{step}_count", frozenset({**add, "step": "build"}.items())] == 1
    assert not [name for name, _ in found if name == "sriovbond_command_errors_total"]


@pytest.mark.parametrize(
    ("failure", "code", "rule"),
    [
        (Failure(101, "a [name-taken]", rule="name-taken"), "101", "name-taken"),
        (Failure(ErrorCode.INVALID_CONFIG, "a"), "7", ""),
        (Failure(999, "of IPAM"), "999", ""),
        (Failure(31337, "of IPAM"), "other", ""),
    ],
)
def test_an_error_is_counted_by_the_code_where_it_is_known_and_by_the_rule(
    failure: Failure, code: str, rule: str
) -> None:
    metrics = some_metrics()

    metrics.count_call("ADD", 0.1, {}, failure)

    labels = {"command": "ADD", "code": code, "rule": rule}
    assert value(metrics, "sriovbond_command_errors_total", labels) == 1


def test_commands_that_are_none_share_one_label() -> None:
    metrics = some_metrics()

    for command in ("FROB", "", "\udcff"):
        metrics.count_call(command, 0.1, {}, Failure(11, "later"))

    labels = {"command": "other", "code": "11", "rule": ""}
    assert value(metrics, "sriovbond_command_errors_total", labels) == 3


def test_happenings_are_counted_by_kind_and_repairs_by_outcome() -> None:
    metrics = some_metrics()

    for kind in (
        HappeningKind.FAILOVER,
        HappeningKind.REPAIRED,
        HappeningKind.REPAIR_REFUSED,
        HappeningKind.REPAIRED,
        HappeningKind.RELEASED,
    ):
        metrics.tell(a_happening(kind))
    metrics.overrun()

    assert value(metrics, "sriovbond_happenings_total", {"kind": "BondFailover"}) == 1
    assert value(metrics, "sriovbond_happenings_total", {"kind": "BondDrift"}) == 0
    assert value(metrics, "sriovbond_repairs_total", {"outcome": "repaired"}) == 2
    assert value(metrics, "sriovbond_repairs_total", {"outcome": "refused"}) == 1
    assert value(metrics, "sriovbond_leaks_repaired_total") == 1
    assert value(metrics, "sriovbond_watch_overruns_total") == 1


def test_queue_lost_events_version_and_process_are_exported() -> None:
    metrics = Metrics(list, lambda: 3, lambda: 4)

    assert value(metrics, "sriovbond_queue_length") == 3
    assert value(metrics, "sriovbond_kubernetes_events_lost_total") == 4
    assert value(metrics, "sriovbond_build_info", {"version": __version__}) == 1
    assert value(metrics, "process_resident_memory_bytes") > 0


def test_a_series_that_cannot_be_read_now_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "records").symlink_to("records")  # ELOOP
    host = Host(state=tmp_path)
    metrics = Metrics(list, lambda: 3, gauges={series.DAMAGED: lambda: len(aside.files(host))})

    assert value(metrics, "sriovbond_queue_length") == 3
    assert (series.DAMAGED.name, frozenset()) not in told(metrics)


def test_two_agents_count_each_for_itself() -> None:
    one, other = some_metrics(), some_metrics()

    one.overrun()

    assert value(other, "sriovbond_watch_overruns_total") == 0


def test_the_exposition_has_the_metrics_of_the_table_and_no_others() -> None:
    metrics = some_metrics([a_watched_bond()])
    metrics.count_call("ADD", 0.1, {"look": 0.1}, Failure(101, "a", rule="name-taken"))

    exposed = {
        # the parser's counters do not have the suffix
        family.name + "_total" * (family.type == "counter"): (
            family.type,
            {label for sample in family.samples for label in sample.labels} - {"le"},
            family.documentation,
        )
        for family in text_string_to_metric_families(metrics.page().content.decode())
        if not family.name.startswith("process_")
    }

    assert exposed == {row.name: (row.kind, set(row.labels), row.help) for row in series.ROWS}


@pytest.mark.parametrize("row", series.ROWS, ids=lambda row: row.name)
def test_names_keep_to_the_conventions(row: series.Row) -> None:
    assert row.name.startswith("sriovbond_")
    assert (row.kind is series.SeriesKind.COUNTER) == row.name.endswith("_total")
    assert (row.kind is series.SeriesKind.HISTOGRAM) <= row.name.endswith("_seconds")
    assert row.help.endswith(".")
    assert not {"pod", "namespace", "instance", "job"} & set(row.labels)


def test_the_library_is_loaded_by_nothing_that_a_plugin_or_the_reference_loads() -> None:
    program = (
        "import sys, sriovbond.dispatch, sriovbond.cli.reference, sriovbond.agent.report.series;"
        "print('prometheus_client' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )

    assert done.stdout == "False\n"
