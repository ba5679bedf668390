"""A real agent and the real shim: the same answers as thin mode, order, bounds, stop, replay."""

import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from sriovbond import dispatch, libc, records
from sriovbond.agent import server
from sriovbond.cni.attachment import Attachment
from sriovbond.host import Host
from sriovbond.records import IpamCall, Record
from sriovbond.shim import build, wire
from tests.support import leasing
from tests.support.agents import Agent, an_agent, wait_for
from tests.support.held_ipam import Ipam, code_of, kept, stdin
from tests.support.scrape import sample
from tests.support.shims import WITHIN_S, Shim, a_shim, variables


@pytest.fixture
def agent(shim: Shim) -> Iterator[Agent]:
    with an_agent(shim) as running:
        yield running


@pytest.fixture(scope="module")
def standing() -> Iterator[tuple[Shim, Agent]]:
    """A shim and an agent shared by many tests."""
    with a_shim() as shim, an_agent(shim) as running:
        yield shim, running


def host_of(shim: Shim) -> Host:
    return Host(state=shim.state, run=shim.home / "run")


CALLS: list[tuple[str, bytes, dict[str, str | None]]] = [
    ("VERSION", b'{"cniVersion": "0.4.0"}', {}),
    ("STATUS", stdin(), {}),
    ("STATUS", stdin(mtu="x"), {}),
    ("STATUS", b"", {}),
    ("STATUS", stdin(ipam={"type": "no-such"}), {}),
    ("ADD", stdin(), {}),
    ("ADD", stdin(mode="active-backup", cniVersion="0.3.1"), {"CNI_NETNS": "/dev/null"}),
    ("ADD", stdin(mtu="x", policy=7), {}),
    ("ADD", b"{", {}),
    ("ADD", b" " * (wire.MAX_STDIN + 10), {}),
    ("ADD", stdin(), {"CNI_IFNAME": None, "CNI_CONTAINERID": "/"}),
    ("ADD", stdin(), {"CNI_ARGS": "K8S_POD_NAME"}),
    ("ADD", stdin(ipam={"type": "static"}), {"CNI_CONTAINERID": "\udcff" * 200}),
    ("CHECK", stdin(prevResult={"cniVersion": "1.1.0"}), {}),
    ("CHECK", stdin(), {}),
    ("DEL", stdin(), {}),
    ("DEL", b"\xff", {"CNI_NETNS": None}),
    ("ADD", stdin(), {"CNI_NETNS": "/a" * 3000}),
    ("DEL", stdin(), {"CNI_NETNS": "/a" * 3000}),
    ("GC", stdin(), {}),
    ("GC", stdin(**{"cni.dev/valid-attachments": []}), {}),
]


@pytest.mark.parametrize(("command", "given", "environment"), CALLS)
def test_thick_answers_byte_for_byte_as_thin(
    standing: tuple[Shim, Agent], command: str, given: bytes, environment: dict[str, Any]
) -> None:
    shim, agent = standing
    environ = variables(command, **environment)
    thin = dispatch.answer(environ, given[: wire.MAX_STDIN], host_of(shim))

    done = shim.run(command, given, **environment)

    assert (done.stdout.decode(), done.returncode) == (thin.stdout, thin.status), agent.said
    assert done.stderr == b""


def test_status_takes_milliseconds(standing: tuple[Shim, Agent], tmp_path: Path) -> None:
    (tmp_path / "nothing.c").write_text("int main(void) { return 0; }\n")
    nothing = build.build(tmp_path / "nothing", source=tmp_path / "nothing.c")
    took: dict[str, list[float]] = {"nothing": [], "STATUS": []}

    for _ in range(30):
        for name, program in (("nothing", nothing), ("STATUS", standing[0].program)):
            started = time.perf_counter()
            subprocess.run([program], input=stdin(), env=variables(name), check=False)
            took[name].append(time.perf_counter() - started)

    bare_s, status_s = (median(took[name]) for name in ("nothing", "STATUS"))
    assert status_s < 10 * bare_s + 0.02, (status_s, bare_s)  # Python's start alone takes longer


def test_a_signal_stops_an_agent_whose_workers_have_woken_it_without_end() -> None:
    """As while its loop waits for a disk: then the socket has no room for the signal's number."""
    woken, waker = socket.socketpair()
    stopped = []
    with woken, waker:
        waker.settimeout(0)
        with suppress(BlockingIOError):
            while True:
                waker.send(b"\0")

        with server._signals(waker, lambda: stopped.append(True)):  # noqa: SLF001 - needs no agent
            os.kill(os.getpid(), signal.SIGTERM)

    assert stopped == [True]


def links_of(process: Path) -> list[str]:
    """Return a process's open descriptors, except those closed meanwhile."""
    found = []
    for path in process.glob("fd/*"):
        with suppress(FileNotFoundError):
            found.append(str(path.readlink()))
    return found


def test_many_calls_leave_no_descriptor(standing: tuple[Shim, Agent]) -> None:
    shim, agent = standing
    proc = Path("/proc", str(agent.pid))

    def call(number: int) -> int:
        namespace = "/proc/self/ns/mnt"  # one that is refused after it was passed
        return code_of(shim.run("ADD", stdin(), CNI_NETNS=namespace, CNI_IFNAME=f"bond{number}"))

    with ThreadPoolExecutor(8) as pool:
        codes = set(pool.map(call, range(40)))
        after = links_of(proc)
        before = len(after)
        codes |= set(pool.map(call, range(40)))

    assert codes == {5}
    assert not any("mnt:" in path for path in after)
    wait_for(lambda: len(list(proc.glob("fd/*"))) <= before)


def test_attachments_are_served_at_once_and_one_in_order(
    shim: Shim, ipam: Ipam, pool: ThreadPoolExecutor
) -> None:
    with an_agent(shim, workers=8):
        with ipam.held("first"):
            waiting = [pool.submit(ipam.delete, shim, "first") for _ in range(3)]
            wait_for(lambda: len(ipam.calls()) == 1)
            time.sleep(0.3)
            assert ipam.delete(shim, "second", "other").returncode == 0
            assert ipam.calls() == ["DEL first start", "DEL second start", "DEL second end"]
        assert [one.result().stderr for one in waiting] == [b"", b"", b""]

    assert ipam.calls()[3:] == ["DEL first end", *["DEL first start", "DEL first end"] * 2]


@pytest.mark.slow
def test_too_many_requests_for_one_attachment_are_answered_at_once(
    shim: Shim, ipam: Ipam, pool: ThreadPoolExecutor
) -> None:
    with an_agent(shim, workers=8, waiting=1, ipam_wait_s=0.5) as agent:
        with ipam.held("first"):
            served = [pool.submit(ipam.delete, shim, "first")]
            wait_for(ipam.calls)
            served.append(pool.submit(ipam.delete, shim, "first"))
            time.sleep(0.3)
            refused = shim.run("ADD", stdin(), CNI_CONTAINERID="first")
            queued = ipam.delete(shim, "first")
            assert ipam.delete(shim, "second", "other").returncode == 0
        assert [one.result().stderr for one in served] == [b"", b""]
        agent.says("a request is refused: too many requests wait")
        wait_for(lambda: not shim.queued())

    assert (queued.returncode, code_of(refused)) == (0, 11)
    assert b"DEL is kept for later" in queued.stderr
    assert "too many requests wait on this node" in refused.stdout.decode()


@pytest.mark.slow
def test_too_many_requests_for_the_workers_are_refused_and_a_del_is_queued(shim: Shim) -> None:
    with an_agent(shim, workers=1, waiting=1) as agent, ExitStack() as silent:
        for _ in range(2 * 2):  # two are read, by the worker and the one for DELs, and two wait
            silent.enter_context(_silent_client(shim))
            time.sleep(0.1)
        refused = shim.run("ADD", stdin())
        kept = shim.run("DEL", stdin(), CNI_CONTAINERID="last")
        assert b"DEL is kept for later" in kept.stderr  # and done at once, by a spare thread
        silent.close()
        wait_for(lambda: not shim.queued())
        agent.says("queued=last@bond0")
        agent.says("cannot read a request")

    assert code_of(refused) == 11
    assert "Resource temporarily unavailable" in refused.stdout.decode()
    assert kept.returncode == 0


@contextmanager
def _silent_client(shim: Shim) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(shim.socket))
        yield


def test_a_del_waits_for_no_worker_that_other_calls_hold(
    shim: Shim, ipam: Ipam, pool: ThreadPoolExecutor
) -> None:
    page = shim.home / "metrics.sock"
    with an_agent(shim, workers=1, waiting=1, metrics=f"unix:{page}"):
        with ipam.held("first"):
            holding = pool.submit(ipam.collect, shim, "first", "other")
            wait_for(ipam.calls)
            waiting = pool.submit(shim.run, "ADD", stdin())
            time.sleep(0.3)
            refused = shim.run("ADD", stdin(), CNI_CONTAINERID="more")
            counted = sample(page, "sriovbond_command_errors_total", command="ADD", code="11")
            deleted = [shim.run("DEL", stdin(), CNI_CONTAINERID=f"pod{one}") for one in range(3)]
            assert not waiting.done()
        assert holding.result().returncode == 0
        answered = waiting.result()

    assert [(one.returncode, one.stderr) for one in deleted] == [(0, b"")] * 3
    assert (code_of(refused), code_of(answered), counted) == (11, 5, 1)
    assert "too many calls wait, of network 'net', of its namespace" in refused.stdout.decode()


def _impatient() -> None:
    # 90 s are long for a test; that of the shim is compiled in, and stays
    wire.DEADLINE_S = 1  # type: ignore[misc]


def test_a_call_that_no_worker_took_in_time_is_logged_and_counted(
    shim: Shim, ipam: Ipam, pool: ThreadPoolExecutor
) -> None:
    page = shim.home / "metrics.sock"
    with an_agent(shim, workers=1, metrics=f"unix:{page}", prepare=_impatient) as agent:
        with ipam.held("first"):
            holding = pool.submit(ipam.collect, shim, "first", "other")
            wait_for(ipam.calls)
            refused = shim.run("ADD", stdin())
        assert holding.result().returncode == 0
        counted = sample(page, "sriovbond_command_errors_total", command="ADD", code="11")
        agent.says("a request is refused: no worker was free in 1 s")

    assert (code_of(refused), counted) == (11, 1)
    assert "no worker was free in 1 s; try again later" in refused.stdout.decode()


def test_a_del_waits_for_no_worker_that_the_ipam_of_other_dels_holds(
    shim: Shim, ipam: Ipam, pool: ThreadPoolExecutor
) -> None:
    host = Host(state=shim.state, run=shim.home / "run")
    netns = "/proc/self/ns/net"
    with an_agent(shim, workers=2, watch=False, lock_timeout_s=20), ExitStack() as holding:
        adding = []
        for name in ("first", "second"):
            holding.enter_context(records.locked(host, f"{name}@bond0"))
            call = partial(shim.run, "ADD", stdin(), CNI_CONTAINERID=name, CNI_NETNS=netns)
            adding.append(pool.submit(call))
        time.sleep(0.5)
        with ipam.held("third"):
            hanging = pool.submit(ipam.delete, shim, "third", "other")
            wait_for(ipam.calls)
            deleted = shim.run("DEL", stdin(), CNI_CONTAINERID="last")
            assert [one.done() for one in (*adding, hanging)] == [False] * 3
        assert hanging.result().returncode == 0
        holding.close()
        codes = [code_of(one.result()) for one in adding]

    assert (deleted.returncode, deleted.stderr) == (0, b"")
    assert 11 not in codes


def test_an_agent_may_have_more_open_files_than_a_container_begins_with(shim: Shim) -> None:
    with an_agent(shim, prepare=_few_open_files) as agent:
        limits = Path(f"/proc/{agent.pid}/limits").read_text()

    assert re.search(r"^Max open files +4096 +4096 ", limits, re.MULTILINE)


def _few_open_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 4096))


def test_an_add_without_a_waiting_client_is_not_begun(
    shim: Shim, ipam: Ipam, pool: ThreadPoolExecutor
) -> None:
    with an_agent(shim) as agent:
        with ipam.held("pod1"):
            deleting = pool.submit(ipam.delete, shim, "pod1")
            wait_for(ipam.calls)
            adding = subprocess.Popen(
                [shim.program], stdin=subprocess.DEVNULL, env=variables("ADD")
            )
            time.sleep(0.3)
            adding.kill()
            adding.wait()
        assert deleting.result().returncode == 0
        assert shim.run("DEL", stdin()).returncode == 0
        agent.says("ADD is not begun")

    assert "command=ADD" not in agent.said


def test_a_stop_finishes_running_calls_and_accepts_no_more(
    shim: Shim, ipam: Ipam, pool: ThreadPoolExecutor
) -> None:
    with an_agent(shim, workers=1) as agent:
        with ipam.held("first"):
            running = pool.submit(ipam.delete, shim, "first")
            wait_for(ipam.calls)
            waiting = pool.submit(ipam.delete, shim, "second")
            time.sleep(0.3)
            agent.process.terminate()
            wait_for(lambda: not shim.socket.exists())
            assert code_of(shim.run("ADD", stdin())) == 11
        status = agent.ended()

    assert (status, running.result().stderr) == (0, b"")
    assert b"DEL is kept for later" in waiting.result().stderr
    assert ipam.calls() == ["DEL first start", "DEL first end"]
    assert [path.name for path in shim.queued()] == ["second@bond0"]
    agent.says("the agent has stopped")


def test_a_stop_waits_no_longer_than_it_may(
    shim: Shim, ipam: Ipam, pool: ThreadPoolExecutor
) -> None:
    with an_agent(shim, stop_timeout_s=0.3) as agent, ipam.held("first"):
        pool.submit(ipam.delete, shim, "first")
        wait_for(ipam.calls)
        agent.process.terminate()
        wait_for(lambda: "stopping while some requests still run" in agent.said)


def test_a_killed_agent_makes_a_running_del_a_queued_one_and_the_next_does_it(
    shim: Shim, ipam: Ipam, pool: ThreadPoolExecutor
) -> None:
    with an_agent(shim) as agent, ipam.held("first"):
        running = pool.submit(ipam.delete, shim, "first")
        wait_for(ipam.calls)
        agent.kill()
        assert b"DEL is kept for later" in running.result().stderr

    with an_agent(shim) as agent:
        wait_for(lambda: 'msg="a queued DEL is done" queued=first@bond0' in agent.said)
        wait_for(lambda: len(ipam.calls()) == 4)  # the killed agent's plugin ends at any time
    assert ipam.calls().count("DEL first start") == 2
    assert shim.queued() == []


def test_a_hundred_queued_dels_are_done_at_the_start(shim: Shim, ipam: Ipam) -> None:
    ipam.delete(shim, "pod0")
    first = shim.queued()[0].read_bytes()
    for number in range(1, 100):
        name = Attachment(f"pod{number}", "bond0").key
        request = wire.decode_frame(first)
        environment = {**request.environment, "CNI_CONTAINERID": f"pod{number}"}
        content = wire.encode_request(wire.Request(environment, request.stdin))
        (shim.queue / name).write_bytes(content)

    with an_agent(shim):
        wait_for(lambda: shim.queued() == [])
        wait_for(lambda: len(ipam.calls()) == 200)
        wait_for(lambda: kept(shim) == [])

    assert sorted(call for call in ipam.calls() if call.endswith("end")) == sorted(
        f"DEL pod{number} end" for number in range(100)
    )


def test_an_add_after_a_restart_comes_after_the_queued_del_of_an_earlier_pod_of_its_name(
    shim: Shim, ipam: Ipam
) -> None:
    """Some IPAM plugins know a lease by the pod's name: a later DEL would release the new one."""
    ipam.delete(shim, "pod0")
    first = wire.decode_frame(shim.queued()[0].read_bytes())
    for number in range(200):
        args = f"K8S_POD_NAMESPACE=ns;K8S_POD_NAME=web-{number}"
        names = {"CNI_CONTAINERID": f"pod{number}", "CNI_ARGS": args}
        request = wire.Request({**first.environment, **names}, first.stdin)
        file = shim.queue / Attachment(f"pod{number}", "bond0").key
        file.write_bytes(wire.encode_request(request))
        os.utime(file, (number, number))

    with an_agent(shim, watch=False):
        ipam.call(shim, "ADD", "new", CNI_ARGS="K8S_POD_NAMESPACE=ns;K8S_POD_NAME=web-199")
        calls = ipam.calls()

    assert "DEL pod199 end" in calls


def test_an_add_does_not_wait_for_the_queued_del_of_another_pod(shim: Shim, ipam: Ipam) -> None:
    ipam.call(shim, "DEL", "held", CNI_ARGS="K8S_POD_NAMESPACE=ns;K8S_POD_NAME=web-1")

    with records.locked(host_of(shim), "held@bond0"), an_agent(shim, watch=False) as agent:
        started = time.monotonic()
        ipam.call(shim, "ADD", "new", CNI_ARGS="K8S_POD_NAMESPACE=ns;K8S_POD_NAME=web-2")
        took_s = time.monotonic() - started
        wait_for(lambda: "a queued DEL must wait" in agent.said)

    assert took_s < 15  # half of what its own pod's ADD waits


def test_queued_dels_whose_locks_are_held_hold_no_other_up(shim: Shim, ipam: Ipam) -> None:
    held = [f"held{number}" for number in range(6)]
    for name in (*held, "free"):
        ipam.delete(shim, name)
    host = host_of(shim)

    with ExitStack() as locks:
        for name in held:  # as a killed agent's plugin does until it ends
            locks.enter_context(records.locked(host, f"{name}@bond0"))
        with an_agent(shim, watch=False) as agent:
            wait_for(lambda: "queued=free@bond0" in agent.said, 8)


def test_a_del_that_is_queued_while_the_agent_runs_is_done(
    shim: Shim, agent: Agent, ipam: Ipam
) -> None:
    away = shim.socket.with_name("away")
    shim.socket.rename(away)

    assert b"kept for later" in ipam.delete(shim, "first").stderr

    wait_for(lambda: shim.queued() == [])
    wait_for(lambda: "a queued DEL is done" in agent.said)
    wait_for(lambda: ipam.calls() == ["DEL first start", "DEL first end"])


def test_a_queue_that_is_made_anew_is_noticed(shim: Shim, ipam: Ipam) -> None:
    with an_agent(shim, watch=False) as agent:
        shutil.rmtree(shim.queue)
        shim.socket.rename(shim.socket.with_name("away"))
        ipam.delete(shim, "first")
        wait_for(lambda: "queued=first@bond0" in agent.said)
        started = time.monotonic()
        ipam.delete(shim, "second")
        wait_for(lambda: "queued=second@bond0" in agent.said)
        took_s = time.monotonic() - started

    assert took_s < 5  # the loop also turns every 10 s by itself


@pytest.mark.skipif(os.geteuid() != 0, reason="listening to all namespaces needs root")
def test_records_in_a_folder_that_is_made_anew_are_noticed(shim: Shim, ipam: Ipam) -> None:
    host = host_of(shim)

    def leave(container: str) -> None:
        given = variables("ADD", CNI_CONTAINERID=container, CNI_PATH=str(ipam.folder))
        call = IpamCall(ipam.config.decode(), given)
        records.write(host, Record("net", container, "bond0", "", (0, 0, 0), "boot", None, call))
        wait_for(lambda: not records.keys(host), 30)  # a round comes after 300 s

    with an_agent(shim):
        leave("pod1")
        shutil.rmtree(host.records)
        leave("pod2")

    assert ipam.calls()[-1] == "DEL pod2 end"


def without_inotify() -> None:
    """Enter a user namespace that may have no inotify instance."""
    libc.unshare(0x10000000)  # CLONE_NEWUSER
    Path("/proc/self/setgroups").write_text("deny")
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/self/{name}").write_text("0 0 1")
    Path("/proc/sys/user/max_inotify_instances").write_text("0")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change its user namespace's limits")
def test_an_agent_works_while_other_programs_have_used_up_inotify(shim: Shim, ipam: Ipam) -> None:
    ipam.delete(shim, "pod1")

    with an_agent(shim, watch=False, prepare=without_inotify) as agent:
        wait_for(lambda: not shim.queued())
        done = shim.run("DEL", stdin())

    assert (done.returncode, done.stderr) == (0, b"")
    assert agent.said.count("Too many open files; it is listed now and then instead") == 1


@pytest.mark.slow
def test_an_agent_in_a_container_ends_when_its_folders_are_others_on_the_host(shim: Shim) -> None:
    root = shim.home / "host"
    seen = root / shim.state.relative_to("/")
    seen.parent.mkdir(parents=True, exist_ok=True)
    seen.symlink_to(shim.state)
    shim.state.mkdir()
    with an_agent(shim, watch=False, host_root=root) as agent:
        shim.run("STATUS", stdin())
        seen.unlink()
        seen.mkdir()
        status = agent.ended()
    shutil.rmtree(root)

    assert status == 1
    agent.says("the host has replaced the folder")
    agent.says("restart this container")


def test_addresses_of_a_queued_del_that_fails_are_released_later_and_hold_its_add_up(
    shim: Shim, ipam: Ipam
) -> None:
    ipam.delete(shim, "pod1")
    (ipam.folder / "fail").touch()

    with an_agent(shim, retry_s=0.5) as agent:
        added = shim.run("ADD", stdin())
        other = shim.run("ADD", stdin(), CNI_IFNAME="bond1")
        (ipam.folder / "fail").unlink()
        wait_for(lambda: kept(shim) == [])
        wait_for(lambda: "kind=BondAddressesReturned" in agent.said)

    assert code_of(added) == 11
    assert "are not released yet: cannot release addresses through" in added.stdout.decode()
    assert code_of(other) == 5
    assert agent.said.count("kind=BondAddressesKept") == 1
    assert shim.queued() == []


@pytest.mark.slow
def test_a_queued_del_that_keeps_failing_is_tried_ever_more_rarely_and_holds_no_other_up(
    shim: Shim, ipam: Ipam
) -> None:
    ipam.delete(shim, "pod1")
    records = shim.state / "records"
    records.touch()  # no folder, so that nothing can be stored

    with an_agent(shim, retry_s=0.1, watch=False) as agent:
        wait_for(lambda: agent.said.count("must wait") >= 3)
        records.unlink()
        away = shim.socket.with_name("away")
        shim.socket.rename(away)
        ipam.delete(shim, "pod2")
        wait_for(lambda: "queued=pod2@bond0" in agent.said)
        wait_for(lambda: 'msg="a queued DEL is done" queued=pod1@bond0' in agent.said)

    tried = [line for line in agent.said.splitlines() if "queued=pod1@bond0" in line]
    assert 4 <= len(tried) <= 8  # not every 0.1 s
    assert "a queued DEL is done" in tried[-1]
    assert shim.queued() == []


def test_an_add_comes_after_the_queued_del_of_its_attachment(shim: Shim, ipam: Ipam) -> None:
    ipam.delete(shim, "pod1")

    with an_agent(shim):
        assert code_of(shim.run("ADD", stdin())) == 5  # its namespace does not exist

        assert shim.queued() == []
        assert ipam.calls() == ["DEL pod1 start", "DEL pod1 end"]


@pytest.mark.parametrize(
    "environment",
    [
        {"CNI_IFNAME": "nété0"},
        {"CNI_IFNAME": ".b0"},
        {"CNI_IFNAME": "\x01\x7f"},
        {"CNI_CONTAINERID": "c" * 300},
    ],
    ids=lambda one: ascii(one)[:40],
)
def test_a_queued_del_of_an_unusual_name_is_done(
    shim: Shim, ipam: Ipam, environment: dict[str, str]
) -> None:
    shim.run("DEL", ipam.config, CNI_PATH=str(ipam.folder), **environment)

    with an_agent(shim) as agent:
        wait_for(lambda: "a queued DEL is done" in agent.said)

        wait_for(lambda: len(ipam.calls()) == 2)

    assert shim.queued() == []


@pytest.mark.parametrize("name", ["nété0".encode("latin-1"), "b\u00a00".encode()], ids=ascii)
def test_a_queued_del_of_a_name_that_no_add_takes_is_set_aside_and_reported(
    shim: Shim, ipam: Ipam, name: bytes
) -> None:
    shim.run("DEL", stdin(), CNI_IFNAME=os.fsdecode(name))

    with an_agent(shim) as agent:
        wait_for(lambda: shim.queued() == [shim.queue / "damaged"])
        agent.says("cannot run DEL: CNI_IFNAME is")

    assert ipam.calls() == []


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def another_command(path: Path) -> None:
    path.write_bytes(wire.encode_request(wire.Request(variables("ADD"), b"{}")))


def another_name(path: Path) -> None:
    given = variables("DEL", CNI_CONTAINERID="pod2")
    path.write_bytes(wire.encode_request(wire.Request(given, b"{}")))


def a_link(path: Path) -> None:
    path.rename(path.with_name(".elsewhere"))
    path.symlink_to(".elsewhere")


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\0" * 5000),
        cut,
        another_command,
        another_name,
        a_link,
        a_folder,
        a_pipe,
    ],
)
def test_a_damaged_file_is_set_aside_and_reported(
    shim: Shim, ipam: Ipam, damage: Callable[[Path], None]
) -> None:
    ipam.delete(shim, "pod1")
    damage(shim.queue / "pod1@bond0")

    with an_agent(shim) as agent:
        wait_for(lambda: os.path.lexists(shim.queue / "damaged" / "pod1@bond0"))
        agent.says("cannot replay the queued DEL")
        added = shim.run("ADD", stdin())

    assert code_of(added) == 5
    assert ipam.calls() == []


def test_the_socket_and_its_folders_are_the_owners_alone(shim: Shim, agent: Agent) -> None:
    assert agent.process.is_alive()
    modes = {path: path.stat().st_mode & 0o777 for path in (shim.socket, shim.queue)}

    assert modes == {shim.socket: 0o600, shim.queue: 0o700}


def test_the_socket_of_a_killed_agent_is_replaced(shim: Shim) -> None:
    with an_agent(shim) as agent:
        agent.kill()
    assert shim.socket.exists()

    with an_agent(shim):
        assert shim.run("GC", stdin(**{"cni.dev/attachments": []})).returncode == 0


def test_a_path_that_is_too_long_for_a_socket_is_reported(shim: Shim) -> None:
    with an_agent(shim, socket=shim.home / ("a" * 120)) as agent:
        assert agent.ended() == 1

    agent.says("aaa': AF_UNIX path too long")


def test_a_second_agent_does_not_start_and_the_first_goes_on(shim: Shim, agent: Agent) -> None:
    with an_agent(shim) as second:
        assert second.ended() == 1

    second.says("another one runs")
    assert agent.process.is_alive()
    assert shim.run("DEL", stdin()).stderr == b""


@pytest.mark.parametrize("content", [b"", b"GET / HTTP/1.1\r\n\r\n", b"SBq1\0\0", b"\xff" * 70_000])
def test_a_malformed_request_is_hung_up_on(shim: Shim, content: bytes) -> None:
    with an_agent(shim, read_timeout_s=0.3) as agent:
        with socket.socket(socket.AF_UNIX) as channel:
            channel.connect(str(shim.socket))
            channel.settimeout(WITHIN_S)
            try:
                channel.sendall(content)
                got = channel.recv(1)
            except (BrokenPipeError, ConnectionResetError):
                got = b""

        assert got == b""
        assert shim.run("DEL", stdin()).stderr == b""
        agent.says("cannot read a request")


@pytest.mark.slow
def test_mutated_requests_leave_the_agent_as_it_was(shim: Shim) -> None:
    dice = random.Random(7)  # noqa: S311 - no secret
    whole = wire.encode_request(wire.Request(variables("ADD"), stdin()))
    with an_agent(shim, read_timeout_s=0.2) as agent:
        shim.run("STATUS", stdin())
        proc = Path("/proc", str(agent.pid))
        before = len(links_of(proc))
        for _ in range(150):
            _send(shim, _mutated(whole, dice))

        assert shim.run("DEL", stdin()).stderr == b""
        wait_for(lambda: len(links_of(proc)) <= before)
    assert "a fault of sriovbond" not in agent.said


def _mutated(whole: bytes, dice: random.Random) -> bytes:
    content = bytearray(whole)
    for _ in range(dice.randrange(1, 4)):
        content[dice.randrange(len(content))] = dice.randrange(256)
    return bytes(content[: dice.randrange(len(content) // 2, 3 * len(content))])


def _send(shim: Shim, content: bytes) -> None:
    """Send what may be a request, with a descriptor, and wait for the answer or not."""
    with socket.socket(socket.AF_UNIX) as connection, Path("/proc/self/ns/mnt").open("rb") as file:
        connection.settimeout(WITHIN_S)
        connection.connect(str(shim.socket))
        with suppress(BrokenPipeError, ConnectionResetError):
            socket.send_fds(connection, [content], [file.fileno()])
            if len(content) % 2:
                connection.recv(1)


def test_a_request_with_two_descriptors_is_hung_up_on(shim: Shim, agent: Agent) -> None:
    frame = wire.encode_request(wire.Request(variables("ADD"), stdin()))
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(str(shim.socket))
        socket.send_fds(channel, [frame], [0, 1])

        assert channel.recv(1) == b""

    wait_for(lambda: "2 descriptors" in agent.said)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_requests_of_other_users_are_not_taken(shim: Shim, agent: Agent) -> None:
    shim.home.chmod(0o755)
    shim.socket.chmod(0o666)
    program = (
        "import os, socket, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534); "
        "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); sys.exit(len(s.recv(1)))"
    )

    command = [sys.executable, "-c", program, str(shim.socket)]
    done = subprocess.run(command, check=False, timeout=WITHIN_S)

    assert done.returncode == 0
    wait_for(lambda: "a request of user 65534 is refused" in agent.said)


def test_systemd_is_notified_when_the_agent_is_ready_and_when_it_stops(
    shim: Shim,
) -> None:
    path = shim.home / "notify.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(path))
        heard.settimeout(WITHIN_S)
        with an_agent(shim, systemd={"NOTIFY_SOCKET": str(path)}) as agent:
            first = heard.recv(100)
            agent.stop()
            second = heard.recv(100)
    path.unlink()

    assert (first, second) == (b"READY=1", b"STOPPING=1")


def test_systemd_hears_in_time_that_the_loops_of_the_agent_turn(shim: Shim) -> None:
    path = shim.home / "notify.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(path))
        heard.settimeout(WITHIN_S)
        systemd = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "600000"}
        with an_agent(shim, systemd=systemd):
            told = [heard.recv(100)]
            started = time.monotonic()
            told += [heard.recv(100) for _ in range(3)]
            took_s = time.monotonic() - started
    path.unlink()

    assert told == [b"READY=1", *[b"WATCHDOG=1"] * 3]
    assert took_s > 0.5


def test_each_request_is_logged_with_its_own_fields(shim: Shim, agent: Agent) -> None:
    def call(number: int) -> None:
        shim.run("DEL", stdin(), CNI_CONTAINERID=f"pod{number}", CNI_IFNAME=f"bond{number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(call, range(30)))

    wait_for(lambda: agent.said.count("msg=done") == 30)  # written by a thread of its own
    lines = [line for line in agent.said.splitlines() if "msg=done" in line]
    for number in range(30):
        assert sum(f"container=pod{number} ifname=bond{number}" in line for line in lines) == 1


def test_a_del_whose_record_cannot_be_read_now_is_kept_and_done_later(
    shim: Shim, ipam: Ipam
) -> None:
    host = host_of(shim)
    path = str(ipam.folder)

    def call(command: str) -> dict[str, str]:
        return variables(command, CNI_CONTAINERID="c1", CNI_PATH=path)

    asked = IpamCall(ipam.config.decode(), call("ADD"))
    record = Record("net", "c1", call("ADD")["CNI_IFNAME"], "", (0, 0, 0), "boot", None, asked)
    records.write(host, record)
    file = host.records / f"{record.key}.json"

    with ExitStack() as held:
        with leasing.unreadable(file):  # before the agent, which would release them
            agent = held.enter_context(an_agent(shim, retry_s=0.2, watch=False))
            answer = dispatch.answer(call("DEL"), ipam.config, host)
            done = ipam.delete(shim, "c1")
            queued = [path.name for path in shim.queued()]
            in_the_way = shim.state / f"queue/.{record.key}.sriovbond"
            in_the_way.mkdir()
            refused = ipam.delete(shim, "c1")
            in_the_way.rmdir()
        wait_for(lambda: not shim.queued())
        wait_for(lambda: records.keys(host) == [])
        agent.says("a DEL is kept for later: cannot read the record")

    assert (answer.status, json.loads(answer.stdout)["code"]) == (1, 5)
    assert (done.returncode, queued) == (0, [record.key])
    assert code_of(refused) == 11
    assert "DEL c1 end" in ipam.calls()


def is_replaced_by_file(folder: Path) -> bool:
    """Put a file in a folder's place, unless the agent has just made another folder there."""
    with suppress(FileNotFoundError):
        folder.rmdir()
    with suppress(IsADirectoryError):
        folder.write_text("no folder")
    return folder.is_file()


def test_a_queue_that_cannot_be_read_does_not_end_the_agent(shim: Shim) -> None:
    with an_agent(shim, watch=False) as agent:
        aside = shim.queue.rename(shim.state / "aside")
        wait_for(lambda: is_replaced_by_file(shim.queue))
        (aside / "woken@bond0").touch()
        (aside / "woken@bond0").rename(aside / "now@bond0")  # this wakes the agent's loop

        assert shim.run("DEL", stdin()).returncode == 0
        assert agent.stop() == 0
