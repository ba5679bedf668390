"""Queries of NICs to the real kernel: their namespace, their time limit, no remains."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sriovbond.kernel import netns
from sriovbond.nic import asking, ethtool, genetlink
from sriovbond.nic.asking import Target
from sriovbond.nic.facts import Function
from sriovbond.nic.genetlink import Channel, UnansweredError
from tests.kernel.conftest import Wires
from tests.support.agents import wait_for
from tests.support.pods import Pod, ip

SYSFS = Path("/sys")


def ask(*subjects: tuple[str, str], pod: Pod | None = None) -> tuple[Function, ...]:
    """Query these devices and interfaces, of the pod or of the host."""
    with netns.own() as home, netns.opened(pod.path if pod else netns_of_host()) as where:
        return asking.ask(SYSFS, home, [Target(*subject, where) for subject in subjects])


def netns_of_host() -> str:
    return "/proc/self/ns/net"


def test_a_veths_speed_is_that_of_the_pods_own_whatever_the_host_calls_so(wires: Wires) -> None:
    ip("link add net1 type bridge")
    try:
        (in_pod,), (on_host,) = ask(("", "net1"), pod=wires.pod), ask(("", "net1"))
    finally:
        ip("link del net1")

    assert in_pod.ethtool
    assert on_host.ethtool
    assert (in_pod.ethtool.speed_mbps, in_pod.ethtool.duplex) == (10000, "full")
    assert on_host.ethtool.speed_mbps != 10000


def test_a_thread_that_did_not_enter_the_namespace_asks_in_it(wires: Wires) -> None:
    with ThreadPoolExecutor(1) as workers, netns.opened(wires.pod.path) as pod:
        answers = workers.submit(ethtool.read, pod, {"net1": ""}).result(30)

    assert answers["net1"].speed_mbps == 10000


def test_an_interface_that_vanished_is_a_word(pod: Pod) -> None:
    (function,) = ask(("", "net9"), pod=pod)

    assert function.ethtool
    assert function.ethtool.problem == "the interface is missing"
    assert function.problems == ()


def test_an_answer_that_does_not_come_is_a_word_in_time(pod: Pod) -> None:
    async def never(channel: Channel) -> None:
        await channel.endpoint.event_loop.create_future()

    threads, started = threading.active_count(), time.monotonic()
    with netns.opened(pod.path) as namespace, pytest.raises(UnansweredError) as refusal:
        genetlink.converse(namespace, ethtool.FAMILY, never, within_s=0.3)

    assert "no answer within 0.3 s" in str(refusal.value)
    assert time.monotonic() - started < 10
    wait_for(lambda: threading.active_count() <= threads)


def test_a_caller_that_is_held_in_the_kernel_is_not_waited_for(pod: Pod) -> None:
    """As when a driver holds its lock: the thread itself blocks, and no event loop can end it."""
    lock = threading.Lock()

    async def hold(_channel: Channel) -> None:
        with lock:
            pass

    with lock, netns.opened(pod.path) as namespace, pytest.raises(UnansweredError) as refusal:
        genetlink.converse(namespace, ethtool.FAMILY, hold, within_s=0.3)

    assert "no answer within 0.3 s" in str(refusal.value)


def test_an_answer_that_cannot_be_read_is_a_word(pod: Pod) -> None:
    async def misread(_channel: Channel) -> None:
        raise AttributeError("no such attribute")

    with netns.opened(pod.path) as namespace, pytest.raises(UnansweredError) as refusal:
        genetlink.converse(namespace, ethtool.FAMILY, misread)

    assert str(refusal.value) == "failed: AttributeError: no such attribute"


def test_a_family_missing_in_the_kernel_is_a_problem_in_words(pod: Pod, caplog: Any) -> None:  # noqa: ANN401
    async def nothing(_channel: Channel) -> None:
        pytest.fail("it was bound")

    family = genetlink.Family("sriovbond-none", ethtool.FAMILY.message)
    with netns.opened(pod.path) as namespace, pytest.raises(UnansweredError) as refusal:
        genetlink.converse(namespace, family, nothing)

    assert str(refusal.value) == "not in this kernel"
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_nothing_is_left_of_a_question(wires: Wires) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    ask(("", "net1"), pod=wires.pod)
    before, threads = descriptors(), threading.active_count()

    for _ in range(3):
        ask(("", "net1"), pod=wires.pod)

    wait_for(lambda: descriptors() <= before and threading.active_count() <= threads)
