"""Probes of a real agent, independent of its load, its metrics and its neighbours."""

import contextlib
import http.client
import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from deviceinfo import Places
from sriovbond import health
from sriovbond.agent import asking, settings
from sriovbond.agent.report.address import Address
from sriovbond.agent.report.pages import verdict
from sriovbond.agent.report.probes import Probes, Readiness
from sriovbond.errors import MachineError
from sriovbond.host import Host
from tests.support.agents import an_agent, wait_for
from tests.support.held_ipam import Ipam
from tests.support.shims import Shim


def a_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def ask(port: int, path: str = "/livez") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", path)
    with connection.getresponse() as answer:
        return answer.status, answer.read().decode()


@pytest.mark.parametrize("metrics", ["", "unix:{home}/metrics.sock", "127.0.0.1:{taken}"])
def test_probes_are_answered_wherever_the_metrics_are(shim: Shim, metrics: str) -> None:
    port = a_free_port()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = metrics.format(home=shim.home, taken=taken.getsockname()[1])
        with an_agent(shim, watch=False, metrics=where, probes=f"127.0.0.1:{port}"):
            alive, ready = ask(port), ask(port, "/readyz")

    assert alive == (200, "ok\n")
    assert ready[0] in {200, 503}


@pytest.mark.slow
def test_metrics_are_served_once_their_port_is_free(shim: Shim) -> None:
    """A client may have it as the agent starts, where net.ipv4.ip_local_port_range is wide."""

    def is_served() -> bool:
        with contextlib.suppress(OSError):
            return ask(port, "/metrics")[0] == 200
        return False

    with ExitStack() as stack:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = int(taken.getsockname()[1])
            stack.enter_context(an_agent(shim, watch=False, metrics=f"127.0.0.1:{port}"))
        wait_for(is_served, 15)


def test_probes_are_well_while_all_workers_are_busy(
    shim: Shim, ipam: Ipam, pool: ThreadPoolExecutor
) -> None:
    port = a_free_port()
    environ = {f"{settings.PREFIX}PROBES": f"127.0.0.1:{port}"}
    with an_agent(shim, watch=False, workers=1, probes=f"127.0.0.1:{port}"):
        with ipam.held("first"):
            deleting = pool.submit(ipam.delete, shim, "first")
            wait_for(ipam.calls)
            started = time.monotonic()
            answers = [ask(port), ask(port, "/readyz")]
            alive = asking.ask_alive(settings.load(environ=environ))
            took_s = time.monotonic() - started
        assert deleting.result().returncode == 0

    assert (answers[0], alive) == ((200, "ok\n"), ("ok\n", 0))
    assert answers[1][0] in {200, 503}
    assert took_s < 2


def have_all_that_an_add_needs() -> None:
    """Have an agent's process find nothing against an ADD: this machine may lack bonding."""
    pytest.MonkeyPatch().setattr(health, "reasons_against_add", lambda _host: [])


def test_readiness_names_unreleased_addresses_and_stays_ready(shim: Shim, ipam: Ipam) -> None:
    port, prepare = a_free_port(), have_all_that_an_add_needs
    (ipam.folder / "fail").touch()
    with an_agent(shim, watch=False, probes=f"127.0.0.1:{port}", prepare=prepare):
        before = ask(port, "/readyz")
        ipam.delete(shim, "pod1")
        status, text = ask(port, "/readyz")

    assert before == (200, "ok\n")
    assert status == 200
    assert "addresses that IPAM has not released: 1 of network 'net'" in text


def test_no_agent_is_not_alive() -> None:
    environ = {f"{settings.PREFIX}PROBES": f"127.0.0.1:{a_free_port()}"}

    with pytest.raises(MachineError, match=r"no agent answers at '127\.0\.0\.1"):
        asking.ask_alive(settings.load(environ=environ))


def test_without_probes_the_socket_is_queried(shim: Shim) -> None:
    environ = {
        f"{settings.PREFIX}PROBES": "",
        f"{settings.PREFIX}SOCKET": str(shim.socket),
    }
    with an_agent(shim, watch=False):
        assert asking.ask_alive(settings.load(environ=environ))[1] == 0


@contextmanager
def served(fault: str = "") -> Iterator[int]:
    port = a_free_port()
    pages = {"/livez": lambda: verdict(fault)}
    probes = Probes(Address("127.0.0.1", port), pages, os.geteuid())
    probes.listen()
    try:
        yield port
    finally:
        probes.close()


def test_a_loop_that_does_not_turn_is_reported() -> None:
    with served("the watch has been stuck for 61 s") as port:
        assert ask(port) == (503, "the watch has been stuck for 61 s\n")


@pytest.mark.slow
def test_a_neighbour_who_connects_at_full_speed_keeps_no_probe_waiting() -> None:
    stop = threading.Event()

    def crowd(port: int) -> int:
        count = 0
        with ExitStack() as held:
            while not stop.is_set() and count < 20_000:
                with contextlib.suppress(OSError):
                    connection = socket.create_connection(("127.0.0.1", port), 1)
                    if count < 500:
                        held.push(connection)  # a silent client
                    else:
                        connection.close()
                count += 1
        return count

    with served() as port, ThreadPoolExecutor(2) as pool:
        crowds = [pool.submit(crowd, port) for _ in range(2)]
        time.sleep(0.5)
        answers, times = [], []
        for _ in range(10):
            started = time.monotonic()
            answers.append(ask(port))
            times.append(time.monotonic() - started)
        stop.set()
        assert min(one.result() for one in crowds) > 0

    assert answers == [(200, "ok\n")] * 10
    assert max(times) < 2


def test_a_port_that_is_taken_is_reported_once_and_listened_at_when_it_is_free(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
        probes = Probes(Address("127.0.0.1", port), {"/livez": lambda: verdict("")}, 0)
        probes.listen()
        probes.listen()
    probes.listen()
    try:
        assert ask(port) == (200, "ok\n")
    finally:
        probes.close()

    told = capfd.readouterr().err
    assert told.count("cannot answer probes at") == 1


@pytest.mark.slow
def test_a_disk_that_never_answers_makes_readiness_late_and_nothing_else(tmp_path: Path) -> None:
    modules = tmp_path / "modules" / os.uname().release
    modules.mkdir(parents=True)
    os.mkfifo(modules / "modules.dep")  # a reader blocks until it has a writer
    places = Places(sysfs=tmp_path)
    ready = Readiness(Host(places=places, modules=tmp_path / "modules", state=tmp_path))

    started = time.monotonic()
    first, second = ready.page(), ready.page()
    took_s = time.monotonic() - started

    assert (first.status, second.status) == (503, 503)
    assert b"have not been read for 2 s" in first.content
    assert took_s < 6
    assert sum(one.name == "readiness" for one in threading.enumerate()) == 1
    (modules / "modules.dep").write_text("kernel/drivers/net/bonding/bonding.ko:\n")
    wait_for(lambda: b"bonding" not in ready.page().content)


@pytest.mark.slow
def test_readiness_requests_that_hang_on_a_disk_delay_liveness_no_longer(
    tmp_path: Path,
) -> None:
    modules = tmp_path / "modules" / os.uname().release
    modules.mkdir(parents=True)
    os.mkfifo(modules / "modules.dep")
    ready = Readiness(
        Host(places=Places(sysfs=tmp_path), modules=tmp_path / "modules", state=tmp_path)
    )
    port = a_free_port()
    pages = {"/livez": lambda: verdict(""), "/readyz": ready.page}
    probes = Probes(Address("127.0.0.1", port), pages, os.geteuid())
    probes.listen()

    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(ask, port, "/readyz")
        time.sleep(0.2)
        started = time.monotonic()
        alive = ask(port)
        took_s = time.monotonic() - started
    probes.close()
    (modules / "modules.dep").write_text("kernel/drivers/net/bonding/bonding.ko:\n")

    assert alive == (200, "ok\n")
    assert took_s < 4  # kubelet's timeout is 5 s


def test_a_neighbour_at_the_port_who_answers_without_end_is_not_listened_to_for_long() -> None:
    def babble(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection, contextlib.suppress(OSError):
            while True:
                connection.sendall(b"HTTP/1.1 200 OK\r\n" * 1000)

    with socket.create_server(("127.0.0.1", 0)) as taken, ThreadPoolExecutor(1) as pool:
        pool.submit(babble, taken)
        environ = {f"{settings.PREFIX}PROBES": f"127.0.0.1:{taken.getsockname()[1]}"}
        with pytest.raises(MachineError, match=r"no agent answers at .*: its answer does not end"):
            asking.ask_alive(settings.load(environ=environ))


def test_readiness_is_looked_at_again_after_a_thread_could_not_be_started(tmp_path: Path) -> None:
    ready = Readiness(Host(places=Places(sysfs=tmp_path), modules=tmp_path, state=tmp_path))
    before = threading.stack_size(1 << 46)  # more than there is
    try:
        with pytest.raises(RuntimeError, match="can't start new thread"):
            ready.page()
    finally:
        threading.stack_size(before)

    assert b"[bonding-driver]" in ready.page().content
