"""A pod that changes its links in a loop impairs the watch of its own bond only."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sriovbond.host import Host
from sriovbond.kernel import watch as kernel
from tests.kernel.conftest import Wires
from tests.support.agents import Agent, an_agent, wait_for
from tests.support.calls import Runtime, a_config
from tests.support.floods import flooding, seen_from_inside
from tests.support.pods import Pod, a_pod, wire_up
from tests.support.scrape import sample
from tests.support.shims import Shim
from tests.support.watching import active, await_settled, await_working, far_of, kinds

pytestmark = pytest.mark.long

Running = Callable[..., Agent]
CONFIG = a_config(links=[{"name": "net1"}, {"name": "net2"}], miimon=50)
SOON_S = 10.0
"""Before the next round over all bonds, on the slowest machine; the soak measures it."""
MOST_AGENTS_END_S = 30.0
FLOOD_FELT_S = 5.0
MANY = kernel.MOST_LINKS + 8


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return tmp_path / "metrics/sock"


@pytest.fixture
def agent(host: Host, tmp_path: Path, page: Path) -> Iterator[Agent]:
    given: dict[str, Any] = {"state": host.state, "run": host.run, "socket": tmp_path / "sock"}
    with an_agent(Shim(tmp_path / "none", tmp_path), metrics=f"unix:{page}", **given) as running:
        yield running


@contextmanager
def a_noisy_pod(host: Host) -> Iterator[Pod]:
    """Create a pod with a bond of its own and a dummy, both to be flapped."""
    with a_pod("noisy") as pod, a_pod("far") as far:
        wire_up(pod, far)
        Runtime(host, pod).add(CONFIG).ok()
        pod.ip("link add noise type dummy")
        await_working(pod)
        yield pod


def failover_seconds(agent: Agent, wires: Wires) -> float:
    """Fail a bond over and back; return the delay of the agent's report after the kernel's.

    The kernel itself is late: its monitor only tries to take the lock that the flood holds.
    """
    count = failovers(agent, wires.pod)
    await_working(wires.pod)
    with seen_from_inside(wires.pod) as active:
        first = active()
        wires.far.ip(f"link set {far_of(first)} down")
        wait_for(lambda: active() not in ("", first), 120)
        started = time.monotonic()
        wait_for(lambda: failovers(agent, wires.pod) > count)
        took_s = time.monotonic() - started
    wires.far.ip(f"link set {far_of(first)} up")
    return took_s


def failovers(agent: Agent, pod: Pod) -> int:
    return sum(
        "kind=BondFailover" in line and pod.container_id in line for line in agent.said.splitlines()
    )


def await_flood(agent: Agent) -> None:
    """Wait for an effect of the flood; a slow machine floods too slowly for the log."""
    deadline = time.monotonic() + FLOOD_FELT_S
    wait_for(lambda: is_flooded(agent) or time.monotonic() > deadline)


def is_flooded(agent: Agent) -> bool:
    names = ("sriovbond_watch_loud_namespaces", "sriovbond_watch_overruns_total")
    return any(sample(agent.metrics, name) for name in names)


@pytest.mark.parametrize("names", [["noise"], ["noise", "net1"]], ids=["dummy", "member too"])
def test_a_pod_that_flaps_its_links_hides_no_failover_of_others(
    agent: Agent, host: Host, wires: Wires, names: list[str]
) -> None:
    Runtime(host, wires.pod).add(CONFIG).ok()
    with a_noisy_pod(host) as noisy:
        await_settled(agent, bonds=2)
        with flooding(noisy, names):
            await_flood(agent)
            took_s = [failover_seconds(agent, wires) for _ in range(3)]
            stopping = time.monotonic()
            status = agent.stop()

    assert max(took_s) < SOON_S
    assert (status, time.monotonic() - stopping < MOST_AGENTS_END_S) == (0, True)


def test_a_socket_that_overruns_again_and_again_is_given_up_for_a_while(
    host: Host, tmp_path: Path, wires: Wires, page: Path
) -> None:
    given: dict[str, Any] = {"state": host.state, "run": host.run, "socket": tmp_path / "sock"}
    given |= {"watch_buffer_bytes": 1 << 14, "metrics": f"unix:{page}"}
    with an_agent(Shim(tmp_path / "none", tmp_path), **given) as agent:
        Runtime(host, wires.pod).add(CONFIG).ok()
        with a_noisy_pod(host) as noisy:
            await_settled(agent, bonds=2)
            began = time.monotonic()
            with flooding(noisy, ["noise", "net1"]):
                wait_for(lambda: sample(page, "sriovbond_watch_overruns_total") >= 2)
                took_s = [failover_seconds(agent, wires) for _ in range(3)]
                overruns = sample(page, "sriovbond_watch_overruns_total")
                flooded_s = time.monotonic() - began

            assert max(took_s) < SOON_S
            assert overruns < 8 + flooded_s / 4  # it pauses for 1, 2, 4, and then 8 s each
            await_settled(agent, bonds=2)
            wait_for(lambda: not sample(page, "sriovbond_watch_loud_namespaces"))
            count = failovers(agent, noisy)
            first = active(noisy)
            noisy.ip(f"link set {first} down")
            wait_for(lambda: failovers(agent, noisy) > count)


def test_a_pod_with_many_links_is_watched_as_any_other(
    agent: Agent, host: Host, wires: Wires
) -> None:
    """More than 512 relevant links would not be watched; these are not relevant."""
    wires.pod.batch(*(f"link add many{n} type dummy" for n in range(MANY)))
    Runtime(host, wires.pod).add(CONFIG).ok()
    await_working(wires.pod)
    await_settled(agent)

    assert failover_seconds(agent, wires) < SOON_S
    assert kinds(agent).count("BondDrift") == 0


def test_a_bond_with_more_members_than_are_read_holds_nothing_up(
    agent: Agent, host: Host, wires: Wires
) -> None:
    Runtime(host, wires.pod).add(CONFIG).ok()
    with a_noisy_pod(host) as noisy:
        noisy.batch(*(f"link add many{n} type dummy" for n in range(MANY)))
        noisy.batch(*(f"link set many{n} master bond0" for n in range(MANY)))
        agent.says("there are more than 512")

        assert failover_seconds(agent, wires) < SOON_S
