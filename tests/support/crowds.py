"""Many pods and many calls at once, for tests and the soak."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.support.agents import wait_for
from tests.support.calls import a_config
from tests.support.pods import Pod
from tests.support.shims import Shim
from tests.support.thick import Called, Config, Thick

AT_ONCE = 50
REPLAYED_S = 600.0  # with 250 bonds an emulated VM took more than 120 s for 100 DELs
DONE = Called("", 0)


@dataclass(frozen=True, slots=True)
class Crowd:
    """Pods with two dummies each, whose runtime makes many calls at once."""

    shim: Shim
    pods: Sequence[Pod]

    @property
    def config(self) -> Config:
        return a_config(links=[{"name": "d1"}, {"name": "d2"}])

    def call(self, command: str, at_once: int = AT_ONCE) -> list[Called]:
        """Run a command for each pod."""
        with ThreadPoolExecutor(at_once) as pool:
            calls = [
                pool.submit(Thick(self.shim, pod).call, command, self.config) for pod in self.pods
            ]
            return [call.result() for call in calls]

    def bonds(self) -> int:
        """Count the pods that have their bond."""
        return sum(pod.bond() is not None for pod in self.pods)

    def timed(self, command: str) -> tuple[Called, float]:
        """Run a command for the first pod; return how long it took too, in seconds."""
        started = time.monotonic()
        called = Thick(self.shim, self.pods[0]).call(command, self.config)
        return called, time.monotonic() - started

    def records(self) -> int:
        return len(list((self.shim.state / "records").iterdir()))

    def locks(self) -> int:
        return len(list((self.shim.home / "run").glob("*@*")))


@dataclass(frozen=True, slots=True)
class Replay:
    """A new agent's replay of the queued DELs, and a concurrent ADD of a new pod."""

    queued: int
    waited: int
    """DELs still queued when the ADD was answered."""
    took_s: float
    add_s: float

    def __str__(self) -> str:
        return (
            f"{self.queued} queued DELs were done in {self.took_s:.1f} s; "
            f"an ADD meanwhile took {self.add_s:.1f} s, when {self.waited} still waited"
        )


def replay(crowd: Crowd, new: Crowd) -> Replay:
    """Let the agent, just started, replay the queue, and run ADD and DEL of `new` meanwhile."""
    started, queued = time.monotonic(), len(crowd.pods)
    added, add_s = new.timed("ADD")
    waited = len(crowd.shim.queued())
    wait_for(lambda: crowd.shim.queued() == [], REPLAYED_S)
    took_s = time.monotonic() - started
    assert added.status == 0, added.stdout
    assert new.call("DEL") == [DONE]
    return Replay(queued, waited, took_s, add_s)
