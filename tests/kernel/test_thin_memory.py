"""Memory of a thin-mode ADD in its caller's cgroup, beside a daemon such as Multus'."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kernel.conftest import Wires
from tests.support import kubelet as kubelets
from tests.support.agents import wait_for
from tests.support.calls import a_config
from tests.support.kubelet import Kubelet, a_container, a_pod

pytestmark = [
    pytest.mark.vf,
    pytest.mark.long,
]  # only in the VM: its cgroups, and the path of its kubelet

CGROUPS = Path("/sys/fs/cgroup")
POD_RESOURCES = Path("/var/lib/kubelet/pod-resources")
MIB = 1 << 20
DAEMON = (
    f"held = b'x' * (24 * {MIB}); print('there', flush=True); input()"  # 30 MiB with Python's own
)


@dataclass(frozen=True, slots=True)
class Caller:
    """A cgroup with a limit, in which the plugin is executed."""

    group: Path

    def call(self, command: str, wires: Wires) -> subprocess.CompletedProcess[str]:
        enter = ["sh", "-c", f'echo $$ >{self.group}/cgroup.procs && exec "$@"', "sh"]
        environment = {
            "PATH": os.environ["PATH"],
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": wires.pod.container_id,
            "CNI_NETNS": wires.pod.path,
            "CNI_IFNAME": "bond0",
            "CNI_PATH": "/opt/cni/bin",
            "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=nf1",
        }
        return subprocess.run(
            [*enter, Path(sys.executable).with_name("sriovbond")],
            input=json.dumps(a_config(links=wires.links, linksInContainer=True)),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def killed(self) -> int:
        """Return how many processes the kernel's OOM killer has killed."""
        events = (self.group / "memory.events").read_text().splitlines()
        return {name: int(count) for name, count in map(str.split, events)}["oom_kill"]


@pytest.fixture
def kubelet() -> Iterator[Kubelet]:
    """Run a kubelet at the plugin's default path: importing gRPC is a third of an ADD."""
    POD_RESOURCES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="k") as folder, kubelets.running(Path(folder)) as real:
        real.serve(a_pod("nf1", a_container(pf0="0000:01:10.0")))
        subprocess.run(["mount", "--bind", real.socket.parent, POD_RESOURCES], check=True)
        try:
            yield real
        finally:
            subprocess.run(["umount", POD_RESOURCES], check=True)


@contextmanager
def a_caller(limit_mib: int) -> Iterator[Caller]:
    (CGROUPS / "cgroup.subtree_control").write_text("+memory")
    group = CGROUPS / "sriovbond-caller"
    group.mkdir()
    (group / "memory.max").write_text(str(limit_mib * MIB))
    daemon = subprocess.Popen(
        [
            "sh",
            "-c",
            f'echo $$ >{group}/cgroup.procs && exec "$@"',
            "sh",
            sys.executable,
            "-c",
            DAEMON,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert daemon.stdout
    try:
        assert daemon.stdout.readline() == b"there\n"
        yield Caller(group)
    finally:
        daemon.kill()
        daemon.communicate()
        wait_for(lambda: not (group / "cgroup.procs").read_text())
        group.rmdir()


def test_an_add_fits_beside_multus_daemon_where_status_has_no_objection(
    wires: Wires, kubelet: Kubelet
) -> None:
    with a_caller(64) as caller:
        status = caller.call("STATUS", wires)
        added = caller.call("ADD", wires)
        killed = caller.killed()
        deleted = caller.call("DEL", wires)

    assert status.stdout == ""
    assert json.loads(added.stdout)["interfaces"]
    assert (killed, deleted.returncode) == (0, 0)
    # under emulation importing gRPC may take longer than the time limit
    assert kubelet.methods() or "kubelet" in added.stderr


@pytest.mark.usefixtures("kubelet")
def test_with_multus_shipped_memory_limit_an_add_is_killed_and_status_says_so(
    wires: Wires,
) -> None:
    with a_caller(50) as caller:
        status = caller.call("STATUS", wires)
        caller.call("ADD", wires)
        killed = caller.killed()
        caller.call("DEL", wires)

    assert json.loads(status.stdout)["code"] == 50
    assert json.loads(status.stdout)["msg"].endswith("[memory-limit]")
    assert killed
