"""One attachment for a fault to strike: its runtime, its neighbours, and all that may change."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sriovbond.kernel import links, netns
from tests.faults.fault import Fault, Way
from tests.support import worlds
from tests.support.agents import Agent, an_agent, wait_for
from tests.support.gates import Gate, Spot
from tests.support.pods import Pod, ip, some_pods
from tests.support.restarts import Stage
from tests.support.shims import Shim
from tests.support.thick import Called, Config, Thick
from tests.support.thin import Thin
from tests.support.worlds import World

FAULT_OF_OURS = re.compile(r"fault of sriovbond|Traceback")


@dataclass(frozen=True, slots=True)
class Guest:
    """Another attachment, which nothing may touch; `before` is all that is known of it."""

    thick: Thick
    config: Config
    before: World


@dataclass(slots=True)
class Scene:
    """The attachment, and how it is called; in a rehearsal faults strike without a bond."""

    stage: Stage
    way: Way
    other: Pod
    gate: Gate
    is_rehearsal: bool = False
    agent: Agent | None = None
    guests: list[Guest] = field(default_factory=list)
    calls: list[tuple[str, Called]] = field(default_factory=list)
    config_of_del: Config | None = None
    setting: object = None
    pending: list[Future[Called]] = field(default_factory=list)

    @property
    def pod(self) -> Pod:
        return self.stage.thick.pod

    @property
    def shim(self) -> Shim:
        return self.stage.thick.shim

    @property
    def record(self) -> Path:
        """The file of the attachment's record."""
        return self.shim.state / "records" / f"{self.pod.key()}.json"

    def inside(self, *lines: str, pod: Pod | None = None) -> None:
        """Run lines of `ip` as the pod's root; in a rehearsal without a bond they may fail."""
        for line in lines:
            ip(f"-n {(pod or self.pod).name} {line}", check=not self.is_rehearsal)

    # calls

    def call(self, command: str) -> Called:
        """Call the plugin for the attachment, and note its answer."""
        config = self.config_of_del if command == "DEL" and self.config_of_del else None
        called = self.call_for(self.stage.thick, command, config or self.stage.config)
        self.calls.append((command, called))
        return called

    def call_for(self, thick: Thick, command: str, config: Config) -> Called:
        """Call the plugin for any attachment."""
        runtime = thick if self.way is Way.THICK else Thin(thick, self.gate.install)
        return runtime.call(command, config)

    def collect(self, *valid: Guest) -> Called:
        """Have GC release all but those attachments."""
        listed = [{"containerID": one.thick.pod.container_id, "ifname": "bond0"} for one in valid]
        config = {**self.stage.config, "cni.dev/valid-attachments": listed}
        called = self.call_for(self.stage.thick, "GC", config)
        self.calls.append(("GC", called))
        return called

    def begin(self, command: str, *valid: Guest) -> None:
        """Send a DEL, or a GC, and do not wait for its answer."""
        pool = ThreadPoolExecutor(1)
        call = self.collect if command == "GC" else partial(self.call, command)
        self.pending.append(pool.submit(call, *valid))
        pool.shutdown(wait=False)

    def strike(self, command: str, spot: Spot, act: Callable[[], object]) -> Called:
        """Call the plugin, and act when it has come to that request."""
        with self.gate.shut(spot), ThreadPoolExecutor(1) as pool:
            calling = pool.submit(self.call, command)
            try:
                self.gate.await_halt(calling.done)
                act()
            finally:
                self.gate.open()
            return calling.result()

    # neighbours

    def invite(self, pod: Pod, config: Config) -> Guest:
        """Add another attachment to the scene."""
        thick = Thick(self.shim, pod)
        added = self.call_for(thick, "ADD", config)
        assert added.status == 0, f"the neighbour's ADD: {added.stdout}"
        guest = Guest(thick, config, self._look_at(pod))
        self.guests.append(guest)
        return guest

    def touched(self) -> list[str]:
        """Return what has changed of the others."""
        return [
            f"another pod's: {line}"
            for guest in self.guests
            for line in worlds.differences(guest.before, self._look_at(guest.thick.pod))
        ]

    def _look_at(self, pod: Pod) -> World:
        facts = worlds.settled(worlds.world({"its": pod.path}, self._folders()))
        return {
            key: value
            for key, value in facts.items()
            if not key.startswith("file:") or _is_of(pod, key, value)
        }

    # the whole

    def look(self) -> World:
        """Return the host, both pods and all files, but for what is the guests'."""
        pods = {"pod": self.pod, "other": self.other}
        spaces: dict[str, str | None] = {"host": None}
        for word, pod in pods.items():
            is_guest = any(guest.thick.pod == pod for guest in self.guests)
            if Path(pod.path).exists() and not is_guest:
                spaces[word] = pod.path
        standing = worlds.settled(worlds.world(spaces, self._folders()))
        facts = worlds.without_stale_mtu(standing) | self._devices()
        return {
            key: value
            for key, value in facts.items()
            if not key.endswith("agent.lock")
            and not any(_is_of(guest.thick.pod, key, value) for guest in self.guests)
        }

    def _folders(self) -> list[Path]:
        host = self.stage.thick.host
        return [host.state, host.run, *self.stage.folders]

    def _devices(self) -> World:
        """Return where the netdev of each VF is, and what each PF says of its VFs."""
        facts: World = {}
        for link in _read_host_links():
            if "parentdev" in link:
                facts[f"device {link['parentdev']}"] = "host"
            for entry in link.get("vfinfo_list", ()):
                facts[f"entry of {link['ifname']} {entry['vf']}"] = str(
                    {key: value for key, value in entry.items() if key != "address"}
                )
        for word, pod in (("pod", self.pod), ("other", self.other)):
            facts |= {f"device {device}": word for device in _devices_in(pod)}
        return facts

    def said(self) -> str:
        """Return what the plugin wrote to its log."""
        if self.agent:
            return self.agent.said
        log = Thin(self.stage.thick).log
        return log.read_text() if log.exists() else ""


def _read_host_links() -> list[dict[str, Any]]:
    command = ["ip", "-d", "-j", "link", "show"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def _devices_in(pod: Pod) -> list[str]:
    """Return the devices whose netdevs are in the pod's namespace, which may be gone."""
    if not Path(pod.path).exists():
        return []
    with netns.opened(pod.path) as namespace:
        return [link.device for link in links.dump(namespace.netlink) if link.device]


def _is_of(pod: Pod, key: str, value: object) -> bool:
    """Return whether a fact is a file of that pod's attachment."""
    text = pod.container_id
    return key.startswith("file:") and (
        f"/{text}@" in key or (isinstance(value, bytes) and text.encode() in value)
    )


@contextmanager
def a_scene(shim: Shim, fault: Fault, way: Way, *, is_rehearsal: bool = False) -> Iterator[Scene]:
    """Set a scene; without a rehearsal another pod has a bond beside it, over two dummies."""
    shim.clear()
    shutil.rmtree(shim.home / "leases", ignore_errors=True)  # of a play that was broken off
    for path in shim.home.glob("thin.log"):
        path.unlink()
    with ExitStack() as held:
        stage = held.enter_context(fault.stage(shim))
        setting = held.enter_context(fault.setting(shim))
        other, neighbour = held.enter_context(some_pods("other", "neighbour"))
        scene = Scene(stage, way, other, Gate(shim.home), is_rehearsal)
        scene.setting = setting
        if way is Way.THICK:
            settings: dict[str, Any] = {"kubelet_timeout_s": 60, "retry_s": 1, **fault.settings}
            agent = an_agent(shim, prepare=scene.gate.install, **settings)
            scene.agent = held.enter_context(agent)
        if not is_rehearsal:
            neighbour.batch("link add d1 type dummy", "link add d2 type dummy")
            config = {**stage.config, "links": [{"name": "d1"}, {"name": "d2"}]}
            scene.invite(neighbour, {**config, "linksInContainer": True})
        stage.lay_out()
        yield scene


def await_queue(scene: Scene) -> None:
    """Return when the agent has done all queued DELs."""
    if scene.way is Way.THICK:
        wait_for(lambda: scene.shim.queued() == [])
