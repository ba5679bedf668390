"""The soak's parts about noise and want: one pod's links, a log without a reader, a full disk."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from tests.soak import process
from tests.soak.figures import Report
from tests.support.agents import wait_for
from tests.support.calls import a_config
from tests.support.disks import a_small_disk, empty, fill
from tests.support.floods import flooding, seen_from_inside
from tests.support.pods import Pod, a_pod, wire_up
from tests.support.scrape import page_of, sample
from tests.support.shims import Shim
from tests.support.thick import Thick

BONDS = 20
MOST_TOLD_S = 1.0
MOST_RSS_MIB = 90
FLOODED_S = 10.0
UNREAD_CALLS = 100
_CONFIG = a_config(links=[{"name": "net1"}, {"name": "net2"}], miimon=100)
_KERNEL_S = 300.0
_TOLD_AT = "sriovbond_bond_last_failover_timestamp_seconds"


def noise(shim: Shim, report: Report) -> None:
    """Have one pod flap its links at full speed, while 20 other bonds fail over."""
    page = shim.home / "metrics/sock"
    with ExitStack() as held:
        pid = held.enter_context(process.an_agent_program(shim, metrics=f"unix:{page}"))
        sides = [held.enter_context(_a_bond(shim)) for _ in range(BONDS + 1)]
        noisy = sides.pop()[0]
        noisy.ip("link add noise type dummy")
        wait_for(lambda: sample(page, "sriovbond_bonds") == BONDS + 1)
        before = process.at_rest(pid)
        with flooding(noisy, ["noise", "net1"]):
            time.sleep(FLOODED_S)
            late = _fail_over(sides, page)
            busy = process.idle_percent(pid, FLOODED_S)
            well = page_of(page, "/healthz").startswith(b"HTTP/1.1 200")
        after = process.at_rest(pid)
    report.tell("noise", f"failovers of {BONDS} bonds beside a flood", len(late))
    report.tell("noise", "the latest of them told after the kernel's", max(late), "s", MOST_TOLD_S)
    report.tell("noise", "CPU time of the agent in the flood", busy, "%")
    report.tell("noise", "probes that did not say ok", float(not well), "", 0)
    report.tell("noise", "memory of the agent (RSS)", after.rss_kib / 1024, "MiB", MOST_RSS_MIB)
    report.tell("noise", "threads more than before", after.threads - before.threads, "", 0)


def _fail_over(sides: list[tuple[Pod, Pod]], page: Path) -> list[float]:
    """Fail each bond over; return the agent's delay after the kernel's report, in seconds."""
    done_at = {}
    for pod, far in sides:
        with seen_from_inside(pod) as active:
            first = active()
            far.ip(f"link set {first.replace('net', 'far')} down")
            wait_for(partial(_is_another, active, first), _KERNEL_S)
            done_at[pod.container_id] = time.time()
    time.sleep(2 * MOST_TOLD_S)
    return [sample(page, _TOLD_AT, pod_name=name) - at for name, at in done_at.items()]


def _is_another(active: Callable[[], str], first: str) -> bool:
    return active() not in ("", first)


@contextmanager
def _a_bond(shim: Shim) -> Iterator[tuple[Pod, Pod]]:
    """Yield a pod with a bond, and the far side of its members."""
    with a_pod("soak") as pod, a_pod("far") as far:
        wire_up(pod, far)
        added = Thick(shim, pod).call("ADD", _CONFIG)
        assert added.status == 0, added.stdout
        wait_for(lambda: sum(one.mii_up for one in pod.the_bond().members) == 2)
        yield pod, far
        Thick(shim, pod).call("DEL", _CONFIG)


def want(shim: Shim, report: Report) -> None:
    """Have the agent's log not be read, and then its disks be full."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    with a_pod("soak") as pod, a_small_disk(shim.state):
        pod.batch(*(f"link add net{n} type dummy" for n in (1, 2)))
        thick = Thick(shim, pod)
        with process.an_agent_program(shim, stderr=writing) as pid:
            took_s, failed = [], 0
            for _ in range(UNREAD_CALLS):
                started = time.monotonic()
                failed += thick.call("ADD", _CONFIG).status + thick.call("DEL", _CONFIG).status
                took_s.append(time.monotonic() - started)
            report.tell(
                "want", f"{UNREAD_CALLS} ADDs and DELs, the log unread: failed", failed, "", 0
            )
            report.tell("want", "the last ten over the first ten", _ratio(took_s), "x", 3)
            assert thick.call("ADD", _CONFIG).status == 0
            fill(shim.state, "bytes")
            deleted, refused = thick.call("DEL", _CONFIG), thick.call("ADD", _CONFIG)
            report.tell("want", "DELs on a full disk that failed", deleted.status, "", 0)
            report.tell("want", "ADDs on a full disk not refused", float(refused.code != 5), "", 0)
            status = thick.call("STATUS", _CONFIG)
            report.tell(
                "want", "STATUS of a full disk other than 50", float(status.code != 50), "", 0
            )
            empty(shim.state)
            report.tell("want", "ADDs then that failed", thick.call("ADD", _CONFIG).status, "", 0)
            thick.call("DEL", _CONFIG)
            held = process.at_rest(pid)
            report.tell(
                "want", "memory of the agent (RSS)", held.rss_kib / 1024, "MiB", MOST_RSS_MIB
            )
    os.close(reading)
    os.close(writing)


def _ratio(took_s: list[float]) -> float:
    return sum(took_s[-10:]) / sum(took_s[:10])
