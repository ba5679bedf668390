"""The agent's metrics; the only module that uses prometheus_client."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Final

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sriovbond import __version__, dispatch
from sriovbond.agent.report import series
from sriovbond.agent.report.pages import Page
from sriovbond.agent.report.series import Row
from sriovbond.cni.versions import Command
from sriovbond.cni.wire import ErrorCode
from sriovbond.dispatch import Failure
from sriovbond.errors import SriovbondError
from sriovbond.happenings.happening import Happening, HappeningKind, WatchedBond, WatchedMember

_OTHER: Final = "other"
_GO_DEFAULT: Final = 999  # the code of Go plugins that set none (libcni, pkg/types)
_CODES: Final = frozenset(
    {*ErrorCode, *(code for _, code in dispatch.CODES), dispatch.IPAM, dispatch.INTERNAL}
    | {_GO_DEFAULT}
)
_OUTCOMES: Final = {HappeningKind.REPAIRED: "repaired", HappeningKind.REPAIR_REFUSED: "refused"}
_COMMANDS: Final = frozenset(Command)

prometheus_client.disable_created_metrics()  # no *_created series: they would double the page


class Metrics:
    """The metrics of one agent, in a registry of its own; thread-safe.

    The series of bonds are collected at each scrape, in its thread: they end with their bond. Of
    two bonds with equal labels (a sandbox and its successor) the later one is exported.
    """

    def __init__(
        self,
        bonds: Callable[[], Sequence[WatchedBond]],
        queued: Callable[[], int],
        events_lost: Callable[[], int] = lambda: 0,
        gauges: Mapping[Row, Callable[[], int]] = MappingProxyType({}),
        kept: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self.registry: Final = CollectorRegistry()
        self.registry.register(_Bonds(bonds))
        none = dict.fromkeys((series.LOUD, series.LINES_LOST, series.DAMAGED), lambda: 0)
        readers = {series.QUEUE: queued, series.EVENTS_LOST: events_lost, **none, **gauges}
        self.registry.register(_Agent(readers, kept))
        self._durations = self._histogram(series.DURATION)
        self._step_durations = self._histogram(series.STEP_DURATION)
        self._errors = self._counter(series.ERRORS)
        self._leaks = self._counter(series.LEAKS)
        self._repairs = self._counter(series.REPAIRS)
        self._happenings = self._counter(series.HAPPENINGS)
        self._overruns = self._counter(series.OVERRUNS)
        self._start_at_zero()
        ProcessCollector(registry=self.registry)

    def tell(self, happening: Happening) -> None:
        """Count a bond's event."""
        self._happenings.labels(happening.kind).inc()
        if happening.kind is HappeningKind.RELEASED:
            self._leaks.inc()
        if outcome := _OUTCOMES.get(happening.kind):
            self._repairs.labels(outcome).inc()

    def count_call(
        self,
        command: str,
        seconds: float,
        steps: Mapping[str, float],
        failure: Failure | None = None,
    ) -> None:
        """Count a command and its durations in seconds; `steps` are those that log.timed yields."""
        name = command if command in _COMMANDS else _OTHER
        self._durations.labels(name).observe(seconds)
        for step, took in steps.items():
            self._step_durations.labels(name, step).observe(took)
        if failure:
            self.count_error(name, failure)

    def count_error(self, command: str, failure: Failure) -> None:
        """Count an error, also of a call that never had its turn."""
        name = command if command in _COMMANDS else _OTHER
        code = str(int(failure.code)) if failure.code in _CODES else _OTHER
        self._errors.labels(name, code, failure.rule).inc()

    def overrun(self) -> None:
        """Count an overrun of the watch's socket."""
        self._overruns.inc()

    def page(self) -> Page:
        """Return the page with all metrics, in Prometheus' text format."""
        content = prometheus_client.generate_latest(self.registry)
        return Page(content, prometheus_client.CONTENT_TYPE_PLAIN_0_0_4)

    def _histogram(self, row: Row) -> Histogram:
        return Histogram(
            row.name, row.help, row.labels, registry=self.registry, buckets=series.BUCKETS
        )

    def _counter(self, row: Row) -> Counter:
        return Counter(row.name, row.help, row.labels, registry=self.registry)

    def _start_at_zero(self) -> None:
        """Create the series with known labels, so that rate() sees their first increase."""
        for command in _COMMANDS - {Command.VERSION}:  # VERSION is answered by the shim
            self._durations.labels(command)
        for kind in HappeningKind:
            self._happenings.labels(kind)
        for outcome in _OUTCOMES.values():
            self._repairs.labels(outcome)


class _Bonds(Collector):
    def __init__(self, bonds: Callable[[], Sequence[WatchedBond]]) -> None:
        self._bonds = bonds

    def collect(self) -> Iterator[Metric]:
        bonds = self._bonds()
        by_labels = {_bond_labels(bond): bond for bond in bonds}
        yield _family(series.BONDS, {(): len(bonds)})
        for row, number in _OF_BONDS.items():
            yield _family(row, {labels: number(bond) for labels, bond in by_labels.items()})
        members = {
            (*labels, *_texts(member.name, member.device, member.pf)): member
            for labels, bond in by_labels.items()
            for member in bond.members
        }
        for row, count in _OF_MEMBERS.items():
            yield _family(row, {labels: count(member) for labels, member in members.items()})


class _Agent(Collector):
    def __init__(
        self, readers: Mapping[Row, Callable[[], int]], kept: Callable[[], Mapping[str, int]]
    ) -> None:
        self._readers = readers
        self._kept = kept

    def collect(self) -> Iterator[Metric]:
        for row, ask in self._readers.items():
            values: dict[tuple[str, ...], float] = {}
            with suppress(SriovbondError):  # a failed read must not hide the other metrics
                values = {(): ask()}
            yield _family(row, values)
        counts = {_texts(network): count for network, count in self._kept().items()}
        yield _family(series.KEPT, counts)
        yield _family(series.BUILD, {(__version__,): 1})


_OF_BONDS: Final[Mapping[Row, Callable[[WatchedBond], float]]] = {
    series.CARRIER: lambda bond: bond.has_carrier,
    series.MEMBERS: lambda bond: len(bond.members),
    series.WORKING: lambda bond: bond.working,
    series.FAILOVERS: lambda bond: bond.failovers,
    series.FAILED_OVER: lambda bond: bond.failed_over_at,
    series.DRIFT: lambda bond: len(bond.drift),
    series.REFUSED: lambda bond: len(bond.refused),
}
_OF_MEMBERS: Final[Mapping[Row, Callable[[WatchedMember], float]]] = {
    series.MEMBER_UP: lambda member: member.is_up and member.is_in_aggregator,
    series.MEMBER_ACTIVE: lambda member: member.is_active,
    series.MEMBER_IN_BOND: lambda member: member.is_in_bond,
    series.LINK_FAILURES: lambda member: member.failures,
}


def _family(row: Row, values: Mapping[tuple[str, ...], float]) -> Metric:
    family_type = (
        CounterMetricFamily if row.kind is series.SeriesKind.COUNTER else GaugeMetricFamily
    )
    family = family_type(row.name, row.help, labels=row.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _bond_labels(bond: WatchedBond) -> tuple[str, ...]:
    """Return the labels of a bond; without a known pod, the container's id instead of its name."""
    of = bond.subject
    return _texts(
        of.pod.namespace,
        of.pod.name or of.attachment.container_id,
        of.attachment.ifname,
        of.network,
    )


def _texts(*texts: str) -> tuple[str, ...]:
    """Return the texts encodable as UTF-8: one that is not would fail the whole page."""
    return tuple(text.encode("utf-8", "replace").decode() for text in texts)
