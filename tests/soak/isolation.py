"""The soak's part about tenants: IPAM, kubelet and API server that hang, and the pods affected."""

import json
import os
import socket
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from deviceinfo import Places
from sriovbond.host import Host
from tests.soak import process
from tests.soak.figures import Report
from tests.support import cluster_api, ipams
from tests.support.calls import a_config
from tests.support.pods import Pod, many_pods
from tests.support.shims import Shim
from tests.support.thick import Called, Config, Thick

AT_ONCE = 16
ROUNDS = 9
MOST_TIMES = 1.5
MOST_RSS_MIB, MOST_THREADS = 90, 48
HANGING_S = 300.0
HUNG_S = 15.0
NODE_S = 3.0
"""For a DEL while 16 ADDs wait for kubelet and the API, which are given 20 s."""
LINKS = [{"name": "d1"}, {"name": "d2"}]


def isolation(shim: Shim, report: Report) -> None:
    """Have other networks' IPAM hang, then kubelet, then the API server, and time ADD and DEL."""
    with many_pods(2 * AT_ONCE + 1) as pods:
        _ipam(shim, report, pods)
    shim.clear()
    with many_pods(AT_ONCE + 1) as pods:
        _node(shim, report, pods)


def _ipam(shim: Shim, report: Report, pods: Sequence[Pod]) -> None:
    thick, config = Thick(shim, pods[0]), a_config(links=LINKS, name="well", ipam=_well(shim))
    hold = shim.home / "hold"
    os.mkfifo(hold)  # who reads it waits, and takes no time of the machine
    path = ipams.scripted(shim.home, f"[ -p {hold} ] && read line <{hold}", "hanging")
    with ExitStack() as held:
        pid = held.enter_context(process.an_agent_program(shim, ipam_timeout_s=HANGING_S))
        pool = held.enter_context(ThreadPoolExecutor(2 * AT_ONCE))
        _timed(thick, config)  # all is loaded
        alone = _timed(thick, config)
        for number, name in enumerate(("one", "two")):
            of = pods[1 + number * AT_ONCE : 1 + (number + 1) * AT_ONCE]
            _hang(shim, pool, of, name, path)
            _tell(report, f"network {name} hangs", alone, _timed(thick, config))
            _tell_held(report, pid)
        _let_go(hold)


def _let_go(hold: Path) -> None:
    """End those that wait for a writer, and have no other wait."""
    away = hold.rename(hold.with_name("away"))
    os.close(os.open(away, os.O_RDWR))
    away.unlink()


def _hang(shim: Shim, pool: ThreadPoolExecutor, pods: Sequence[Pod], name: str, path: str) -> None:
    """Have ADDs of a network hang in its IPAM, as many as may."""
    config = a_config(links=LINKS, name=name, ipam={"type": "hanging"})
    calls = [pool.submit(Thick(shim, pod).call, "ADD", config, CNI_PATH=path) for pod in pods]
    time.sleep(10)  # for those that may, to be there
    assert not all(call.done() for call in calls), calls[0].result().stdout


def _well(shim: Shim) -> dict[str, object]:
    return ipams.host_local(shim.home)


def _timed(thick: Thick, config: Config) -> dict[str, float]:
    """Return the medians of ADD and DEL of one pod, in seconds."""
    took: dict[str, list[float]] = {"ADD": [], "DEL": []}
    for _ in range(ROUNDS):
        for command, times in took.items():
            started = time.monotonic()
            called = thick.call(command, config)
            times.append(time.monotonic() - started)
            assert called.status == 0, called.stdout
    return {command: statistics.median(times) for command, times in took.items()}


def _tell(report: Report, what: str, alone: dict[str, float], now: dict[str, float]) -> None:
    for command, took_s in now.items():
        report.tell("isolation", f"{command} of another network alone", alone[command] * 1000, "ms")
        times = took_s / alone[command]
        name = f"{command} of another network while {what}"
        report.tell("isolation", name, times, "times", MOST_TIMES)


def _tell_held(report: Report, pid: int) -> None:
    usage = process.held(pid)
    report.tell("isolation", "memory of the agent (RSS)", usage.rss_kib / 1024, "MiB", MOST_RSS_MIB)
    report.tell("isolation", "its threads", usage.threads, "", MOST_THREADS)


def _node(shim: Shim, report: Report, pods: Sequence[Pod]) -> None:
    """ADDs ask kubelet, which never answers, and then the API server, which does not either."""
    config = a_config(links=LINKS, name="well")
    with ExitStack() as held:
        api = held.enter_context(cluster_api.served())
        api.fail(cluster_api.hang, times=100_000)
        held.enter_context(_kubelet_that_hangs(Places().pod_resources))
        kubeconfig = Host().kubeconfig
        kubeconfig.parent.mkdir(parents=True, exist_ok=True)
        api.kubeconfig(kubeconfig.parent)
        for pod in pods:
            _tell_of_a_resource(pod)
        pid = held.enter_context(process.an_agent_program(shim, kubernetes_events=True))
        _add(shim, pods[0], config)
        _delete(shim, pods[0], config)
        before = process.held(pid)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            adding = [pool.submit(_add, shim, pod, config) for pod in pods[1:]]
            process.await_idle(pid, HUNG_S)  # all have come, and wait
            deleted_s = _delete(shim, pods[0], config)
            added_s = [future.result() for future in adding]
        deleted = [_delete(shim, pod, config) for pod in pods[1:]]
        after = process.held(pid)
    report.tell("isolation", f"{AT_ONCE} ADDs, kubelet and API hang, last", max(added_s), "s", 40)
    report.tell("isolation", "a DEL among them", deleted_s, "s", NODE_S)
    report.tell("isolation", "DELs after them, median", statistics.median(deleted) * 1000, "ms")
    report.tell("isolation", "memory of the agent (RSS)", after.rss_kib / 1024, "MiB", 120)
    more = after.threads - before.threads
    report.tell("isolation", "threads more than before", more, "", AT_ONCE)


def _tell_of_a_resource(pod: Pod) -> None:
    """Write Multus' file of a network without a known device: so the API is queried."""
    delegate = {"Name": "well", "resourceName": "example.com/vfs", "ifnameRequest": "net1"}
    delegate["Bytes"] = ""
    file = Places().multus / pod.container_id
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps([delegate]))


def _add(shim: Shim, pod: Pod, config: Config) -> float:
    return _call(shim, pod, "ADD", config)


def _delete(shim: Shim, pod: Pod, config: Config) -> float:
    return _call(shim, pod, "DEL", config)


def _call(shim: Shim, pod: Pod, command: str, config: Config) -> float:
    args = f"K8S_POD_NAMESPACE=default;K8S_POD_NAME={pod.name}"
    started = time.monotonic()
    called: Called = Thick(shim, pod).call(command, config, CNI_ARGS=args)
    assert called.status == 0, called.stdout
    return time.monotonic() - started


@contextmanager
def _kubelet_that_hangs(path: Path) -> Iterator[None]:
    """Take connections, and never say a word."""
    path.parent.mkdir(parents=True, exist_ok=True)
    taken: list[socket.socket] = []
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen(64)

        def take() -> None:
            try:
                while True:
                    taken.append(listening.accept()[0])
            except OSError:
                return

        threading.Thread(target=take, daemon=True).start()
        try:
            yield
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            path.unlink()
            for connection in taken:
                connection.close()
