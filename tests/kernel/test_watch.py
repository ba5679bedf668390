"""The agent's watch reports the events of bonds in pods, from one socket on the host."""

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sriovbond import records
from tests.kernel.conftest import Running, Wires
from tests.support import cluster_api, ipams, traffic
from tests.support.agents import Agent, wait_for
from tests.support.calls import Runtime, a_config
from tests.support.cluster_api import ClusterApi
from tests.support.leases import IPV4, IPV6, addresses, static
from tests.support.pods import Pod, a_pod, batch, ip, wire_up
from tests.support.scrape import sample
from tests.support.watching import (
    POD_ARGS,
    active,
    await_logged,
    await_settled,
    await_watched,
    await_working,
    far_of,
    kinds,
)

Config = dict[str, object]
NOTHING_COMES_S = 1.5
"""A pause in which nothing must be reported: three rounds, and more, of those that could."""
ADDRESSES = ("192.0.2.10", "2001:db8::10")


@pytest.fixture
def api() -> Iterator[ClusterApi]:
    with cluster_api.served() as server:
        yield server


@pytest.fixture
def bonded(running: Running, runtime: Runtime, wires: Wires) -> Running:
    """Run an agent with these settings, and have it watch a pod's bond whose members work."""

    def run(**settings: object) -> Agent:
        agent = running(**settings)
        runtime.add(over(wires), CNI_ARGS=POD_ARGS).ok()
        await_working(wires.pod)
        await_settled(agent)
        return agent

    return run


def over(wires: Wires, **keys: object) -> Config:
    return a_config(links=wires.links, miimon=50, **keys)


def test_a_failover_is_reported_with_pod_and_members(
    bonded: Running, runtime: Runtime, wires: Wires
) -> None:
    agent = bonded()
    first = active(wires.pod)

    wires.far.ip(f"link set {far_of(first)} down")
    line = await_logged(agent, "BondFailover")

    assert f"{active(wires.pod)} is the active member now; {first} has failed" in line
    assert f"pod=nf/upf-0 container={wires.pod.container_id} ifname=bond0" in line
    assert "level=warning" in line
    await_logged(agent, "BondDegraded")
    wires.far.ip(f"link set {far_of(first)} up")
    await_logged(agent, "BondRestored")
    runtime.delete(over(wires)).ok()
    assert kinds(agent).count("BondFailover") == 1


def test_a_member_that_its_pod_set_down_is_no_matter_of_cables(
    bonded: Running, wires: Wires
) -> None:
    agent = bonded()
    first = active(wires.pod)

    wires.pod.ip(f"link set {first} down")
    lines = [await_logged(agent, kind) for kind in ("BondFailover", "BondMemberDown")]

    assert all(f"{first} is administratively down" in line for line in lines)
    assert not any("cable" in line for line in lines)


def test_add_and_del_report_no_happening(running: Running, runtime: Runtime, wires: Wires) -> None:
    agent = running()
    for _ in range(3):
        runtime.add(over(wires)).ok()
        await_working(wires.pod)
        await_settled(agent)
        runtime.delete(over(wires)).ok()
        await_watched(agent, 0)
    runtime.add(over(wires)).ok()
    runtime.delete(over(wires)).ok()
    time.sleep(NOTHING_COMES_S)

    assert kinds(agent) == []


def test_a_bond_older_than_the_agent_is_watched(
    running: Running, runtime: Runtime, wires: Wires
) -> None:
    runtime.add(over(wires)).ok()
    await_working(wires.pod)
    running().kill()
    agent = running()
    await_settled(agent)
    first = active(wires.pod)

    wires.far.ip(f"link set {far_of(first)} down")

    assert first in await_logged(agent, "BondFailover")


def test_an_overrun_loses_no_failover(bonded: Running, wires: Wires) -> None:
    agent = bonded(watch_buffer_bytes=1 << 14)
    first = active(wires.pod)

    os.kill(agent.pid, signal.SIGSTOP)
    batch(*(f"link add flood{n} type dummy" for n in range(100)))
    wires.far.ip(f"link set {far_of(first)} down")
    wait_for(lambda: active(wires.pod) not in ("", first))
    wires.far.ip(f"link set {far_of(first)} up")
    await_working(wires.pod)
    batch(*(f"link del flood{n}" for n in range(100)))
    os.kill(agent.pid, signal.SIGCONT)

    assert first in await_logged(agent, "BondFailover")
    agent.says("all is read again")


def test_a_pod_that_went_without_a_del_is_released(
    running: Running, runtime: Runtime, wires: Wires, tmp_path: Path
) -> None:
    leases = tmp_path / "leases"
    ipam = {"type": "host-local", "dataDir": str(leases), "subnet": "192.0.2.0/24"}
    agent = running(gone_after_s=0.2)
    runtime.add(over(wires, ipam=ipam)).ok()
    await_watched(agent)
    assert list(leases.rglob("192.0.2.*"))

    ip(f"netns del {wires.pod.name}")
    line = await_logged(agent, "BondReleased")

    assert "its pod went without a DEL" in line
    wait_for(lambda: not records.keys(runtime.host))  # IPAM runs in the thread for leases
    assert not list(leases.rglob("192.0.2.*"))
    runtime.delete(over(wires, ipam=ipam)).ok()


def test_a_del_that_ipam_fails_is_no_news_of_the_bond_and_is_made_up_for(
    running: Running, runtime: Runtime, wires: Wires, tmp_path: Path
) -> None:
    calls, fail = tmp_path / "calls", tmp_path / "fail"
    body = f"echo $CNI_COMMAND >>{calls}; [ $CNI_COMMAND = ADD ] || exec test ! -e {fail}; "
    result = {"cniVersion": "1.1.0", "ips": [{"address": "192.0.2.10/24"}]}
    path = ipams.scripted(tmp_path, f"{body} echo '{json.dumps(result)}'")
    config = over(wires, ipam={"type": "scripted-ipam"})
    agent = running(retry_s=0.5)
    runtime.add(config, CNI_PATH=path).ok()
    await_working(wires.pod)
    await_settled(agent)
    fail.touch()

    reply = runtime.delete(config, CNI_PATH=path)
    await_logged(agent, "BondAddressesKept")

    assert reply.status == 1
    assert calls.read_text().split().count("DEL") >= 2  # the runtime's, and the agent's
    fail.unlink()
    await_logged(agent, "BondAddressesReturned")
    wait_for(lambda: not records.keys(runtime.host))
    assert set(kinds(agent)) == {"BondAddressesKept", "BondAddressesReturned"}


def test_addresses_kept_by_a_failed_del_are_reported_in_any_order_of_events(
    running: Running, runtime: Runtime, wires: Wires, tmp_path: Path
) -> None:
    fail = tmp_path / "fail"
    result = {"cniVersion": "1.1.0", "ips": [{"address": "192.0.2.10/24"}]}
    body = f"[ $CNI_COMMAND = ADD ] || exec test ! -e {fail}; echo '{json.dumps(result)}'"
    path = ipams.scripted(tmp_path, body)
    config = over(wires, ipam={"type": "scripted-ipam"})
    agent = running(retry_s=0.2)
    for count in range(1, 6):
        runtime.add(config, CNI_PATH=path).ok()
        await_working(wires.pod)
        await_settled(agent)
        fail.touch()
        (record,) = records.read_all(runtime.host)[0]
        with records.locked(runtime.host, record.key):
            wires.pod.ip("link del bond0")  # two events: the link's end, and the record's removal
            records.write(runtime.host, replace(record, plan=None))
            time.sleep(NOTHING_COMES_S)  # the link's event may come before the record's

        await_logged(agent, "BondAddressesKept", count)

        fail.unlink()
        await_logged(agent, "BondAddressesReturned", count)
        wait_for(lambda: not records.keys(runtime.host))


def test_a_namespace_that_is_only_not_found_is_left_alone_and_reported_once(
    running: Running, runtime: Runtime, wires: Wires
) -> None:
    runtime.add(over(wires)).ok()
    (record,) = records.read_all(runtime.host)[0]
    records.write(runtime.host, replace(record, netns="/run/netns/not-mounted"))

    agent = running(gone_after_s=0.1, check_interval_s=0.3)
    await_logged(agent, "BondDrift")
    time.sleep(NOTHING_COMES_S)

    assert kinds(agent) == ["BondDrift"]
    agent.says("its namespace /run/netns/not-mounted is missing, and it may still run")
    assert records.keys(runtime.host)
    assert wires.pod.bond() is not None


def test_an_add_that_was_killed_is_released_when_the_agent_starts(
    running: Running, runtime: Runtime, wires: Wires
) -> None:
    runtime.add(over(wires)).ok()
    (record,) = records.read_all(runtime.host)[0]
    records.write(runtime.host, replace(record, is_complete=False, leased={}))

    agent = running()

    assert "its ADD was cut short" in await_logged(agent, "BondReleased")
    assert wires.pod.bond() is None
    assert not records.keys(runtime.host)


def test_drift_is_reported_once_and_ends(bonded: Running, wires: Wires) -> None:
    agent = bonded(check_interval_s=0.5)

    wires.pod.ip("link set bond0 type bond miimon 70")
    line = await_logged(agent, "BondDrift")
    time.sleep(NOTHING_COMES_S)

    assert "miimon is 70 instead of 50" in line
    assert kinds(agent) == ["BondDrift"]


def test_the_number_of_a_dead_namespace_may_be_anothers(
    bonded: Running, runtime: Runtime, wires: Wires
) -> None:
    agent = bonded(gone_after_s=60)
    ip(f"netns del {wires.pod.name}")
    with a_pod("next") as following, a_pod("far") as far:
        wire_up(following, far)
        again = Runtime(runtime.host, following)
        again.add(a_config(links=[{"name": "net1"}, {"name": "net2"}], miimon=50)).ok()
        await_working(following)
        await_settled(agent, bonds=2)
        first = active(following)

        far.ip(f"link set {far_of(first)} down")
        line = await_logged(agent, "BondFailover")
        again.delete({}).ok()

    assert following.container_id in line


def test_a_failover_is_a_metric_and_an_event_of_the_pod_too(
    bonded: Running, runtime: Runtime, wires: Wires, tmp_path: Path, api: ClusterApi
) -> None:
    page = tmp_path / "metrics/sock"
    agent = bonded(metrics=f"unix:{page}", events_to=api.kubeconfig(tmp_path))
    first = active(wires.pod)
    labels = {"pod_namespace": "nf", "pod_name": "upf-0", "ifname": "bond0"}
    assert sample(page, "sriovbond_bond_failovers_total", **labels) == 0

    wires.far.ip(f"link set {far_of(first)} down")
    await_logged(agent, "BondFailover")

    assert sample(page, "sriovbond_bond_failovers_total", **labels) == 1
    assert sample(page, "sriovbond_member_up", member=first) == 0
    assert sample(page, "sriovbond_happenings_total", kind="BondFailover") == 1
    wait_for(lambda: "BondFailover" in [event["reason"] for event in api.events("nf")])
    (event,) = [event for event in api.events("nf") if event["reason"] == "BondFailover"]
    assert (event["regarding"]["name"], event["regarding"]["uid"]) == ("upf-0", "u-1")
    assert f"{active(wires.pod)} is the active member now; {first} has failed" in event["note"]
    assert api.refused == []
    runtime.delete(over(wires)).ok()
    wait_for(lambda: sample(page, "sriovbond_bonds") == 0)


def test_a_bond_whose_carrier_comes_back_is_announced(
    running: Running, runtime: Runtime, wires: Wires
) -> None:
    agent = running()
    config = over(wires, mode="balance-xor", ipam=static(IPV4, IPV6))  # no peer notification
    wires.far.batch(
        "link add br0 up type bridge", "link set far1 master br0", "link set far2 master br0"
    )
    runtime.add(config).ok()
    await_working(wires.pod)
    await_settled(agent)
    wait_for(lambda: not any(one.get("tentative") for one in addresses(wires.pod).values()))
    wires.far.batch("link set far1 down", "link set far2 down")
    wait_for(lambda: kinds(agent).count("BondMemberDown") == 2)

    with traffic.listening(wires.far, "br0") as heard:
        wires.far.batch("link set far1 up", "link set far2 up")
        await_logged(agent, "BondRestored")
        wait_for(lambda: all(traffic.of(heard(), one) for one in ADDRESSES))


def test_a_member_that_lacp_leaves_out_is_reported_though_its_link_is_up(
    running: Running, runtime: Runtime, wires: Wires
) -> None:
    agent = running()
    wires.far.batch(
        "link add lag up type bond mode 802.3ad miimon 50 lacp_rate fast",
        *(f"link set far{n} down" for n in (1, 2)),
        *(f"link set far{n} master lag" for n in (1, 2)),
    )
    runtime.add(over(wires, mode="802.3ad", lacpRate="fast")).ok()
    wait_for(lambda: lacp_states(wires.pod) == ["ACTIVE", "ACTIVE"])
    await_settled(agent)
    before = kinds(agent).count("BondRestored")

    shape(wires.far, "add dev far2 root pfifo limit 0")  # no more LACPDUs from there
    line = await_logged(agent, "BondDegraded")

    assert "only net1 is left" in line
    assert "net2 is up and carries nothing: LACP has it outside" in await_logged(
        agent, "BondMemberDown"
    )
    assert wires.pod.the_link("net2").has_carrier
    shape(wires.far, "del dev far2 root")
    await_logged(agent, "BondRestored", before + 1)


def lacp_states(pod: Pod) -> list[str]:
    members = pod.ip("-j -d link show master bond0")
    return [one["linkinfo"]["info_slave_data"]["state"] for one in members]


def shape(pod: Pod, arguments: str) -> None:
    done = pod.run("tc", "qdisc", *arguments.split())
    assert done.returncode == 0, done.stderr
