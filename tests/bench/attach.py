"""ADD and DEL of a pod's bond, timed in the VM: `make bench`, which runs it there.

All subjects in turn in one run, over links as SR-IOV CNI leaves them in a pod: up, with their own
MAC and MTU. What the mover does, and putting that state back, is not timed.
"""

import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from sriovbond.kernel import links, netns
from tests.bench import limit, rows
from tests.bench.rows import Case, Row
from tests.bench.subjects import Limit, Program, Subject
from tests.support import kubelet
from tests.support.agents import an_agent
from tests.support.pods import Pod, a_pod, batch
from tests.support.shims import Shim, a_shim
from tests.vm import rig

FIGURES: Final = Path("build/bench.json")
ROUNDS: Final = int(os.environ.get("SRIOVBOND_BENCH_ROUNDS") or 30)
THIN_ROUNDS: Final = 5
MANY: Final = 250
AT_ONCE: Final = 10
MEMBERS: Final = ("net1", "net2")
DUMMIES: Final = tuple(
    f"link add {name} address 02:00:00:00:0d:0{at} type dummy" for at, name in enumerate(MEMBERS, 1)
)
SUBNETS: Final = ("198.51.100.0/24", "2001:db8:51::/64")
PEERS: Final = Path(os.environ.get("SRIOVBOND_PEERS") or "/nonexistent")
CONFIG: Final[Mapping[str, object]] = {
    "cniVersion": "0.3.1",
    "name": "bench",
    "type": "sriovbond",
    "mode": "active-backup",
    "failOverMac": 1,
    "linksInContainer": True,
    "miimon": "100",
    "links": [{"name": name} for name in MEMBERS],
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A subject in a group of those that take turns; it has `rounds` of them."""

    case: Case
    subject: Subject
    rounds: int


@dataclass(slots=True)
class Bench:
    """What is measured with, and what was found."""

    shim: Shim
    folder: Path
    found: list[Row] = field(default_factory=list)

    def programs(self, case: Case, *, thin: bool = False) -> Iterator[Entry]:
        """Yield the plugins that take part."""
        rounds = _rounds(case)
        shared = dict(CONFIG)
        if case.ipam:
            data = {
                "dataDir": str(self.folder / "leases"),
                "ranges": [[{"subnet": subnet}] for subnet in SUBNETS],
            }
            shared["ipam"] = {"type": case.ipam, **data}
        peer = PEERS / "bond"
        if peer.exists():
            theirs = Program("bond-cni", str(peer), {**shared, "type": "bond"}, self.folder)
            yield Entry(replace(case, subject="bond-cni"), theirs, rounds)
        ours = Program("sriovbond", str(self.shim.program), shared, self.folder)
        yield Entry(case, ours, rounds)
        if thin:
            program = str(Path(sys.executable).with_name("sriovbond"))
            rare = Program("sriovbond-thin", program, shared, self.folder)
            yield Entry(replace(case, subject="sriovbond-thin"), rare, THIN_ROUNDS)

    def asking(self, case: Case) -> Entry:
        """Return ours for a pod that a kubelet knows."""
        args = {"CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=bench"}
        program = Program("sriovbond", str(self.shim.program), CONFIG, self.folder, args)
        return Entry(replace(case, kubelet=True), program, ROUNDS)

    def warm_up(self, pod: Pod, entries: Sequence[Entry]) -> None:
        """Let the frequent entries take turns, and forget what they took.

        An emulator translates what it has not run often, and an agent runs for days.
        """
        self._take_turns([pod], [entry for entry in entries if entry.rounds == ROUNDS])

    def measure(self, pods: Sequence[Pod], entries: Sequence[Entry]) -> None:
        """Let the entries take turns, and keep what they took."""
        took = self._take_turns(pods, entries)
        ordered = sorted(took, key=lambda case: (case.title(), rows.SUBJECTS.index(case.subject)))
        made = [rows.row(case, took[case]) for case in ordered]
        self.found += made
        for row in made:
            figures = f"{row.median_ms:8.1f} {row.p95_ms:8.1f}"
            _say(f"{row.case.title():44} {row.case.subject:15} {row.case.command} {figures}")

    @staticmethod
    def _take_turns(pods: Sequence[Pod], entries: Sequence[Entry]) -> dict[Case, list[float]]:
        """Return what each entry took, in ms.

        Their order is another in each round, and who follows whom: what one leaves going on, or
        warm, falls on the next.
        """
        took: dict[Case, list[float]] = {}
        dice = random.Random(1)  # noqa: S311 - no secret
        with ExitStack() as held:
            puts = [held.enter_context(put_back(pod)) for pod in pods]
            for turn in range(ROUNDS):
                for entry in dice.sample(entries, len(entries)):
                    if turn % max(1, ROUNDS // entry.rounds) == 0:
                        for put in puts:
                            put.back()
                        for command in ("ADD", "DEL"):
                            case = replace(entry.case, command=command)
                            took.setdefault(case, []).extend(entry.subject.call(command, pods))
        return took


def _rounds(case: Case) -> int:
    """Return how often a case is run, so that as many times come of it."""
    return max(1, ROUNDS // case.parallel)


@dataclass(frozen=True, slots=True)
class Put:
    """Has a pod's members as the mover left them: up, with their own MAC and MTU."""

    namespace: netns.Namespace
    wanted: tuple[tuple[str, int], ...]

    def back(self) -> None:
        assert _states(self.namespace) == self.wanted, "a subject has left a member changed"


@contextmanager
def put_back(pod: Pod) -> Iterator[Put]:
    with netns.opened(pod.path) as namespace:
        yield Put(namespace, _states(namespace))


def _states(namespace: netns.Namespace) -> tuple[tuple[str, int], ...]:
    """Bring the members up; return what must not differ from one subject to the next."""
    members = [link for name in MEMBERS if (link := links.find(namespace.netlink, name))]
    for link in members:
        assert not link.master
        if not link.is_up:
            links.set_up(namespace.netlink, link)
    return tuple((link.mac, link.mtu) for link in members)


@contextmanager
def a_vf_pod(layout: rig.Layout) -> Iterator[Pod]:
    with a_pod() as pod:
        for pf, name in zip(layout.pfs, MEMBERS, strict=False):
            pod.give(pf.vfs[0].name, name)
        yield pod
    rig.reset_vfs()


@contextmanager
def _dummy_pod() -> Iterator[Pod]:
    with a_pod() as pod:
        pod.batch(*DUMMIES)
        yield pod


@contextmanager
def _limit(case: Case, *pods: Pod) -> Iterator[Entry]:
    with ExitStack() as held:
        made = {
            pod.name: held.enter_context(limit.messages(pod, MEMBERS, addressed=bool(case.ipam)))
            for pod in pods
        }
        yield Entry(replace(case, subject="netlink"), Limit(made), _rounds(case))


def _few(bench: Bench, layout: rig.Layout) -> None:
    """Measure on a node that has no other bond."""
    case = Case("sriovbond", "ADD", "vf")
    with a_vf_pod(layout) as pod:
        with _limit(case, pod) as least:
            entries = [least, *bench.programs(case, thin=True), bench.asking(case)]
            bench.warm_up(pod, entries)
            bench.measure([pod], entries)
        addressed = replace(case, ipam="host-local")
        with _limit(addressed, pod) as least:
            bench.measure([pod], [least, *bench.programs(addressed)])
    _dummies(bench, 0)
    case = Case("sriovbond", "ADD", "dummy", parallel=AT_ONCE)
    with ExitStack() as held:
        pods = [held.enter_context(_dummy_pod()) for _ in range(AT_ONCE)]
        with _limit(case, *pods) as least:
            bench.measure(pods, [least, *bench.programs(case)])


def _dummies(bench: Bench, existing: int) -> None:
    case = Case("sriovbond", "ADD", "dummy", existing_bonds=existing)
    with _dummy_pod() as pod, _limit(case, pod) as least:
        bench.measure([pod], [least, *bench.programs(case)])


def _beside(bench: Bench, layout: rig.Layout, existing: int) -> None:
    """Measure on a node that has so many other bonds."""
    case = Case("sriovbond", "ADD", "vf", existing_bonds=existing)
    with a_vf_pod(layout) as pod, _limit(case, pod) as least:
        bench.measure([pod], [least, *bench.programs(case)])
    _dummies(bench, existing)


def _add_bonds(bench: Bench, numbers: range) -> None:
    """Make as many bonds, each in a pod of its own; they vanish with the VM."""
    ours = Program("sriovbond", str(bench.shim.program), CONFIG, bench.folder)
    pods = [Pod(f"other{number}", f"other-{number}") for number in numbers]
    for pod in pods:
        dummies = (line.replace(" address", f" netns {pod.name} address") for line in DUMMIES)
        batch(f"netns add {pod.name}", *dummies)
    for place in range(0, len(pods), AT_ONCE):
        ours.call("ADD", pods[place : place + AT_ONCE])


def main() -> int:
    """Measure all cases, and write the figures."""
    layout = rig.layout()
    # what a node has on its own disk is not to come from the VM's host, file by file
    subprocess.run(["mount", "-t", "tmpfs", "bench", "/var"], check=True)
    Path("/var/run").symlink_to("/run")
    home = Path("/var/lib/kubelet")
    home.mkdir(parents=True)
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm")))
        server = held.enter_context(kubelet.running(home))
        pf0, pf1 = (pf.vfs[0].pci for pf in layout.pfs[: len(MEMBERS)])
        server.serve(kubelet.a_pod("bench", kubelet.a_container(pf0=pf0, pf1=pf1)))
        shim = held.enter_context(a_shim())
        held.enter_context(an_agent(shim))
        bench = Bench(shim, folder)
        _few(bench, layout)
        _add_bonds(bench, range(1))
        _beside(bench, layout, 1)
        _add_bonds(bench, range(1, MANY))
        _beside(bench, layout, MANY)
        rows.write(FIGURES, bench.found)
    return 0


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
