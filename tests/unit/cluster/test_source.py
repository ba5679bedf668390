import base64
import gc
import json
import logging
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from deviceinfo import Bus, DeviceId, PodRef, Reading, Sandbox, Search, Source, Statement
from sriovbond import cluster
from sriovbond.cluster import client
from sriovbond.cluster.resources import PODS
from sriovbond.cluster.source import ask_api
from sriovbond.host import Host
from tests.support import cluster_api
from tests.support.cluster_api import NETWORKS, TOKEN, Answer, ClusterApi
from tests.support.node import Node

NF1 = PodRef("default", "nf1", uid="a7a12eba-d958-461a-bb10-d6271ffea285")
POD_PATH = "/api/v1/namespaces/default/pods/nf1"
SRIOV_A, SRIOV_B, BOND = (
    NETWORKS.format("default", name) for name in ("sriov-a", "sriov-b", "bond-net")
)
BUSY = cluster_api.status(503)
# Extra time for a busy machine, beyond a time limit.
SLACK_S = 2.0
PATIENT_S = 20.0
ask_patiently = partial(ask_api, timeout_s=PATIENT_S)


@pytest.fixture
def host(api: ClusterApi, tmp_path: Path) -> Host:
    return api.host(tmp_path)


def problem(reading: Reading) -> str:
    """Return the only problem of a reading without anything else."""
    assert (reading.source, reading.statements, reading.networks) == (Source.API, (), ())
    [text] = reading.problems
    return text


def wish_for(api: ClusterApi, networks: str) -> None:
    metadata = {
        "name": "nf1",
        "namespace": "default",
        "annotations": {"k8s.v1.cni.cncf.io/networks": networks},
    }
    api.add_pod({"metadata": metadata})


def test_the_recorded_pod_says_its_networks_resources_and_devices(host: Host) -> None:
    reading = ask_patiently(host)(NF1)

    assert (reading.problems, reading.is_absent) == ((), False)
    assert [(one.network, one.interface, one.plugin) for one in reading.networks] == [
        ("default/sriov-a", "", "sriov"),
        ("default/sriov-b", "", "sriov"),
        ("default/bond-net", "bond0", "bond"),
    ]
    assert [
        (one.network, one.interface, one.resource, one.device and str(one.device))
        for one in reading.statements
    ] == [
        ("default/sriov-a", "net1", "rig.io/pf0", None),
        ("default/sriov-b", "net2", "rig.io/pf1", None),
        (None, "eth0", None, None),
        ("default/sriov-a", "net1", None, "0000:01:10.0"),
        ("default/sriov-b", "net2", None, "0000:02:10.0"),
        ("default/bond-net", "bond0", None, None),
    ]
    assert reading.networks[2].config["links"] == [{"name": "net1"}, {"name": "net2"}]


def test_the_pod_and_each_network_are_got_once_with_the_token_and_nothing_else(
    api: ClusterApi, host: Host
) -> None:
    wish_for(api, "sriov-b, sriov-a, sriov-b@again")

    reading = ask_patiently(host)(NF1)

    assert [one.resource for one in reading.networks] == ["rig.io/pf1", "rig.io/pf0", "rig.io/pf1"]
    assert api.paths == [POD_PATH, SRIOV_B, SRIOV_A]
    assert {(got.method, got.token) for got in api.requests} == {("GET", f"Bearer {TOKEN}")}


def test_a_device_that_the_pod_asks_for_by_its_id_is_reported(api: ClusterApi, host: Host) -> None:
    wish_for(api, '[{"name": "bond-net", "deviceID": "0000:01:10.0"}, {"name": "bond-net"}]')

    reading = ask_patiently(host)(NF1)

    [statement] = reading.statements
    assert (str(statement.device), statement.interface) == ("0000:01:10.0", "net1")
    assert reading.networks[0].device == statement.device


def test_a_device_that_a_definition_names_is_reported(api: ClusterApi, host: Host) -> None:
    wish_for(api, "fixed")
    config = '{"type": "host-device", "pciBusID": "0000:01:10.0"}'
    api.add_network(
        {"metadata": {"name": "fixed", "namespace": "default"}, "spec": {"config": config}}
    )

    [statement] = ask_patiently(host)(NF1).statements

    assert (str(statement.device), statement.network) == ("0000:01:10.0", "default/fixed")


def test_without_a_kubeconfig_the_source_is_absent_and_kubernetes_is_not_loaded(
    tmp_path: Path,
) -> None:
    program = (
        "import sys; from pathlib import Path; from deviceinfo import PodRef;"
        "from sriovbond.cluster.source import ask_api; from sriovbond.host import Host;"
        "print(ask_api(Host(kubeconfig=Path(sys.argv[1])))(PodRef('default', 'nf1')).is_absent,"
        " {'kubernetes', 'urllib3', 'yaml', 'pydantic'} & set(sys.modules))"
    )

    command = [sys.executable, "-c", program, str(tmp_path / "none")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout == "True set()\n"


def test_the_kubeconfig_has_one_place() -> None:
    place = "/etc/cni/net.d/sriovbond.d/sriovbond.kubeconfig"

    assert Host().kubeconfig == Path(place)


def test_a_kubeconfig_that_others_can_write_is_not_used(api: ClusterApi, host: Host) -> None:
    host.kubeconfig.chmod(0o620)

    text = problem(ask_patiently(host)(NF1))

    assert text.startswith(f"cannot use {host.kubeconfig}: it can be written by others")
    assert api.requests == []


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (f"a: [{TOKEN}", "it is no kubeconfig (ParserError)"),
        (f"{TOKEN}", "it is no kubeconfig (TypeError)"),
        ("", "it is no kubeconfig (TypeError)"),
        ("\x00", "it is no kubeconfig (ReaderError)"),
        (json.dumps({"users": [{"name": "x", "user": {"token": TOKEN}}]}), "Expected key current-"),
        (json.dumps({"users": [TOKEN]}), "it is no kubeconfig (AttributeError)"),
    ],
)
def test_a_malformed_kubeconfig_is_reported_without_its_content(
    host: Host, content: str, fault: str
) -> None:
    host.kubeconfig.write_text(content)

    text = problem(ask_patiently(host)(NF1))

    assert text.startswith(f"cannot use {host.kubeconfig}: ")
    assert fault in text
    assert TOKEN not in text


@pytest.mark.parametrize("server", [None, "", "127.0.0.1:6443", "file:///etc/passwd"])
def test_a_kubeconfig_without_a_server_is_reported(
    api: ClusterApi, host: Host, server: str | None
) -> None:
    content = api.kubeconfig_content()
    content["clusters"] = [{"name": "here", "cluster": {"server": server} if server else {"x": 1}}]
    host.kubeconfig.write_text(json.dumps(content))

    assert "its server is missing or no URL" in problem(ask_patiently(host)(NF1))


@pytest.mark.parametrize("key", ["exec", "auth-provider"])
def test_a_kubeconfig_that_wants_a_program_run_is_not_used(
    api: ClusterApi, tmp_path: Path, key: str
) -> None:
    trace = tmp_path / "trace"
    program = {"apiVersion": "v1", "command": "touch", "args": [str(trace)], "name": "gcp"}

    text = problem(ask_patiently(api.host(tmp_path, **{key: program}))(NF1))

    assert f"its users have '{key}', which is not used here" in text
    assert not trace.exists()


def test_a_token_may_be_in_a_file_beside_the_kubeconfig(api: ClusterApi, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")

    reading = ask_patiently(api.host(tmp_path, tokenFile="token"))(NF1)

    assert reading.problems == ()


def test_a_certificate_given_as_data_is_not_left_on_the_disk(
    api: ClusterApi, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))  # to see all that is put there
    content = api.kubeconfig_content(**{"client-key-data": "a2V5", "token": TOKEN})
    cluster = {"server": f"https://127.0.0.1:{api.port}"}
    content["clusters"] = [{"name": "here", "cluster": cluster}]
    host.kubeconfig.write_text(json.dumps(content))

    text = problem(ask_patiently(host)(NF1))

    assert "no answer" in text or "no TLS connection" in text
    assert list(folder.iterdir()) == []


def test_connections_at_once_have_certificates_of_their_own(tmp_path: Path) -> None:
    """The one that ends first removes its files, and no other's."""
    deadline = time.monotonic() + PATIENT_S
    with cluster_api.served(tmp_path) as api:
        api.add_pod(cluster_api.recorded_pod())
        authority = base64.b64encode((tmp_path / "ca.crt").read_bytes()).decode()
        server = {
            "server": f"https://127.0.0.1:{api.port}",
            "certificate-authority-data": authority,
        }
        content = api.kubeconfig_content() | {"clusters": [{"name": "here", "cluster": server}]}
        connect = partial(client.connected, json.dumps(content).encode(), tmp_path, deadline)

        with ExitStack() as longer:
            with connect() as shorter:
                other = longer.enter_context(connect())
                shorter.get(PODS, "default", "nf1")
            uid = other.get(PODS, "default", "nf1").section("metadata").text("uid")

    assert uid == NF1.uid


@pytest.mark.parametrize(
    "pod", [PodRef(), PodRef("default"), PodRef("..", "nf1"), PodRef("a", "/")]
)
def test_without_a_pods_name_nothing_is_queried(api: ClusterApi, host: Host, pod: PodRef) -> None:
    assert "is not a pod's name" in problem(ask_patiently(host)(pod))
    assert api.requests == []


def test_another_pod_of_the_same_name_says_nothing(api: ClusterApi, host: Host) -> None:
    text = problem(ask_patiently(host)(NF1._replace(uid="another")))

    assert "it is another pod of this name" in text
    assert api.paths == [POD_PATH]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (401, "401: the token or certificate is not accepted"),
        (403, "403: no right to get pods in namespace 'default'; apply"),
        (404, "404: no such object"),
        (400, "the API server answered 400"),
    ],
)
def test_a_refused_pod_is_reported_at_once(
    api: ClusterApi, host: Host, code: int, words: str
) -> None:
    api.fail(cluster_api.status(code))

    text = problem(ask_patiently(host)(NF1))

    assert text.startswith(f"cannot read pod default/nf1: {words}")
    assert api.paths == [POD_PATH]


def test_networks_that_are_refused_are_one_problem_and_keep_their_place(
    api: ClusterApi, host: Host
) -> None:
    api.fail(cluster_api.status(403), on="sriov-")

    reading = ask_patiently(host)(NF1)

    [text] = reading.problems
    assert text.startswith(
        "cannot read the NetworkAttachmentDefinition of default/sriov-a, default/sriov-b:"
        " 403: no right to get network-attachment-definitions.k8s.cni.cncf.io"
    )
    assert [one.plugin for one in reading.networks] == ["", "", "bond"]
    assert len(reading.statements) == 4


def test_an_answer_in_chunks_is_read(api: ClusterApi, host: Host) -> None:
    whole = ask_patiently(host)(NF1)
    for path, thing in api.objects.items():
        api.fail(cluster_api.in_chunks(thing), on=path, times=1)

    assert ask_patiently(host)(NF1) == whole


def test_a_network_without_a_definition_is_reported(api: ClusterApi, host: Host) -> None:
    del api.objects[SRIOV_B]

    [text] = ask_patiently(host)(NF1).problems

    assert "of default/sriov-b: 404: no such object, or the cluster does not know" in text


def test_a_redirect_is_not_followed(api: ClusterApi, host: Host) -> None:
    api.fail(cluster_api.status(302, Location="/api/v1/namespaces/default/secrets/x"))

    assert "answered 302" in problem(ask_patiently(host)(NF1))
    assert api.paths == [POD_PATH]


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_a_busy_server_is_retried_after_a_pause_with_jitter(
    api: ClusterApi, host: Host, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr("random.random", lambda: 0.99)  # the longest pause
    api.fail(cluster_api.status(code), on=POD_PATH, times=2)

    reading = ask_patiently(host)(NF1)

    assert (reading.problems, len(reading.networks)) == ((), 3)
    assert api.paths == [POD_PATH] * 3 + [SRIOV_A, SRIOV_B, BOND]
    assert api.requests[2].at - api.requests[1].at >= 0.29


@pytest.mark.slow
def test_the_server_is_queried_less_and_less(api: ClusterApi, host: Host) -> None:
    api.fail(BUSY)

    ask_api(host, timeout_s=2)(NF1)

    waits = [later.at - first.at for first, later in pairwise(api.requests)]
    assert waits[0] < waits[1] < waits[2]


def test_a_connection_that_is_closed_is_made_anew(api: ClusterApi, host: Host) -> None:
    api.fail(cluster_api.hang_up, times=2)

    assert ask_patiently(host)(NF1).problems == ()


@pytest.mark.slow
def test_the_server_says_when_to_ask_again(api: ClusterApi, host: Host) -> None:
    api.fail(cluster_api.status(429, Retry_After="1"), times=1)

    assert ask_patiently(host)(NF1).problems == ()
    assert 1 <= api.requests[1].at - api.requests[0].at < 1 + SLACK_S


@pytest.mark.parametrize("after", ["3600", "Fri, 31 Dec 2099 23:59:59 GMT", "9" * 400])
def test_a_wait_beyond_the_time_limit_is_not_begun(api: ClusterApi, host: Host, after: str) -> None:
    api.fail(cluster_api.status(429, Retry_After=after))
    started = time.monotonic()

    text = problem(ask_patiently(host)(NF1))

    assert text.endswith("the API server answered 429")
    assert time.monotonic() - started < SLACK_S
    assert len(api.requests) == 1


def test_a_wait_of_no_meaning_is_reported(api: ClusterApi, host: Host) -> None:
    api.fail(cluster_api.status(429, Retry_After="soon"))

    assert problem(ask_patiently(host)(NF1)).endswith("no answer (InvalidHeader)")


@pytest.mark.slow
@pytest.mark.parametrize("code", [403, 429])
def test_a_refusal_is_not_read(api: ClusterApi, host: Host, code: int) -> None:
    api.fail(cluster_api.flood(code))

    text = problem(ask_api(host, timeout_s=2)(NF1))

    assert f"{code}" in text


ENDLESS = [
    cluster_api.hang,
    cluster_api.drip,
    cluster_api.drip_headers,
    cluster_api.hang_up,
    cluster_api.flood(429),
    BUSY,
]


@pytest.mark.slow
@pytest.mark.parametrize("on", [POD_PATH, SRIOV_A])
@pytest.mark.parametrize("answer", ENDLESS)
def test_all_requests_keep_to_the_time_limit_together(
    api: ClusterApi, host: Host, on: str, answer: Answer
) -> None:
    ask = ask_api(host, timeout_s=0.3)
    ask(NF1)  # imports kubernetes
    api.fail(answer, on=on)
    started = time.monotonic()

    reading = ask(NF1)

    assert time.monotonic() - started < 0.3 + SLACK_S
    assert len(reading.problems) >= 1


@pytest.mark.slow
def test_a_server_that_never_ends_its_answers_has_few_threads(api: ClusterApi, host: Host) -> None:
    ask = ask_api(host, timeout_s=0.1)
    ask(NF1)  # imports kubernetes
    api.fail(cluster_api.drip_headers)

    with ThreadPoolExecutor(16) as pool:
        readings = list(pool.map(ask, [NF1] * 64))

    assert all(one.problems for one in readings)
    assert sum(one.name == "kubernetes-api" for one in threading.enumerate()) <= 32


@pytest.mark.slow
def test_definitions_that_came_in_time_are_kept(api: ClusterApi, host: Host) -> None:
    api.fail(cluster_api.hang, on=SRIOV_B)

    reading = ask_api(host, timeout_s=2)(NF1)

    assert [one.plugin for one in reading.networks] == ["sriov", "", ""]
    [text] = reading.problems
    assert "default/sriov-b, default/bond-net: no answer in time" in text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("server", "timeout_s", "words"),
    [
        ("http://127.0.0.1:1", 1.5, "no connection: Connection refused"),
        ("https://127.0.0.1:{port}", PATIENT_S, "no TLS connection: "),
        ("https://a:b:c/", PATIENT_S, "no answer (LocationParseError)"),
        (f"http://user:{TOKEN}@127.0.0.1:1", 1.5, "no connection: Connection refused"),
    ],
)
def test_a_missing_server_is_reported(
    api: ClusterApi, host: Host, server: str, timeout_s: float, words: str
) -> None:
    content = api.kubeconfig_content()
    cluster = {"server": server.format(port=api.port)}
    content["clusters"] = [{"name": "here", "cluster": cluster}]
    host.kubeconfig.write_text(json.dumps(content))

    text = problem(ask_api(host, timeout_s=timeout_s)(NF1))

    assert words in text
    assert TOKEN not in text


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (cluster_api.raw(b""), "it is not JSON"),
        (cluster_api.raw(b"\xff\xfe\x00"), "it is not JSON"),
        (cluster_api.raw(b"[" * 100_000), "it is not JSON"),
        (cluster_api.raw(b"[]"), "it is JSON, but list instead of an object"),
        (cluster_api.flood(200), "the answer is larger than 4194304 bytes"),
        (cluster_api.raw(b" " * (4 << 20) + b"{}"), "the answer is larger than 4194304 bytes"),
    ],
)
def test_garbage_is_reported(api: ClusterApi, host: Host, answer: Answer, fault: str) -> None:
    api.fail(answer)

    text = problem(ask_patiently(host)(NF1))

    assert fault in text
    assert text.isprintable()


@pytest.mark.parametrize("token", [f"{TOKEN}\nX: y", f"{TOKEN}\x00", f"{TOKEN}é\u20ac", ""])
def test_a_token_invalid_in_a_header_is_reported_without_it(
    api: ClusterApi, tmp_path: Path, token: str
) -> None:
    text = problem(ask_patiently(api.host(tmp_path, token=token))(NF1))

    assert TOKEN not in text
    assert text.isprintable()


def test_the_token_is_in_no_log(
    api: ClusterApi,
    host: Host,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    for answer in (BUSY, cluster_api.hang_up, cluster_api.status(403)):
        api.fail(answer, times=1)

    ask_patiently(host)(NF1)

    assert TOKEN not in caplog.text
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("failing", [POD_PATH, SRIOV_A, "nothing"])
def test_no_thread_and_no_connection_is_left(api: ClusterApi, host: Host, failing: str) -> None:
    api.fail(cluster_api.hang_up, on=failing)
    gc.disable()  # an error refers to itself through its frames, and to their objects
    try:
        ask_api(host, timeout_s=1)(NF1)
        ends = time.monotonic() + SLACK_S
        while _threads() and time.monotonic() < ends:
            time.sleep(0.01)
        left = _threads()
    finally:
        gc.enable()

    assert left == []


def _threads() -> list[str]:
    """Return the client's threads and, one for each open connection, the server's."""
    names = (one.name for one in threading.enumerate())
    return [one for one in names if one == "kubernetes-api" or "process_request" in one]


def test_a_look_up_asks_the_api_where_the_node_leaves_a_network_without_its_device(
    api: ClusterApi, host: Host, tmp_path: Path
) -> None:
    places = replace(Node(tmp_path / "node").places, sysfs=tmp_path)
    tied = Statement(
        Source.MULTUS, DeviceId(Bus.PCI, "0000:01:10.0"), "rig.io/pf0", network="default/sriov-a"
    )
    loose = replace(tied, device=None, resource="rig.io/pf1", network="default/sriov-b")

    Search(Sandbox(NF1), places).conclude(
        Reading(Source.MULTUS, (tied,)), if_networks_lack_devices=cluster.asks(host)
    )
    assert api.requests == []

    found = Search(Sandbox(NF1), places).conclude(
        Reading(Source.MULTUS, (tied, loose)), if_networks_lack_devices=cluster.asks(host)
    )
    assert [(str(one.id), one.network, one.resource) for one in found.devices] == [
        ("0000:01:10.0", "default/sriov-a", "rig.io/pf0"),
        ("0000:02:10.0", "default/sriov-b", "rig.io/pf1"),
    ]
    assert found.disagreements == ()


def test_without_a_kubeconfig_there_is_no_such_source(tmp_path: Path) -> None:
    assert cluster.asks(Host(kubeconfig=tmp_path / "kubeconfig")) == ()
