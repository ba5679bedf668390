"""One network's IPAM hangs: the effect on other networks, its own calls and the probes."""

import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest

from sriovbond import records
from sriovbond.commands import keeping
from sriovbond.host import Host
from sriovbond.records import IpamCall, Record
from tests.support.agents import an_agent, wait_for
from tests.support.held_ipam import Ipam, code_of, kept, stdin
from tests.support.shims import Shim, variables

AT_ONCE = 16


@pytest.fixture
def crowd() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(64) as threads:
        yield threads


@contextmanager
def hanging(
    shim: Shim, ipam: Ipam, crowd: ThreadPoolExecutor, network: str, count: int = AT_ONCE
) -> Iterator[None]:
    """Let as many DELs of a network as possible hang in IPAM, within the block."""
    names = [f"{network}{number}" for number in range(count)]
    holds = [ipam.folder / f"hold-{name}" for name in names]
    for hold in holds:
        hold.touch()
    before = len(ipam.calls())
    calls = [crowd.submit(ipam.delete, shim, name, network) for name in names]
    wait_for(lambda: len(ipam.calls()) > before)
    time.sleep(0.5)
    try:
        yield
    finally:
        for hold in holds:
            hold.unlink()
        for call in calls:
            assert call.result().returncode == 0


@pytest.mark.slow
def test_a_network_whose_ipam_hangs_holds_no_other_up(
    shim: Shim, ipam: Ipam, crowd: ThreadPoolExecutor
) -> None:
    with (
        an_agent(shim, watch=False),
        hanging(shim, ipam, crowd, "a"),
        hanging(shim, ipam, crowd, "b"),
    ):
        running = len(ipam.calls())
        started = time.monotonic()
        with_ipam = ipam.delete(shim, "c0", "c")
        without = shim.run("DEL", stdin(name="d"))
        refused = shim.run("ADD", stdin(name="d"))
        took_s = time.monotonic() - started

    assert running == 4 + 2
    assert (with_ipam.returncode, without.returncode, code_of(refused)) == (0, 0, 5)
    assert with_ipam.stderr == without.stderr == b""
    assert took_s < 3


@pytest.mark.slow
def test_250_calls_of_a_network_with_a_slow_ipam_all_succeed(
    shim: Shim, ipam: Ipam, crowd: ThreadPoolExecutor
) -> None:
    program = ipam.folder / "scripted"
    program.write_text(f"#!/bin/sh\nsleep 0.1\necho $CNI_CONTAINERID >>{ipam.folder}/calls\n")
    with an_agent(shim, watch=False):
        done = list(crowd.map(lambda number: ipam.delete(shim, f"pod{number}"), range(250)))

        assert [one.stdout for one in done if one.returncode] == []
        wait_for(lambda: len(ipam.calls()) == 250)
        wait_for(lambda: kept(shim) == [])


@pytest.mark.slow
def test_a_call_queued_for_too_long_must_be_retried_and_a_del_is_done(
    shim: Shim, ipam: Ipam, crowd: ThreadPoolExecutor
) -> None:
    with an_agent(shim, watch=False, ipam_wait_s=0.5), hanging(shim, ipam, crowd, "a", 4):
        adding = crowd.submit(ipam.call, shim, "ADD", "more", "a")
        asking = crowd.submit(ipam.call, shim, "STATUS", "more", "a")
        deleted = ipam.delete(shim, "last", "a")

        assert code_of(adding.result()) == 11
        why = "other calls, of network 'a', of its namespace or of all, held IPAM for 0.5 s"
        assert why in adding.result().stdout.decode()
        assert code_of(asking.result()) == 50
        assert (deleted.returncode, deleted.stderr) == (0, b"")
        assert kept(shim) == ["last@bond0.json"]
        assert not any("last" in call for call in ipam.calls())


def test_a_line_that_is_full_turns_its_own_network_away_alone(
    shim: Shim, ipam: Ipam, crowd: ThreadPoolExecutor
) -> None:
    with an_agent(shim, watch=False, waiting=2), hanging(shim, ipam, crowd, "a", 6):
        added = ipam.call(shim, "ADD", "more", "a")
        other = ipam.delete(shim, "b0", "b")

    assert code_of(added) == 11
    why = "too many calls wait for IPAM, of network 'a', of its namespace or of all"
    assert why in added.stdout.decode()
    assert (other.returncode, other.stderr) == (0, b"")


def test_a_stop_hangs_up_on_those_in_line_and_their_dels_are_queued(
    shim: Shim, ipam: Ipam, crowd: ThreadPoolExecutor
) -> None:
    with an_agent(shim, watch=False) as agent, hanging(shim, ipam, crowd, "a", 6):
        agent.process.terminate()
        wait_for(lambda: len(shim.queued()) == 2)


def test_queued_dels_of_a_network_that_hangs_hold_no_other_up(shim: Shim, ipam: Ipam) -> None:
    for number in range(12):
        (ipam.folder / f"hold-a{number}").touch()
        ipam.delete(shim, f"a{number}", "a")
    ipam.delete(shim, "b0", "b")

    with an_agent(shim, watch=False):
        wait_for(lambda: shim.queued() == [])
        wait_for(lambda: "DEL b0 end" in ipam.calls())
        wait_for(lambda: len(kept(shim)) == 12)
        for number in range(12):
            (ipam.folder / f"hold-a{number}").unlink()
        wait_for(lambda: kept(shim) == [])


def test_a_del_whose_ipam_fails_succeeds_and_its_addresses_are_released_later(
    shim: Shim, ipam: Ipam
) -> None:
    (ipam.folder / "fail").touch()
    with an_agent(shim, watch=False, retry_s=0.3) as agent:
        done = ipam.delete(shim, "pod1")
        again = ipam.delete(shim, "pod1")
        asked = ipam.call(shim, "STATUS", "pod1", CNI_IFNAME=None)
        standing = kept(shim)
        (ipam.folder / "fail").unlink()
        wait_for(lambda: kept(shim) == [])
        wait_for(lambda: "kind=BondAddressesReturned" in agent.said)

    assert (done.returncode, done.stderr, again.returncode) == (0, b"", 0)
    assert standing == ["pod1@bond0.json"]
    assert asked.returncode == 1  # in the plugin, and for the missing driver
    assert agent.said.count("kind=BondAddressesKept") == 1


def test_kept_addresses_survive_the_agent(shim: Shim, ipam: Ipam) -> None:
    (ipam.folder / "fail").touch()
    with an_agent(shim, watch=False):
        ipam.delete(shim, "pod1")
    (ipam.folder / "fail").unlink()

    with an_agent(shim, watch=False):
        wait_for(lambda: kept(shim) == [])

    assert ipam.calls()[-1] == "DEL pod1 end"


ARGS = "K8S_POD_NAMESPACE=ns;K8S_POD_NAME=pod"


@pytest.mark.parametrize(
    ("network", "args", "is_first"),
    [("net", ARGS, True), ("other", ARGS, False), ("net", f"{ARGS}2", False), ("net", "", False)],
)
def test_addresses_of_an_earlier_pod_of_a_name_are_released_before_its_add(
    shim: Shim, ipam: Ipam, network: str, args: str, *, is_first: bool
) -> None:
    (ipam.folder / "fail").touch()
    with an_agent(shim, watch=False):
        ipam.call(shim, "DEL", "old", CNI_ARGS=ARGS)
        refused = ipam.call(shim, "ADD", "new", network, CNI_ARGS=args)
        (ipam.folder / "fail").unlink()
        ipam.call(shim, "ADD", "new", network, CNI_ARGS=args)
        standing = kept(shim)

    assert (code_of(refused) == 11) == is_first
    assert (standing == []) == is_first


def test_a_network_with_too_many_kept_addresses_gets_no_more_and_others_do(
    shim: Shim, ipam: Ipam
) -> None:
    (ipam.folder / "fail").touch()
    with an_agent(shim, watch=False, waiting=2):
        done = [ipam.delete(shim, f"pod{number}", "a").returncode for number in range(3)]
        added = ipam.call(shim, "ADD", "new", "a")
        asked = ipam.call(shim, "STATUS", "new", "a")
        again = ipam.delete(shim, "pod0", "a")
        other = ipam.delete(shim, "other", "b")

    assert done == [0, 0, 1]
    assert code_of(added) == 11
    assert "has not taken 2 addresses of 'a' back" in added.stdout.decode()
    assert code_of(asked) == 50
    assert (again.returncode, other.returncode) == (0, 0)


@pytest.mark.parametrize("command", ["GC", "STATUS", "CHECK"])
def test_a_call_whose_client_has_gone_is_not_begun(
    shim: Shim, ipam: Ipam, crowd: ThreadPoolExecutor, command: str
) -> None:
    with an_agent(shim, watch=False) as agent:
        with hanging(shim, ipam, crowd, "a", 4):
            environment = {**variables(command), "CNI_PATH": str(ipam.folder)}
            config = {"name": "a", "ipam": {"type": "scripted"}, "cni.dev/valid-attachments": []}
            path = ipam.folder / "stdin"
            path.write_bytes(stdin(**config))
            with path.open("rb") as given:
                asking = subprocess.Popen([shim.program], stdin=given, env=environment)
            time.sleep(0.3)
            asking.kill()
            asking.wait()
        wait_for(lambda: f"{command} is not begun: its caller has gone" in agent.said)

    assert not any(call.startswith(command) for call in ipam.calls())


def a_record(container: str) -> Record:
    call = IpamCall(
        stdin(ipam={"type": "scripted"}).decode(),
        {**variables("DEL", CNI_CONTAINERID=container), "CNI_PATH": "/nowhere"},
    )
    return Record("net", container, "bond0", "", keeping.NO_NAMESPACE, "", None, call)


def test_a_lease_that_no_add_reserved_is_given_up_after_a_day(shim: Shim) -> None:
    host = Host(state=shim.state, run=shim.home / "run")
    for name, age_s in (("old", 90_000), ("young", 80_000)):
        record = a_record(name)
        records.write(host, record)
        written_at = time.time() - age_s
        os.utime(host.records / f"{record.key}.json", (written_at, written_at))

    with an_agent(shim, watch=False, retry_s=0.2) as agent:
        wait_for(lambda: kept(shim) == ["young@bond0.json"])
        agent.says("given up, it may never have been")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may listen to all namespaces")
def test_the_watch_leaves_addresses_that_others_left_to_their_room(shim: Shim, ipam: Ipam) -> None:
    host = Host(state=shim.state, run=shim.home / "run")
    record = a_record("left")
    assert record.ipam
    call = replace(
        record.ipam, environment={**record.ipam.environment, "CNI_PATH": str(ipam.folder)}
    )

    with an_agent(shim):
        records.write(host, replace(record, ipam=call))
        wait_for(lambda: kept(shim) == [])

    assert ipam.calls() == ["DEL left start", "DEL left end"]


def test_a_gc_leaves_alone_a_record_newer_than_its_list(
    shim: Shim, ipam: Ipam, crowd: ThreadPoolExecutor
) -> None:
    host = Host(state=shim.state, run=shim.home / "run")
    config = stdin(**{"cni.dev/valid-attachments": []})
    with an_agent(shim, watch=False, workers=1, retry_s=60) as agent:
        with ipam.held("busy"):
            first = crowd.submit(ipam.collect, shim, "busy", "a")
            wait_for(ipam.calls)
            collecting = crowd.submit(shim.run, "GC", config)
            time.sleep(0.3)
            records.write(host, a_record("new"))
        assert first.result().returncode == 0
        assert collecting.result().returncode == 0
        agent.says("left alone: it is newer than the list")

    assert kept(shim) == ["new@bond0.json"]


def test_an_ipam_gc_is_ended_when_its_caller_goes(shim: Shim, ipam: Ipam) -> None:
    config = stdin(ipam={"type": "scripted"}, **{"cni.dev/valid-attachments": []})
    (ipam.folder / "hold-pod1").touch()
    environment = {**variables("GC"), "CNI_PATH": str(ipam.folder)}
    with an_agent(shim, watch=False) as agent:
        with subprocess.Popen([shim.program], stdin=subprocess.PIPE, env=environment) as asking:
            assert asking.stdin
            asking.stdin.write(config)
            asking.stdin.close()
            wait_for(ipam.calls)
            asking.kill()
        wait_for(lambda: "its caller has gone: it" in agent.said)

    assert not any(call.endswith("end") for call in ipam.calls())


def test_one_del_finds_out_that_ipam_hangs_and_those_after_it_are_done_without(
    shim: Shim, ipam: Ipam
) -> None:
    names = [f"pod{number}" for number in range(4)]
    holds = [ipam.folder / f"hold-{name}" for name in names]
    for hold in holds:
        hold.touch()
    with an_agent(shim, watch=False, ipam_timeout_s=0.5, retry_s=600, retry_most_s=600) as agent:
        done = [ipam.delete(shim, name) for name in names]  # one after the other, as in a drain
        tried, waiting = ipam.calls(), kept(shim)

        for hold in holds:
            hold.unlink()
        assert ipam.collect(shim, "gc", "net").returncode == 0
        wait_for(lambda: kept(shim) == [])
        agent.says("kind=BondAddressesReturned")

    assert [(one.returncode, one.stderr) for one in done] == [(0, b"")] * 4
    assert tried == ["DEL pod0 start"]
    assert waiting == [f"{name}@bond0.json" for name in names]


def test_each_del_asks_an_ipam_that_fails_at_once(shim: Shim, ipam: Ipam) -> None:
    (ipam.folder / "fail").touch()
    with an_agent(shim, watch=False, retry_s=600, retry_most_s=600):
        for name in ("pod0", "pod1"):
            assert ipam.delete(shim, name).returncode == 0

        starts = [call for call in ipam.calls() if call.endswith("start")]
        assert starts == ["DEL pod0 start", "DEL pod1 start"]


def test_a_call_whose_ipam_hung_spares_the_dels_after_it(shim: Shim, ipam: Ipam) -> None:
    """As in an outage, where kubelet tries ADDs again and again."""
    with an_agent(shim, watch=False, ipam_timeout_s=0.5, retry_s=600) as agent:
        with ipam.held("gc"):
            assert code_of(ipam.collect(shim, "gc", "net")) == 104
        assert ipam.delete(shim, "pod0").returncode == 0
        agent.says("released later: cannot release addresses now: IPAM is asked later")
        wait_for(lambda: kept(shim) == [])  # by the agent, for which no pod waits

    assert ipam.calls() == ["GC gc start", "DEL pod0 start", "DEL pod0 end"]
