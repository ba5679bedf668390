"""What an ADD takes around the kernel's part, on this machine itself, where no bond is needed.

Before it: look, plan, record. After it: compare, complete the record, answer.
"""

import io
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sriovbond import records
from sriovbond.bond import plan as planning
from sriovbond.cni.result import CniResult, Interface
from sriovbond.cni.versions import CURRENT_VERSION
from sriovbond.host import Host
from sriovbond.kernel.netlink import NetlinkRequest
from sriovbond.records import Record
from tests.bench.attach import CONFIG, MEMBERS
from tests.support.builders import a_plan, a_state
from tests.support.calls import Runtime
from tests.support.node import Node
from tests.support.pods import Pod, a_pod
from tests.support.wire import fail, tapped

ROUNDS: Final = 200


@dataclass(frozen=True, slots=True)
class Around:
    """Medians in ms."""

    before_ms: float
    after_ms: float

    def __str__(self) -> str:
        return (
            f"an ADD natively: {self.before_ms:.2f} ms before the kernel's part "
            f"(look, plan, record), {self.after_ms:.2f} ms after it (compare, record, answer)"
        )


def measure() -> Around:
    """Return both medians; root, and a kernel with veth."""
    log = io.StringIO()  # each ADD that is cut says so
    with tempfile.TemporaryDirectory() as name, _veth_pod() as pod, redirect_stderr(log):
        home = Path(name)
        host = Host(state=home / "state", run=home / "run", places=Node(home).places, logs=home)
        before = [_time_until_first_change(pod, host) for _ in range(ROUNDS)]
        after = [_time_the_end(host) for _ in range(ROUNDS)]
    return Around(statistics.median(before), statistics.median(after))


@contextmanager
def _veth_pod() -> Iterator[Pod]:
    with a_pod() as pod:
        pod.batch(*(f"link add {name} type veth peer far-{name}" for name in MEMBERS))
        yield pod


def _time_until_first_change(pod: Pod, host: Host) -> float:
    """Return what an ADD takes, in ms, until it sends what would change something: that is cut."""
    cut_at: list[float] = []

    def cut(request: NetlinkRequest) -> None:
        if request.changes:
            cut_at.append(time.perf_counter())
            fail()

    with tapped(cut):
        started = time.perf_counter()
        reply = Runtime(host, pod).add(CONFIG)
    assert cut_at, reply.body
    return (cut_at[0] - started) * 1000


def _time_the_end(host: Host) -> float:
    plan = a_plan()
    state = a_state(plan)
    record = Record("bench", "bench", plan.name, "/run/netns/x", (0, 0, 0), "boot", plan)
    started = time.perf_counter()
    assert not list(planning.differences(plan, state))
    records.write(host, record.completed({}))
    bond = Interface(name=state.name, mac=state.mac, mtu=state.mtu, sandbox=record.netns)
    result = CniResult(cni_version=CURRENT_VERSION, interfaces=(bond,))
    json.dumps(result.to_json(CURRENT_VERSION))
    took_ms = (time.perf_counter() - started) * 1000
    records.remove(host, record)
    return took_ms
