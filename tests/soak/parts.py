"""The parts of the soak: cycles without a leak, a full node, calls at once."""

import os
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

from tests.soak import process
from tests.soak.figures import Report
from tests.soak.node import Node, node
from tests.support import crowds, ipams
from tests.support.calls import a_config
from tests.support.crowds import AT_ONCE, DONE, Crowd
from tests.support.pods import Pod, many_pods
from tests.support.shims import Shim
from tests.support.thick import Config, Thick

CYCLES, BATCH, HANDS = int(os.environ.get("CYCLES") or 1000), 50, 4
BONDS = 250
QUEUED = 100
IDLE_S, WINDOWS = 60.0, 3
MOST_RSS_MIB, MOST_IDLE_PERCENT = 80, 0.2
MOST_KIB_PER_1000, MOST_BLOCKS_PER_1000 = 1024, 10_000
NAMESPACES_UNSURE = 16


def cycles(shim: Shim, report: Report) -> None:
    """ADD and DEL 1,000 times, a new pod each time, and look what the agent holds by then."""
    config = a_config(links=[{"name": "d1"}, {"name": "d2"}], ipam=ipams.host_local(shim.home))
    weights = shim.home / "weights.json"
    with process.an_agent_program(shim, weights=weights) as pid:
        _warm_up(shim, report)
        before, first = node(shim), process.at_rest(pid)
        took: list[float] = []
        held: list[process.InUse] = []
        for number in range(1, CYCLES // BATCH + 1):
            took += _batch(shim, config)
            held.append(process.in_use(weights))
            if number % 4 == 0:
                rss_mib = process.held(pid).rss_kib / 1024
                report.tell("cycles", f"memory after {number * BATCH}", rss_mib, "MiB")
        last = process.at_rest(pid)
        _tell_leaks(report, before, node(shim))
    report.tell("cycles", "ADD and DEL with host-local, cycles", len(took))
    report.tell("cycles", "ADD and DEL, median", statistics.median(took) * 1000, "ms")
    rss_mib = last.rss_kib / 1024
    report.tell("cycles", "memory of the agent (RSS) at the end", rss_mib, "MiB", MOST_RSS_MIB)
    malloc = _grown([one.malloc_kib for one in held])
    report.tell(
        "cycles", "malloc's in use, grown in 1,000 cycles", malloc, "KiB", MOST_KIB_PER_1000
    )
    blocks = _grown([one.blocks for one in held])
    report.tell("cycles", "Python's blocks, grown in 1,000", blocks, "", MOST_BLOCKS_PER_1000)
    for name in ("threads", "descriptors", "foreign_namespaces"):
        grown = getattr(last, name) - getattr(first, name)
        report.tell("cycles", f"{name} more than before, of {getattr(first, name)}", grown, "", 0)


def _grown(values: Sequence[float]) -> float:
    """Return the slope over 1,000 cycles, once all is warm: in the last two thirds."""
    warm = len(values) // 3
    steps = [number * BATCH for number in range(len(values))]
    return process.slope(values[warm:], steps[warm:]) * 1000


def _warm_up(shim: Shim, report: Report) -> None:
    """Have all workers at work, and all loaded."""
    with many_pods(AT_ONCE) as pods:
        crowd = Crowd(shim, pods)
        for command in ("ADD", "DEL"):
            started = time.monotonic()
            failed = [reply.stdout for reply in crowd.call(command) if reply.status]
            took_s = time.monotonic() - started
            report.tell("cycles", f"{AT_ONCE} {command}s at once, all answered after", took_s, "s")
            report.tell("cycles", "of them failed", len(failed), "", 0)
        report.tell("cycles", "bonds that they left", crowd.bonds(), "", 0)


def _batch(shim: Shim, config: Config) -> list[float]:
    def cycle(pod: Pod) -> float:
        started, thick = time.monotonic(), Thick(shim, pod)
        added = thick.call("ADD", config)
        assert added.status == 0, added.stdout
        assert thick.call("DEL", config) == DONE
        return time.monotonic() - started

    with many_pods(BATCH) as pods, ThreadPoolExecutor(HANDS) as pool:
        return list(pool.map(cycle, pods))


def _tell_leaks(report: Report, before: Node, after: Node) -> None:
    for name, value in asdict(after).items():
        unsure = NAMESPACES_UNSURE if name == "namespaces" else 0
        grown = value - asdict(before)[name]
        report.tell(
            "cycles", f"{name} more than before, of {asdict(before)[name]}", grown, "", unsure
        )


def full(shim: Shim, report: Report) -> None:
    """Create 250 bonds; then 100 DELs queued for an agent, then 50 calls at once."""
    with many_pods(BONDS) as pods, many_pods(1) as new:
        crowd = Crowd(shim, pods)
        with process.an_agent_program(shim) as pid:
            alone = process.at_rest(pid)
            report.tell("full", "memory of the agent without bonds", alone.rss_kib / 1024, "MiB")
            _add_all(crowd, report)
            _tell_standing(report, pid)
        waiting, rest = Crowd(shim, pods[:QUEUED]), Crowd(shim, pods[QUEUED:])
        assert waiting.call("DEL") == [DONE] * QUEUED
        report.tell("full", "DELs in the queue while no agent runs", len(shim.queued()))
        started = time.monotonic()
        with process.an_agent_program(shim) as pid:
            ready_s = time.monotonic() - started
            report.tell("full", f"start of an agent to {BONDS} bonds", ready_s, "s")
            replay = crowds.replay(waiting, Crowd(shim, new))
            report.tell("full", f"{QUEUED} queued DELs done after", replay.took_s, "s")
            report.tell("full", "an ADD of a new pod meanwhile", replay.add_s, "s", replay.took_s)
            report.tell("full", "bonds that they left", waiting.bonds(), "", 0)
            _delete_all(rest, report)
            usage = process.at_rest(pid)
            report.tell(
                "full", "foreign namespaces held at the end", usage.foreign_namespaces, "", 0
            )
        report.tell("full", "records and locks at the end", crowd.records() + crowd.locks(), "", 0)


def _add_all(crowd: Crowd, report: Report) -> None:
    started = time.monotonic()
    failed = [reply.stdout for reply in crowd.call("ADD", HANDS) if reply.status]
    took_s = time.monotonic() - started
    report.tell("full", f"ADDs of {BONDS}, {HANDS} at once, that failed", len(failed), "", 0)
    report.tell("full", "an ADD among them, on average", took_s / BONDS * 1000, "ms")
    assert not failed, failed[0]


def _delete_all(crowd: Crowd, report: Report) -> None:
    failed = [reply.stdout for reply in crowd.call("DEL") if reply != DONE]
    name = f"DELs of {len(crowd.pods)}, {AT_ONCE} at once, that failed"
    report.tell("full", name, len(failed), "", 0)
    report.tell("full", "bonds that they left", crowd.bonds(), "", 0)


def _tell_standing(report: Report, pid: int) -> None:
    usage = process.at_rest(pid)
    name = f"memory of the agent (RSS) with {BONDS} bonds"
    report.tell("full", name, usage.rss_kib / 1024, "MiB", MOST_RSS_MIB)
    report.tell("full", "its threads", usage.threads)
    report.tell("full", "its descriptors", usage.descriptors)
    report.tell("full", "foreign namespaces that it holds", usage.foreign_namespaces, "", 0)
    least = 100.0
    for _ in range(WINDOWS):  # a timer's round may fall into one
        least = min(least, process.idle_percent(pid, IDLE_S))
        if least < MOST_IDLE_PERCENT:
            break
    report.tell("full", f"its CPU time over {IDLE_S:.0f} idle s", least, "%", MOST_IDLE_PERCENT)
