"""The agent's metrics: name, kind, labels and help, one row each; no library needed."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class SeriesKind(StrEnum):
    """The metric types in use."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Row:
    """One metric; a counter's name ends in _total, units are base units."""

    name: str
    kind: SeriesKind
    labels: tuple[str, ...]
    help: str


# Not `pod` and `namespace`: Prometheus sets those to the scraped pod's.
BOND: Final = ("pod_namespace", "pod_name", "ifname", "network")
MEMBER: Final = (*BOND, "member", "device", "pf")

BUCKETS: Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 90.0),
)
"""Histogram buckets in seconds: dense around an ADD's duration, up to the shim's deadline."""

# fmt: off
BONDS = Row("sriovbond_bonds", SeriesKind.GAUGE, (), "Bonds that the agent watches on this node.")
CARRIER = Row("sriovbond_bond_carrier", SeriesKind.GAUGE, BOND, "1 while the bond has its carrier.")
MEMBERS = Row("sriovbond_bond_members", SeriesKind.GAUGE, BOND, "Members that ADD put into the bond.")
WORKING = Row("sriovbond_bond_members_working", SeriesKind.GAUGE, BOND, "Members that are in the bond and up, in 802.3ad in its active aggregator too; fewer than sriovbond_bond_members is a degraded bond.")
FAILOVERS = Row("sriovbond_bond_failovers_total", SeriesKind.COUNTER, BOND, "Times that another member became the active one, since the agent watches the bond.")
FAILED_OVER = Row("sriovbond_bond_last_failover_timestamp_seconds", SeriesKind.GAUGE, BOND, "Time of the last failover; 0 if none was seen.")
DRIFT = Row("sriovbond_bond_drift", SeriesKind.GAUGE, BOND, "Options, addresses and routes that differ from what ADD set; of more than 100 it is 101.")
REFUSED = Row("sriovbond_bond_members_refused", SeriesKind.GAUGE, BOND, "Members that came back and must not or cannot be in the bond again; the bond stays degraded.")
MEMBER_UP = Row("sriovbond_member_up", SeriesKind.GAUGE, MEMBER, "1 while the bond takes the member's link for up, by MII or ARP monitor, and in 802.3ad has it in the active aggregator.")
MEMBER_ACTIVE = Row("sriovbond_member_active", SeriesKind.GAUGE, MEMBER, "1 for the member that carries the traffic, in the modes that have an active one.")
MEMBER_IN_BOND = Row("sriovbond_member_in_bond", SeriesKind.GAUGE, MEMBER, "1 while the member is in the bond; 0 after its PF was reset or its driver unbound.")
LINK_FAILURES = Row("sriovbond_member_link_failures_total", SeriesKind.COUNTER, MEMBER, "Times that the kernel saw the member's link fail.")
QUEUE = Row("sriovbond_queue_length", SeriesKind.GAUGE, (), "DELs that were kept and are not done yet.")
KEPT = Row("sriovbond_addresses_kept", SeriesKind.GAUGE, ("network",), "Attachments that are gone and whose addresses IPAM has not released yet.")
DURATION = Row("sriovbond_command_duration_seconds", SeriesKind.HISTOGRAM, ("command",), "Time from a request to its answer, without the wait for its turn.")
STEP_DURATION = Row("sriovbond_command_step_duration_seconds", SeriesKind.HISTOGRAM, ("command", "step"), "Time that a step of a command took.")
ERRORS = Row("sriovbond_command_errors_total", SeriesKind.COUNTER, ("command", "code", "rule"), "Commands answered with an error, by CNI code and by the rule that was broken; code is other where an IPAM plugin has its own.")
LEAKS = Row("sriovbond_leaks_repaired_total", SeriesKind.COUNTER, (), "Attachments whose pod went without a DEL, or whose ADD was killed, and that the agent released.")
REPAIRS = Row("sriovbond_repairs_total", SeriesKind.COUNTER, ("outcome",), "Members that came back: repaired are in their bond again, refused are not.")
HAPPENINGS = Row("sriovbond_happenings_total", SeriesKind.COUNTER, ("kind",), "What happened to bonds, by the reason that Kubernetes Events have.")
OVERRUNS = Row("sriovbond_watch_overruns_total", SeriesKind.COUNTER, (), "Times that the kernel's events came too fast, so that all links were read again.")
LOUD = Row("sriovbond_watch_loud_namespaces", SeriesKind.GAUGE, (), "Namespaces of pods whose links change too often: they are read every few seconds, so failovers there are reported late.")
LINES_LOST = Row("sriovbond_log_lines_lost_total", SeriesKind.COUNTER, (), "Lines of the log that were lost because it was not read, or could not be written.")
DAMAGED = Row("sriovbond_damaged_records", SeriesKind.GAUGE, (), "Records that are damaged, or of a newer version, and were set aside: what they describe was not put back.")
EVENTS_LOST = Row("sriovbond_kubernetes_events_lost_total", SeriesKind.COUNTER, (), "Kubernetes Events that could not be written.")
BUILD = Row("sriovbond_build_info", SeriesKind.GAUGE, ("version",), "1, labelled with the agent's version.")
# fmt: on

ROWS: Final = (
    *(BONDS, CARRIER, MEMBERS, WORKING, FAILOVERS, FAILED_OVER, DRIFT, REFUSED),
    *(MEMBER_UP, MEMBER_ACTIVE, MEMBER_IN_BOND, LINK_FAILURES),
    *(DURATION, STEP_DURATION, ERRORS, QUEUE, KEPT),
    *(LEAKS, REPAIRS, HAPPENINGS, OVERRUNS, LOUD, EVENTS_LOST, LINES_LOST, DAMAGED, BUILD),
)
