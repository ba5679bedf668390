"""A pod that changes its links without end harms the watch of its own bond alone."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sriovbond.host import Host
from tests.kernel.conftest import Wires
from tests.kernel.test_watch import (
    active,
    await_working,
    far_of,
    kinds,
    let_adopt,
    make_wires,
)
from tests.support.agents import Agent, an_agent, wait_for
from tests.support.calls import Runtime, a_config
from tests.support.floods import flooding, seen_from_inside
from tests.support.pods import Pod, a_pod
from tests.support.scrape import sample
from tests.support.shims import Shim

Running = Callable[..., Agent]
CONFIG = a_config(links=[{"name": "net1"}, {"name": "net2"}], miimon=50)
SOON_S = 2.0  # in an emulated machine; the soak measures it


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
    """Make a pod with a bond of its own and a dummy, both to be flapped."""
    with a_pod("noisy") as pod, a_pod("far") as far:
        make_wires(pod, far)
        Runtime(host, pod).add(CONFIG).ok()
        pod.ip("link add noise type dummy")
        await_working(pod)
        yield pod


def failover_seconds(agent: Agent, wires: Wires) -> float:
    """Fail a bond over and back; return how long after the kernel the agent told of it.

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


@pytest.mark.parametrize("names", [["noise"], ["noise", "net1"]], ids=["dummy", "member too"])
def test_a_pod_that_flaps_its_links_hides_no_failover_of_others(
    agent: Agent, host: Host, wires: Wires, names: list[str]
) -> None:
    Runtime(host, wires.pod).add(CONFIG).ok()
    with a_noisy_pod(host) as noisy:
        let_adopt()
        with flooding(noisy, names):
            time.sleep(5)
            took_s = [failover_seconds(agent, wires) for _ in range(3)]
            stopping = time.monotonic()
            status = agent.stop()

    assert max(took_s) < SOON_S
    assert (status, time.monotonic() - stopping < 15) == (0, True)


def test_a_socket_that_overruns_again_and_again_is_given_up_for_a_while(
    host: Host, tmp_path: Path, wires: Wires, page: Path
) -> None:
    given: dict[str, Any] = {"state": host.state, "run": host.run, "socket": tmp_path / "sock"}
    given |= {"watch_buffer_bytes": 1 << 14, "metrics": f"unix:{page}"}
    with an_agent(Shim(tmp_path / "none", tmp_path), **given) as agent:
        Runtime(host, wires.pod).add(CONFIG).ok()
        with a_noisy_pod(host) as noisy:
            let_adopt()
            with flooding(noisy, ["noise", "net1"]):
                time.sleep(5)
                took_s = [failover_seconds(agent, wires) for _ in range(3)]
                overruns = sample(page, "sriovbond_watch_overruns_total")

            assert max(took_s) < SOON_S
            assert 2 <= overruns < 15
            count = failovers(agent, noisy)
            time.sleep(4)  # now it is heard again, and quiet
            first = active(noisy)
            noisy.ip(f"link set {first} down")
            wait_for(lambda: failovers(agent, noisy) > count)


def test_a_pod_with_thousands_of_links_is_watched_as_any_other(
    agent: Agent, host: Host, wires: Wires
) -> None:
    wires.pod.batch(*(f"link add many{n} type dummy" for n in range(3000)))
    Runtime(host, wires.pod).add(CONFIG).ok()
    await_working(wires.pod)
    time.sleep(5)

    assert failover_seconds(agent, wires) < SOON_S
    assert kinds(agent).count("BondDrift") == 0


def test_a_bond_with_more_members_than_are_read_holds_nothing_up(
    agent: Agent, host: Host, wires: Wires
) -> None:
    Runtime(host, wires.pod).add(CONFIG).ok()
    with a_noisy_pod(host) as noisy:
        noisy.batch(*(f"link add many{n} type dummy" for n in range(520)))
        noisy.batch(*(f"link set many{n} master bond0" for n in range(520)))
        let_adopt()
        wait_for(lambda: "there are more than 512" in agent.said, 30)

        assert failover_seconds(agent, wires) < SOON_S
