"""Failovers, timed in the VM: how soon the agent tells, and what is lost beside a bond by hand.

`make bench` runs it there. Members are veths, whose carrier goes at once: with VFs the driver's
look at its link every two seconds would hide all else.
"""

import json
import select
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from sriovbond.kernel import netns, nsids, watch
from tests.support import traffic
from tests.support.agents import an_agent, wait_for
from tests.support.pods import Pod, a_pod
from tests.support.scrape import sample
from tests.support.shims import a_shim
from tests.support.thick import Thick

FIGURES: Final = Path("build/failover.json")
ROUNDS: Final = 20
MIIMON_MS: Final = 100
MOST_MS: Final = 50
"""Beyond miimon, from the member's own carrier event to the agent's word of the failover."""
_REMOTE: Final = "192.0.2.1"
_SETTLED_S: Final = 0.4
_CONFIG: Final = {
    "cniVersion": "1.1.0",
    "name": "bench",
    "type": "sriovbond",
    "links": [{"name": "net1"}, {"name": "net2"}],
    "miimon": MIIMON_MS,
    "ipam": {"type": "static", "addresses": [{"address": "192.0.2.10/24"}]},
}
_BY_HAND: Final = (
    f"link add bond0 type bond mode 1 miimon {MIIMON_MS} fail_over_mac 1 num_grat_arp 15",
    *(f"link set {name} down" for name in ("net1", "net2")),
    *(f"link set {name} master bond0" for name in ("net1", "net2")),
    "link set bond0 up",
    "addr add 192.0.2.10/24 dev bond0",
)


@dataclass(slots=True)
class Figures:
    """The figures; times in ms, pings are sent every 50 ms."""

    told_after_ms: list[float] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    lost_by_hand: list[int] = field(default_factory=list)

    @property
    def is_short(self) -> bool:
        """Whether a target is missed."""
        late = median(self.told_after_ms) > MIIMON_MS + MOST_MS
        return late or median(self.lost) > median(self.lost_by_hand)

    def __str__(self) -> str:
        beyond = sorted(after_ms - MIIMON_MS for after_ms in self.told_after_ms)
        text = (
            f"{len(beyond)} failovers, from the member's carrier event to the agent's: miimon and "
            f"{median(beyond):.0f} ms ({beyond[0]:.0f} to {beyond[-1]:.0f}); pings lost, one each "
            f"50 ms: {sum(self.lost)}, over bonds made by hand {sum(self.lost_by_hand)}"
        )
        return f"{'SHORT' if self.is_short else 'ok':<9} {text}"


@dataclass(frozen=True, slots=True)
class Side:
    """A pod with a bond, and the far side of its members: a bridge that answers pings."""

    pod: Pod
    far: Pod

    def fail_over(self) -> int:
        """Set the active member's carrier off and on again; return how many pings were lost."""
        active = self._active()
        with traffic.pings(self.pod, _REMOTE) as sent:
            time.sleep(_SETTLED_S)
            self.far.ip(f"link set {active.replace('net', 'far')} down")
            wait_for(lambda: self._active() not in ("", active))
            time.sleep(2 * _SETTLED_S)
        self.far.ip(f"link set {active.replace('net', 'far')} up")
        self.await_whole()
        return sent.lost

    def await_whole(self) -> None:
        wait_for(lambda: sum(member.mii_up for member in self.pod.the_bond().members) == 2)
        time.sleep(_SETTLED_S)

    def _active(self) -> str:
        return next((member.name for member in self.pod.the_bond().members if member.is_active), "")


def read() -> Figures:
    """Return what the VM's part has found."""
    return Figures(**json.loads(FIGURES.read_text(encoding="utf-8")))


def main() -> None:
    """Measure, and write the figures."""
    figures = Figures()
    with ExitStack() as held:
        shim = held.enter_context(a_shim())
        page = Path(held.enter_context(tempfile.TemporaryDirectory())) / "metrics/sock"
        held.enter_context(an_agent(shim, metrics=f"unix:{page}"))
        ours, by_hand = held.enter_context(_side()), held.enter_context(_side())
        added = Thick(shim, ours.pod).call("ADD", dict(_CONFIG))
        assert added.status == 0, added.stdout
        by_hand.pod.batch(*_BY_HAND)
        ours.await_whole()
        by_hand.await_whole()
        for _ in range(ROUNDS):
            with _losses(ours.pod) as lost_at:
                figures.lost.append(ours.fail_over())
            told_at = sample(page, "sriovbond_bond_last_failover_timestamp_seconds")
            figures.told_after_ms.append((told_at - min(lost_at)) * 1000)
            figures.lost_by_hand.append(by_hand.fail_over())
    FIGURES.parent.mkdir(exist_ok=True)
    FIGURES.write_text(json.dumps(asdict(figures)), encoding="utf-8")


@contextmanager
def _side() -> Iterator[Side]:
    with a_pod("bench") as pod, a_pod("far") as far:
        far.batch("link add br0 up type bridge", f"addr add {_REMOTE}/24 dev br0")
        pod.batch(
            *(f"link add net{n} type veth peer far{n} netns {far.name}" for n in (1, 2)),
            "link set net1 up",
            "link set net2 up",
        )
        far.batch(*(f"link set far{n} master br0 up" for n in (1, 2)))
        yield Side(pod, far)


@contextmanager
def _losses(pod: Pod) -> Iterator[list[float]]:
    """Yield a list that gets the time, since the epoch, of each loss of a carrier in the pod."""
    heard: list[float] = []
    with netns.own() as home, watch.LinkEvents(1 << 20) as events:
        with netns.opened(pod.path) as opened:
            nsid = nsids.assign(home.netlink, opened.descriptor)
        ending = threading.Event()

        def listen() -> None:
            while not ending.is_set():
                if select.select([events], [], [], 0.2)[0]:
                    now = time.time()
                    heard.extend(
                        now
                        for event in events.events(lambda number: number == nsid, float("inf"))
                        if event.link.master and not event.link.has_carrier
                    )

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield heard
        finally:
            ending.set()
            thread.join()


if __name__ == "__main__":
    main()
