import os
import socket as sockets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deviceinfo import Bus, Claim, DeviceId, PodRef, Reading, Source, Statement
from deviceinfo.podresources import read_allocatable, read_claims, read_pod
from tests.support.kubelet import (
    Kubelet,
    a_claim,
    a_container,
    a_pod,
    devices_of,
    field,
    running,
)

WIRE = Path(__file__).parents[2] / "data" / "node" / "wire"
GET = (WIRE / "podresources-Get.bin").read_bytes()
LIST = (WIRE / "podresources-List.bin").read_bytes()
ALLOCATABLE = (WIRE / "podresources-Allocatable.bin").read_bytes()

NF1 = PodRef(namespace="default", name="nf1")
GET_NF1 = ("Get", b"\n\x03nf1\x12\x07default")
VF, VF2, VF3 = "0000:01:10.0", "0000:01:10.2", "0000:01:10.4"
SRIOV_DRA = "sriovnetwork.k8snetworkplumbingwg.io"


def pci(address: str) -> DeviceId:
    return DeviceId(Bus.PCI, address)


def a_statement(
    address: str, resource: str, container: str = "app", numa_node: int | None = None
) -> Statement:
    return Statement(
        Source.KUBELET,
        pci(address),
        resource=resource,
        container=container,
        numa_node=numa_node,
    )


def a_kubelet_claim(address: str, pod: str) -> Claim:
    return Claim(Source.KUBELET, pci(address), pod)


def addresses(reading: Reading) -> list[str]:
    assert reading.problems == ()
    return [str(statement.device) for statement in reading.statements]


def problem(reading: Reading) -> str:
    """Return the one problem of a reading without anything else."""
    [text] = reading.problems
    assert reading == Reading(Source.KUBELET, problems=(text,))
    return text


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubelet]:
    with running(tmp_path_factory.mktemp("kubelet")) as kubelet:
        yield kubelet


@pytest.fixture
def kubelet(server: Kubelet) -> Kubelet:
    server.serve()
    return server


@pytest.mark.parametrize(
    ("raw", "how", "methods"),
    [
        ({"Get": GET}, {}, ["Get"]),
        ({"List": LIST}, {"get": "disabled"}, ["Get", "List"]),
        ({"List": LIST}, {"get": "unimplemented"}, ["List"]),
    ],
)
def test_the_recorded_answer_of_a_real_kubelet_is_read(
    kubelet: Kubelet, raw: dict[str, bytes], how: dict[str, str], methods: list[str]
) -> None:
    kubelet.serve(raw=raw, **how)

    reading = read_pod(kubelet.socket, NF1)

    assert reading == Reading(
        Source.KUBELET,
        statements=(
            a_statement("0000:02:10.0", "rig.io/pf1"),
            a_statement("0000:01:10.0", "rig.io/pf0"),
        ),
    )
    assert kubelet.methods() == methods


def test_the_pod_is_requested_by_name_and_namespace(kubelet: Kubelet) -> None:
    kubelet.serve(a_pod("nf1", a_container(pf0=VF)), a_pod("nf2", a_container(pf0=VF2)))

    assert addresses(read_pod(kubelet.socket, NF1)) == [VF]
    assert kubelet.calls() == [GET_NF1]


def test_devices_of_all_containers_count(kubelet: Kubelet) -> None:
    kubelet.serve(
        a_pod("nf1", a_container("app", pf0=[VF, VF2]), a_container("side", pf1=VF3)),
    )

    reading = read_pod(kubelet.socket, NF1)

    assert reading.statements == (
        a_statement(VF, "example.com/pf0"),
        a_statement(VF2, "example.com/pf0"),
        a_statement(VF3, "example.com/pf1", "side"),
    )


@pytest.mark.parametrize(
    ("nodes", "numa_node"), [([], None), ([0], 0), ([3], 3), ([-1], None), ([0, 1], None)]
)
def test_a_device_on_one_node_has_it(
    kubelet: Kubelet, nodes: list[int], numa_node: int | None
) -> None:
    container = a_container() | {"devices": [devices_of("pf0", VF, nodes=nodes)]}
    kubelet.serve(a_pod("nf1", container))

    [statement] = read_pod(kubelet.socket, NF1).statements

    assert statement.numa_node == numa_node


def test_devices_that_are_no_network_devices_are_ignored(kubelet: Kubelet) -> None:
    gpus = ["GPU-5f1e6b9c-2a3d", "/dev/kvm", "0", "MIG-x::1", "ünïcode"]
    kubelet.serve(a_pod("nf1", a_container(gpu=gpus, pf0=VF), a_container("empty")))

    assert addresses(read_pod(kubelet.socket, NF1)) == [VF]


def test_sub_functions_and_simulated_ports_are_devices_too(kubelet: Kubelet) -> None:
    ids = ["mlx5_core.sf.4", "netdevsim10/pf0vf1"]
    kubelet.serve(a_pod("nf1", a_container(sf=ids)))

    assert addresses(read_pod(kubelet.socket, NF1)) == ids


def test_a_claim_of_the_sriov_dra_driver_gives_addresses(kubelet: Kubelet) -> None:
    claims = [a_claim(SRIOV_DRA, "0000-01-10-0", "0000-01-10-2", name="vfs")]
    kubelet.serve(a_pod("nf1", a_container(claims=claims)))

    assert read_pod(kubelet.socket, NF1).statements == (
        a_statement(VF, "claim default/vfs"),
        a_statement(VF2, "claim default/vfs"),
    )


def test_devices_of_other_dra_drivers_are_taken_where_they_are_understood(
    kubelet: Kubelet,
) -> None:
    names = ["gpu-0", "0000-01-10-0", "mlx5_core.sf.4", ""]
    kubelet.serve(a_pod("nf1", a_container(claims=[a_claim("gpu.example.com", *names)])))

    assert addresses(read_pod(kubelet.socket, NF1)) == [VF, "mlx5_core.sf.4"]


def test_a_device_of_the_sriov_dra_driver_that_is_not_understood_is_reported(
    kubelet: Kubelet,
) -> None:
    claims = [a_claim(SRIOV_DRA, "vf-7", "0000-01-10-0")]
    kubelet.serve(a_pod("nf1", a_container(claims=claims)))

    reading = read_pod(kubelet.socket, NF1)

    assert [statement.device for statement in reading.statements] == [pci(VF)]
    assert reading.problems == (
        f"kubelet's answer: device 'vf-7' of {SRIOV_DRA} is no PCI address",
    )


def test_a_claim_shared_by_containers_is_one_statement(kubelet: Kubelet) -> None:
    claims = [a_claim(SRIOV_DRA, "0000-01-10-0")]
    containers = [a_container("app", claims=claims), a_container("side", claims=claims)]
    kubelet.serve(a_pod("nf1", *containers))

    assert read_pod(kubelet.socket, NF1).statements == (a_statement(VF, "claim default/vfs"),)


def test_a_pod_without_devices_is_an_answer(kubelet: Kubelet) -> None:
    kubelet.serve(a_pod("nf1", a_container()))

    assert read_pod(kubelet.socket, NF1) == Reading(Source.KUBELET)


@pytest.mark.parametrize("get", ["on", "disabled", "unimplemented"])
def test_a_pod_that_kubelet_does_not_know_is_reported(kubelet: Kubelet, get: str) -> None:
    kubelet.serve(a_pod("nf1", a_container(pf0=VF), namespace="other"), get=get)

    reading = read_pod(kubelet.socket, NF1)

    assert problem(reading) == (
        f"cannot ask kubelet on '{kubelet.socket}' about pod default/nf1: it knows no such pod"
    )


def test_other_pods_with_a_device_of_ours_are_claims(kubelet: Kubelet) -> None:
    kubelet.serve(
        a_pod("ended", a_container(pf0=[VF, VF3])),
        a_pod("nf1", a_container(pf0=[VF, VF2])),
        a_pod("shares", a_container("a", pf0=VF), a_container("b", pf0=VF), namespace="x"),
        get="disabled",
    )

    reading = read_pod(kubelet.socket, NF1)

    assert addresses(reading) == [VF, VF2]
    assert reading.claims == (
        a_kubelet_claim(VF, "default/ended"),
        a_kubelet_claim(VF, "x/shares"),
    )
    assert not reading.is_ambiguous


def test_several_pods_of_one_name_are_ambiguous(kubelet: Kubelet) -> None:
    ended = a_pod("nf1", a_container(pf0=[VF, VF2]))
    kubelet.serve(ended, a_pod("nf1", a_container(pf1=VF3)), get="disabled")

    reading = read_pod(kubelet.socket, NF1)

    assert addresses(reading) == [VF, VF2, VF3]
    assert reading.is_ambiguous
    assert reading.claims == ()


def test_claims_are_all_devices_of_all_other_pods(kubelet: Kubelet) -> None:
    kubelet.serve(
        a_pod("nf1", a_container(pf0=VF)),
        a_pod("nf1", a_container(pf0=VF2), namespace="other"),
        a_pod("nf2", a_container(gpu="GPU-1", claims=[a_claim(SRIOV_DRA, "0000-01-10-4")])),
    )

    reading = read_claims(kubelet.socket, NF1)

    assert reading == Reading(
        Source.KUBELET,
        claims=(a_kubelet_claim(VF2, "other/nf1"), a_kubelet_claim(VF3, "default/nf2")),
    )
    assert kubelet.calls() == [("List", b"")]


@pytest.mark.parametrize("pod", [PodRef(), PodRef(name="nf1"), PodRef("default", "a\nb")])
def test_a_pod_without_a_name_is_not_requested(kubelet: Kubelet, pod: PodRef) -> None:
    assert "missing or no name" in problem(read_pod(kubelet.socket, pod))
    assert "missing or no name" in problem(read_claims(kubelet.socket, pod))
    assert kubelet.calls() == []


def test_the_limiter_is_waited_for(kubelet: Kubelet) -> None:
    kubelet.serve(a_pod("nf1", a_container(pf0=VF)), exhausted=2)

    assert addresses(read_pod(kubelet.socket, NF1)) == [VF]
    assert kubelet.calls() == [GET_NF1] * 3


@pytest.mark.slow
def test_a_limiter_that_refuses_for_ever_is_reported(kubelet: Kubelet) -> None:
    kubelet.serve(a_pod("nf1", a_container(pf0=VF)), exhausted=1000)

    text = problem(read_pod(kubelet.socket, NF1))

    assert text.endswith("RESOURCE_EXHAUSTED, 'rejected by rate limit'")
    assert len(kubelet.calls()) == 5


def test_waiting_for_the_limiter_ends_with_the_time(kubelet: Kubelet) -> None:
    kubelet.serve(exhausted=1000)

    problem(read_pod(kubelet.socket, NF1, timeout_s=0.2))

    assert len(kubelet.calls()) < 5  # as many as it would try, within a second


def test_a_kubelet_that_hangs_is_not_waited_for(kubelet: Kubelet) -> None:
    kubelet.serve(a_pod("nf1", a_container(pf0=VF)), hangs=True)

    text = problem(read_pod(kubelet.socket, NF1, timeout_s=0.2))

    assert "DEADLINE_EXCEEDED" in text


def test_get_and_list_share_the_time(kubelet: Kubelet) -> None:
    kubelet.serve(get="disabled", delay_s=0.3)

    assert "DEADLINE_EXCEEDED" in problem(read_pod(kubelet.socket, NF1, timeout_s=0.5))


@pytest.mark.slow
def test_an_answer_above_its_bound_is_refused(kubelet: Kubelet) -> None:
    kubelet.serve(raw={"List": GET * 220_000})

    text = problem(read_claims(kubelet.socket, NF1))

    assert "larger than max" in text
    assert kubelet.methods() == ["List"]


@pytest.mark.slow
# Pods, their containers, what is claimed for these: by the fields' numbers.
@pytest.mark.parametrize("path", [[1], [1, 3], [1, 3, 5, 4]])
def test_an_answer_just_below_its_bound_takes_no_more_than_the_time(
    kubelet: Kubelet, path: list[int]
) -> None:
    answer = field(path.pop(), b"") * ((8 << 20) - 100)
    for number in reversed(path):
        answer = field(number, answer)
    kubelet.serve(raw={"List": answer})

    text = problem(read_claims(kubelet.socket, NF1, timeout_s=0.3))

    assert "more than 0.3 s" in text or "DEADLINE_EXCEEDED" in text


@pytest.mark.parametrize(
    "answer", [b"\xff" * 40, GET[:-1], b"\n\xff", b"\x0a\x05\x0a\x03\xff\xfe\xfd"]
)
def test_an_answer_that_is_no_message_is_reported(kubelet: Kubelet, answer: bytes) -> None:
    kubelet.serve(raw={"Get": answer, "List": answer})

    assert "its answer to Get is none of this API" in problem(read_pod(kubelet.socket, NF1))
    assert "its answer to List is none of this API" in problem(read_claims(kubelet.socket, NF1))


@pytest.mark.parametrize(
    "answer", [b"", ALLOCATABLE, b"\x08\x01", b"\n\x02\x08\x01", GET.replace(b"nf1", b"nf2")]
)
def test_an_answer_about_something_else_is_reported(kubelet: Kubelet, answer: bytes) -> None:
    kubelet.serve(raw={"Get": answer})

    assert "it answers about" in problem(read_pod(kubelet.socket, NF1))


@pytest.mark.parametrize("device_id", ["0000:01:10.0\n", "\x1b[31m", "", "x" * 100_000])
def test_an_absurd_id_is_reported_and_the_others_count(kubelet: Kubelet, device_id: str) -> None:
    kubelet.serve(a_pod("nf1", a_container(pf0=[device_id, VF])))

    reading = read_pod(kubelet.socket, NF1)

    assert [statement.device for statement in reading.statements] == [pci(VF)]
    [text] = reading.problems
    assert text.endswith("is no id of a device")
    assert text.isprintable()
    assert len(text) < 400


def test_only_the_first_faults_are_reported(kubelet: Kubelet) -> None:
    kubelet.serve(a_pod("nf1", a_container(pf0=[""] * 1000)))

    assert len(read_pod(kubelet.socket, NF1).problems) == 5


def test_faults_of_other_pods_are_reported_with_their_claims(kubelet: Kubelet) -> None:
    kubelet.serve(a_pod("nf1", a_container(pf0=VF)), a_pod("nf2", a_container(pf0=["", VF2])))

    reading = read_claims(kubelet.socket, NF1)

    assert reading.claims == (a_kubelet_claim(VF2, "default/nf2"),)
    assert len(reading.problems) == 1


def test_names_that_would_spoil_a_line_are_quoted(kubelet: Kubelet) -> None:
    odd = a_container("a\nb") | {"devices": [devices_of("\x1b", VF)]}
    kubelet.serve(a_pod("nf1", odd), a_pod("x\ny", odd))

    [statement] = read_pod(kubelet.socket, NF1).statements
    [claim] = read_claims(kubelet.socket, NF1).claims

    assert (statement.container, statement.resource) == (r"'a\nb'", r"'example.com/\x1b'")
    assert claim.pod == r"'default/x\ny'"


def test_no_socket_is_no_kubelet(tmp_path: Path) -> None:
    absent = Reading(Source.KUBELET, is_absent=True)

    assert read_pod(tmp_path / "kubelet.sock", NF1) == absent
    assert read_claims(tmp_path / "nowhere" / "kubelet.sock", NF1) == absent


def test_a_path_that_is_no_socket_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert problem(read_pod(tmp_path / "file", NF1)).endswith("it is not a socket")
    assert problem(read_pod(tmp_path, NF1)).endswith("it is not a socket")
    assert "Not a directory" in problem(read_pod(tmp_path / "file" / "kubelet.sock", NF1))
    assert "File name too long" in problem(read_pod(tmp_path / ("x" * 300), NF1))
    assert "embedded null" in problem(read_pod(Path("a\0b"), NF1))


def test_a_socket_without_a_server_is_reported(tmp_path: Path) -> None:
    with sockets.socket(sockets.AF_UNIX) as socket:
        socket.bind(str(tmp_path / "s"))

    text = problem(read_pod(tmp_path / "s", NF1))

    assert "UNAVAILABLE" in text
    assert "Connection refused" in text
    assert "/proc/self" not in text


def test_a_socket_that_never_speaks_is_not_waited_for(tmp_path: Path) -> None:
    with sockets.socket(sockets.AF_UNIX) as socket:
        socket.bind(str(tmp_path / "s"))
        socket.listen()
        text = problem(read_pod(tmp_path / "s", NF1, timeout_s=0.2))

    assert "DEADLINE_EXCEEDED" in text


@pytest.mark.parametrize("said", [b"", b"\xff" * 5000, b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_a_socket_that_speaks_something_else_is_reported(tmp_path: Path, said: bytes) -> None:
    def speak() -> None:
        with socket.accept()[0] as connection:
            connection.sendall(said)

    with sockets.socket(sockets.AF_UNIX) as socket:
        socket.bind(str(tmp_path / "s"))
        socket.listen()
        thread = Thread(target=speak)
        thread.start()
        text = problem(read_pod(tmp_path / "s", NF1, timeout_s=0.5))
        thread.join()

    assert "UNAVAILABLE" in text
    assert text.isprintable()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_socket_of_another_user_is_not_connected_to(kubelet: Kubelet) -> None:
    os.chown(kubelet.socket, 65534, -1)
    try:
        text = problem(read_pod(kubelet.socket, NF1))
    finally:
        os.chown(kubelet.socket, 0, -1)

    assert "it belongs to user 65534, and kubelet's to root" in text
    assert kubelet.calls() == []


@pytest.mark.parametrize("name", ["x" * 200, "a b", "a%20b", "a#b?c", "ü"])
def test_a_path_may_have_any_length_and_spelling(kubelet: Kubelet, name: str) -> None:
    kubelet.serve(a_pod("nf1", a_container(pf0=VF)))
    folder = kubelet.socket.parent / name
    folder.mkdir()
    (folder / "kubelet.sock").hardlink_to(kubelet.socket)

    assert addresses(read_pod(folder / "kubelet.sock", NF1)) == [VF]


def test_a_linked_folder_is_followed(kubelet: Kubelet, tmp_path: Path) -> None:
    kubelet.serve(a_pod("nf1", a_container(pf0=VF)))
    (tmp_path / "link").symlink_to(kubelet.socket.parent)

    assert addresses(read_pod(tmp_path / "link" / "kubelet.sock", NF1)) == [VF]


def held() -> tuple[int, int]:
    """Return how many threads and descriptors this process has."""
    task, fd = (Path("/proc/self") / name for name in ("task", "fd"))
    return len([*task.iterdir()]), len([*fd.iterdir()])


def test_nothing_is_left_behind(kubelet: Kubelet, tmp_path: Path) -> None:
    kubelet.serve(a_pod("nf1", a_container(pf0=VF)))
    with sockets.socket(sockets.AF_UNIX) as socket:
        socket.bind(str(tmp_path / "s"))
    before = held()

    for _ in range(50):
        assert addresses(read_pod(kubelet.socket, NF1)) == [VF]
        read_claims(kubelet.socket, NF1)
        problem(read_pod(tmp_path / "s", NF1))

    # gRPC's threads, and those of earlier tests, end by themselves after the last channel is closed
    ends = time.monotonic() + 5
    while _grown(before) and time.monotonic() < ends:
        time.sleep(0.01)
    assert not _grown(before)


def _grown(before: tuple[int, int]) -> bool:
    """Return whether there are more threads or more descriptors than before."""
    return any(now > then for now, then in zip(held(), before, strict=True))


def test_another_kubelet_behind_the_same_descriptor_is_another(
    kubelet: Kubelet, tmp_path_factory: pytest.TempPathFactory
) -> None:
    kubelet.serve(a_pod("nf1", a_container(pf0=VF)))
    with running(tmp_path_factory.mktemp("kubelet")) as other:
        other.serve(a_pod("nf1", a_container(pf0=VF2)))

        found = [addresses(read_pod(each.socket, NF1)) for each in [kubelet, other] * 5]

    assert found == [[VF], [VF2]] * 5


def run_python(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script],
        env={"PATH": os.environ["PATH"], **environment},
        text=True,
        capture_output=True,
        check=False,
        timeout=60,
    )


def test_grpc_is_imported_only_to_ask() -> None:
    script = "import deviceinfo.podresources, sys; print({'grpc', 'google'} & {*sys.modules})"

    assert run_python(script).stdout == "set()\n"


# A name is listed, and gone when its value is read: another thread's first call has ended.
ASK_BESIDE_ANOTHER_FIRST_CALL = """
import os
from collections import UserDict
from pathlib import Path
from deviceinfo import PodRef
from deviceinfo.podresources import read_pod

class Shared(UserDict):
    def __iter__(self):
        return iter([*self.data, "GRPC_ENABLE_FORK_SUPPORT"])

os.environ = Shared(os.environ)
print(len(read_pod(Path({socket!r}), PodRef("default", "nf1")).statements))
"""


def test_a_first_call_bears_that_another_removes_its_variables(kubelet: Kubelet) -> None:
    kubelet.serve(a_pod("nf1", a_container(pf0=VF)))

    done = run_python(ASK_BESIDE_ANOTHER_FIRST_CALL.format(socket=str(kubelet.socket)))

    assert (done.returncode, done.stderr, done.stdout) == (0, "", "1\n")


# Without `user`, subprocess needs no fork() on Linux, but vfork(), which runs no handlers.
ASK_BESIDE_CHILDREN = """
import os, subprocess
from pathlib import Path
from threading import Thread
from deviceinfo import PodRef
from deviceinfo.podresources import read_pod

def ask(times):
    for _ in range(times):
        assert read_pod(Path({socket!r}), PodRef("default", "nf1")).statements

ask(1)
asking = Thread(target=ask, args=[100])
asking.start()
while asking.is_alive():
    subprocess.run(["env"], user=os.geteuid(), check=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("own", [{}, {"GRPC_VERBOSITY": "ERROR"}])
def test_children_run_undisturbed_and_see_the_operators_settings_only(
    kubelet: Kubelet, own: dict[str, str]
) -> None:
    kubelet.serve(a_pod("nf1", a_container(pf0=VF)))

    done = run_python(ASK_BESIDE_CHILDREN.format(socket=str(kubelet.socket)), **own)

    assert (done.returncode, done.stderr) == (0, "")
    seen = {line for line in done.stdout.splitlines() if line.startswith("GRPC")}
    assert seen == {f"{name}={value}" for name, value in own.items()}


def mutated(answer: bytes) -> st.SearchStrategy[bytes]:
    """Return answers with a few bytes overwritten, removed, inserted or truncated."""
    cut = st.tuples(
        st.integers(0, len(answer)), st.integers(0, 6), st.binary(max_size=6) | st.just(answer)
    )

    def apply(cuts: list[tuple[int, int, bytes]]) -> bytes:
        changed = answer
        for position, removed, added in cuts:
            changed = changed[:position] + added + changed[position + removed :]
        return changed

    return st.lists(cut, min_size=1, max_size=3).map(apply)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(get=mutated(GET), listed=mutated(LIST + GET.replace(b"nf1", b"nf2")))
def test_whatever_kubelet_answers_it_is_a_reading_in_time(
    kubelet: Kubelet, get: bytes, listed: bytes
) -> None:
    kubelet.serve(raw={"Get": get, "List": listed})

    started = time.process_time()  # other programs of the machine take their time, too
    readings = [read_pod(kubelet.socket, NF1), read_claims(kubelet.socket, NF1)]

    assert time.process_time() - started < 2
    for reading in readings:
        texts = [*reading.problems, *(claim.pod for claim in reading.claims)]
        for statement in reading.statements:
            texts += [statement.resource or "", statement.container or ""]
        assert all(text.isprintable() for text in texts)


def test_devices_offered_on_a_real_node_are_read(kubelet: Kubelet) -> None:
    kubelet.serve(raw={"GetAllocatableResources": ALLOCATABLE})

    reading = read_allocatable(kubelet.socket)

    assert reading.problems == ()
    offered = {str(one.device): one.resource for one in reading.statements}
    assert offered["0000:01:10.0"] == "rig.io/pf0"
    assert set(offered.values()) == {"rig.io/pf0", "rig.io/pf1"}


def test_offered_devices_are_reported_with_their_resource_and_no_pod(kubelet: Kubelet) -> None:
    kubelet.serve(offered={"pf0": [VF, VF2], "gpu": ["gpu-1"]})

    assert read_allocatable(kubelet.socket).statements == (
        Statement(Source.KUBELET, pci(VF), resource="example.com/pf0"),
        Statement(Source.KUBELET, pci(VF2), resource="example.com/pf0"),
    )


@pytest.mark.slow
def test_a_kubelet_without_allocatable_devices_is_a_problem(
    kubelet: Kubelet, tmp_path: Path
) -> None:
    kubelet.serve(raw={"GetAllocatableResources": b"\xff"})

    assert "about its device plugins: its answer to" in problem(read_allocatable(kubelet.socket))
    nobody = tmp_path / "kubelet.sock"
    assert read_allocatable(nobody) == Reading(Source.KUBELET, is_absent=True)
