"""The soak: SRIOVBOND_PODS pods made and deleted by Multus' own shim, without kubelet, with faults.

Not collected by itself: `make test-node NODE=vm TESTS=tests/node/inside/soak.py`. The pods are of
the API, refused by kubelet for their node selector; Multus and the agent are as on every node.
"""

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from tests.kind import objects as shipped
from tests.node import cluster as clusters
from tests.node import objects, sandbox, soaked
from tests.node.api import Api, Object
from tests.node.cluster import Cluster
from tests.node.credentials import NODE, SERVICE
from tests.node.inside import soak_faults
from tests.node.inside.conftest import FOLDER, MULTUS, MULTUS_LIST, SRIOV_CNI, say
from tests.node.inside.soak_faults import FULL, NETWORK, Fault, Victim, When
from tests.node.processes import FailedError
from tests.node.sandbox import Answer, Sandbox
from tests.node.soaked import Soaked
from tests.support import movers, worlds
from tests.support.movers import VfOnHost
from tests.support.worlds import World
from tests.vm import pace
from tests.vm import rig as rigs
from tests.vm.rig import Vf

PODS: Final = int(os.environ.get("SRIOVBOND_PODS") or 500)
SEED: Final = int(os.environ.get("SRIOVBOND_SEED") or 15)
LONGEST_S: Final = float(os.environ.get("SRIOVBOND_SECONDS") or "inf")
"""After this no further pod is made."""
AT_ONCE: Final = 3
CONFIG: Final = Path("/run/soak-multus.json")
TRIES: Final = 10
_GONE_S: Final = 15.0
_HOME_S: Final = 60.0
_MOST_AGAINST: Final = 10
_DEVICES: Final = Path("/sys/bus/pci/devices")
_RULE: Final = re.compile(r"\[([a-z0-9-]+)\]")
_REASONS: Final = ("no IP addresses available", "signal: killed", "error 11", "connection refused")
_FULL_RANGE: Final = {"rangeStart": "203.0.113.9", "rangeEnd": "203.0.113.9"}
_LEASED: Final = sandbox.LEASES / FULL / "203.0.113.9"


@dataclass(slots=True)
class Soak:
    """What all pods of the soak share; `lock` is for the counts."""

    config: Path
    home: dict[str, VfOnHost]
    lock: threading.Lock = field(default_factory=threading.Lock)
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    against: list[str] = field(default_factory=list)
    outages: list["Outage"] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def is_to_end(self) -> bool:
        """Return whether no further pod is to be made."""
        is_late = time.monotonic() - self.began > LONGEST_S
        return is_late or len(self.against) >= _MOST_AGAINST

    def count(self, table: str, row: str) -> int:
        """Count a row of a table; return how often it was counted."""
        with self.lock:
            self.counts.setdefault(table, Counter())[row] += 1
            return self.counts[table][row]

    def stopped_since(self, began: float) -> str:
        """Return a program that did not run at some time since then."""
        return next((each.program for each in self.outages if each.until > began), "")

    def await_programs(self) -> None:
        """Return when no program is down that was killed; who killed it waits for it too."""
        while self.stopped_since(time.monotonic()):
            time.sleep(0.2)


@dataclass(slots=True)
class Outage:
    """The time for which a program did not run."""

    program: str
    until: float = float("inf")


def test_pods_come_and_go_under_faults_and_the_node_is_as_before(
    cluster: Cluster, rig: rigs.Layout
) -> None:
    assert MULTUS == "thick", "thin Multus has no shim"
    sandbox.write_config(MULTUS_LIST, CONFIG)
    pairs = list(zip(rig.pfs[0].vfs, rig.pfs[1].vfs, strict=True))[:AT_ONCE]
    apply_networks(cluster, pairs)
    soak = Soak(CONFIG, {vf.pci: movers.at_home(vf) for pair in pairs for vf in pair})
    warm_up(cluster, soak, pairs[0])
    before, soak.began = look(), time.monotonic()

    play_all(cluster, soak, pairs)

    took_s = time.monotonic() - soak.began
    soak.against += [f"the node: {line}" for line in find_changes(before)]
    tell(soak, rig.kernel, took_s)
    assert soak.against == []


def apply_networks(cluster: Cluster, pairs: list[tuple[Vf, Vf]]) -> None:
    """Apply a network for each VF, and those of the bonds."""
    for vf in (vf for pair in pairs for vf in pair):
        device = {"type": "host-device", "pciBusID": vf.pci}
        cluster.api.apply(shipped.network(f"soak-{vf.name}", **device))
        if SRIOV_CNI.exists():
            device = {"type": "sriov", "deviceID": vf.pci}
            cluster.api.apply(shipped.network(f"soak-sriov-{vf.name}", **device))
    ipam = {"type": "host-local", "ranges": [[{"subnet": "198.51.100.0/24"}]]}
    full = {"type": "host-local", "ranges": [[{"subnet": "203.0.113.0/24", **_FULL_RANGE}]]}
    cluster.api.apply(
        objects.bond_network(NETWORK, miimon=100, ipam=ipam),
        objects.bond_network(FULL, miimon=100, ipam=full),
    )
    _LEASED.parent.mkdir(parents=True, exist_ok=True)
    _LEASED.write_text("another\neth0")


def warm_up(cluster: Cluster, soak: Soak, pair: tuple[Vf, Vf]) -> None:
    """Have one pod come and go, so that the default network's bridge is there."""
    with closing(PodPlay(cluster, soak, pair, -1, soak_faults.NONE)) as play:
        play.run()
    assert soak.against == []
    soak.counts.clear()


def look() -> World:
    """Return all that is known of the node's links, without the pods' default network."""
    facts = worlds.without_stale_mtu(worlds.settled(worlds.world({"host": None})))
    return {key: value for key, value in facts.items() if not re.search(r"\b(veth|cni0)", key)}


def find_changes(before: World) -> list[str]:
    """Return what of the node is not as before, when the kernel has had its time."""
    deadline = time.monotonic() + pace.stretched(_HOME_S)
    while True:
        changes = [*worlds.differences(before, look()), *find_left()]
        if not changes or time.monotonic() > deadline:
            return changes
        time.sleep(1)


def find_left() -> list[str]:
    """Return records, queued DELs, leases and namespaces of pods that are gone."""
    left = [path for folder in (clusters.RECORDS, sandbox.QUEUE) for path in folder.glob("*@*")]
    left += [
        path
        for path in sandbox.LEASES.glob("*/[0-9]*")
        if path != _LEASED and path.parent.name.startswith("soak")
    ]
    return [f"left: {path}" for path in [*left, *Path("/run/netns").glob("soak-*")]]


def play_all(cluster: Cluster, soak: Soak, pairs: list[tuple[Vf, Vf]]) -> None:
    """Have all pods come and go, some at once, each worker with two VFs of its own."""
    numbers = iter(range(PODS))
    with ThreadPoolExecutor(len(pairs)) as pool:
        done = [pool.submit(work, cluster, soak, pair, numbers) for pair in pairs]
    for each in done:
        each.result()


def work(cluster: Cluster, soak: Soak, pair: tuple[Vf, Vf], numbers: Iterator[int]) -> None:
    """Have one pod after the other come and go."""
    server = f"https://{SERVICE}"
    with closing(Api(FOLDER / "admin.kubeconfig", server)) as api:
        own = Cluster(api, cluster.node)
        while not soak.is_to_end():
            with soak.lock:
                number = next(numbers, None)
            if number is None:
                return
            fault, began = soak_faults.draw(SEED, number)[0], time.monotonic()
            with closing(PodPlay(own, soak, pair, number, fault)) as play:
                play.run()
            done = soak.count("pods", "gone")
            took_s = time.monotonic() - began
            say(f"{done} of {PODS} pods: {number}, {fault.title}, gone after {took_s:.0f} s")


class PodPlay:
    """One pod: made, struck, deleted, and compared."""

    def __init__(
        self, cluster: Cluster, soak: Soak, pair: tuple[Vf, Vf], number: int, fault: Fault
    ) -> None:
        self.cluster, self.soak, self.pair, self.fault = cluster, soak, pair, fault
        self.name = f"soak-{number}" if number >= 0 else "soak-first"
        cluster.api.apply(self._pod(number, fault.network))
        uid = cluster.pod(self.name)["metadata"]["uid"]
        self.sandbox = Sandbox(self.name, uid, soak.config)
        random = soak_faults.draw(SEED, number)[1]
        self.victim = Victim(self.sandbox, pair, random, cluster)
        self.has_struck = False
        self.outage: Outage | None = None
        subprocess.run(["ip", "netns", "add", self.name], check=True)

    def _pod(self, number: int, network: str) -> Object:
        mover = "soak-sriov" if SRIOV_CNI.exists() and number % 2 else "soak"
        vfs = [f"{mover}-{vf.name}@net{place}" for place, vf in enumerate(self.pair, 1)]
        pod = objects.pod(self.name, ", ".join([*vfs, f"{network}@{sandbox.BOND}"]))
        refused = {"nodeName": NODE, "nodeSelector": {"example.com/nowhere": "true"}}
        pod["spec"] |= refused
        return pod

    def run(self) -> None:
        """Have it come and go; what does not hold is noted."""
        what = f"{self.name}, {self.fault.title}"
        try:
            self._add()
            self._delete()
            self._end()
        except (AssertionError, OSError, FailedError, subprocess.SubprocessError) as error:
            self.soak.against.append(f"{what}: {str(error)[:3000]}")
            say(self.soak.against[-1])
        finally:
            self._end_outage()

    def _end_outage(self) -> None:
        if self.outage:
            self.outage.until = min(self.outage.until, time.monotonic())

    def close(self) -> None:
        """Delete what is left of it, in any case."""
        for _ in range(TRIES) if self.sandbox.left() else ():
            with suppress(subprocess.SubprocessError):
                self.sandbox.call("DEL")
        subprocess.run(["ip", "netns", "del", self.name], check=False, capture_output=True)
        self.cluster.api.delete(clusters.pod_path(self.name), gracePeriodSeconds=0)

    def _call(self, command: str, when: When) -> Answer:
        """Call the shim; the fault strikes meanwhile, where it is of this command."""
        self.victim.calling = self.sandbox.begin(command)
        if self.fault.when is when:
            self._strike()
        return sandbox.finish(self.victim.calling)

    def _strike(self) -> None:
        if self.fault.stops:
            self.outage = Outage(self.fault.stops)
            self.soak.outages.append(self.outage)
        self.has_struck = self.fault.act(self.victim)
        table = soaked.FAULTS if self.has_struck else soaked.LATE
        self.soak.count(table, self.fault.title)

    def _add(self) -> None:
        began = time.monotonic()
        answer = self._call("ADD", When.ADD)
        if answer.status == 0:
            assert self.fault.network == NETWORK, "ADD has an address, and none was free"
            self.soak.count("ADDs", "done")
            if self.fault.when is not When.ADD:
                self._judge_bond()
            if self.fault.when is When.BONDED:
                self._strike()
            return
        stopped = self.soak.stopped_since(began)
        self.soak.count("ADDs that failed", reason(answer, stopped))
        is_its_cause = (
            re.search(self.fault.cause, answer.text)
            if self.fault.cause
            else answer.status == -signal.SIGKILL
        )
        is_expected = self.fault.when is When.ADD and is_its_cause
        assert is_expected or stopped, f"ADD: {answer}"

    def _judge_bond(self) -> None:
        links = self.sandbox.links()
        assert sandbox.BOND in links, links
        members = [name for name, link in links.items() if link.get("master") == sandbox.BOND]
        addresses = [each["local"] for each in links[sandbox.BOND]["addr_info"]]
        assert sorted(members) == ["net1", "net2"], links
        assert any(address.startswith("198.51.100.") for address in addresses), links

    def _delete(self) -> None:
        """Call DEL until nothing is left, at most TRIES times."""
        for tries in range(1, TRIES + 1):
            answer = self._call("DEL", When.DEL) if tries == 1 else self.sandbox.call("DEL")
            if tries == 1 and self.has_struck:
                self.fault.mend(self.victim)
                self._end_outage()
            assert answer.status in {0, -9}, f"DEL: {answer}"
            if self._is_gone():
                self.soak.count("DELs until nothing was left", str(tries))
                return
            self.soak.await_programs()
        raise AssertionError(f"left after {TRIES} DELs: {self.sandbox.left()}\n{self._said()}")

    def _said(self) -> str:
        """Return what Multus has logged of the pod's faults: its shim tells no error of a DEL."""
        logs = sorted(Path("/var/log/pods").glob("kube-system_kube-multus*/kube-multus/*.log"))
        lines = [line for log in logs for line in log.read_text(errors="replace").splitlines()]
        named = [line for line in lines if self.name in line or self.sandbox.container_id in line]
        return "\n".join(line.partition("err: ")[2] or line for line in named if "rror" in line)

    def _is_gone(self) -> bool:
        deadline = time.monotonic() + _GONE_S  # then comes the next DEL
        while self.sandbox.left():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.2)
        return True

    def _end(self) -> None:
        """Delete the namespace; the VFs must be at home as they were."""
        for lease in self.sandbox.leases():
            self.soak.count("leases that the default network's own plugin left", "in all")
            lease.unlink()
        subprocess.run(["ip", "netns", "del", self.name], check=False, capture_output=True)
        for vf in self.pair:
            home = self._home_of(vf)
            self.cluster.await_true(f"{vf.name} is home", partial(any_name, vf), _HOME_S)
            self._name(vf)
            as_before = lambda: movers.at_home(vf) == home  # noqa: B023, E731 - read at once
            with suppress(FailedError):
                self.cluster.await_true(f"{vf.name} is as before", as_before, _HOME_S)
            assert movers.at_home(vf) == home

    def _home_of(self, vf: Vf) -> VfOnHost:
        return self.soak.home[vf.pci]

    def _name(self, vf: Vf) -> None:
        """Name a VF as udev would that the kernel brought home; one that is made anew has no MAC.

        Its alias is host-device's note of its name.
        """
        name = any_name(vf)
        if name != vf.name:
            self.soak.count("VFs at home", "named anew")
            lines = [f"link set {name} down", f"link set {name} name {vf.name}"]
            is_anew = self.fault.renews and vf == self.victim.vf
            lines += [f"link set {vf.name} address {vf.mac}"] if is_anew else []
            for line in lines:
                subprocess.run(["ip", *line.split()], check=True, capture_output=True)
            subprocess.run(["ip", "link", "set", vf.name, "alias", ""], check=True)
        else:
            self.soak.count("VFs at home", "by the mover")


def any_name(vf: Vf) -> str:
    """Return the name of the VF's netdev on the node, or nothing."""
    return next((path.name for path in (_DEVICES / vf.pci).glob("net/*")), "")


def reason(answer: Answer, stopped: str) -> str:
    """Return why an ADD has failed: the rule, or words that are known."""
    if answer.status < 0:
        return "the shim was killed"
    rules = _RULE.findall(answer.text)
    known = [word for word in _REASONS if word in answer.text]
    if rules or known:
        return str((rules or known)[0])
    return f"{stopped} did not run" if stopped else answer.text[:200]


def tell(soak: Soak, kernel: str, took_s: float) -> None:
    """Print the counts, and write them to FILE."""
    run = Soaked(
        day=time.strftime("%Y-%m-%d"),
        linux=kernel,
        pods=soak.counts["pods"]["gone"],
        seed=SEED,
        at_once=AT_ONCE,
        mover="host-device and SR-IOV CNI" if SRIOV_CNI.exists() else "host-device",
        seconds=round(took_s),
        against=soak.against,
        counts={table: dict(sorted(rows.items())) for table, rows in sorted(soak.counts.items())},
    )
    soaked.write(FOLDER / soaked.FILE, run)
    say(json.dumps(run, indent=1))
