"""The agent in the DaemonSet's container serves pods of a host whose paths are mounted into it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sriovbond.shim.install import NAME
from tests.support import ipams
from tests.support.agents import wait_for
from tests.support.calls import a_config, plugin_path
from tests.support.containers import Container, a_container
from tests.support.pods import Pod, come_home, ip
from tests.support.systemd import Installed
from tests.support.thick import Called, Config, Thick
from tests.vm import rig as rigs

pytestmark = [
    pytest.mark.vf,
    pytest.mark.long,
]  # only in the VM: it uses the paths of an installed agent
CNI_BIN = Path("/opt/cni/bin")


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    folder = tmp_path_factory.mktemp("node")
    CNI_BIN.mkdir(parents=True, exist_ok=True)
    (CNI_BIN / NAME).write_text("an older one")
    with a_container(folder) as running:
        yield running
    shutil.rmtree(CNI_BIN)


@pytest.fixture
def thick(container: Container, vf_pod: Pod) -> Thick:
    """A pod created after the agent had started."""
    assert container.process.poll() is None, container.said
    return Thick(Installed(CNI_BIN / NAME, Path("/run/sriovbond")), vf_pod)


def added(thick: Thick, config: Config, path: str = "") -> Config:
    called = thick.call("ADD", config, CNI_PATH=path or plugin_path())
    assert called.status == 0, called.stdout
    return {**config, "prevResult": json.loads(called.stdout)}


def test_the_shim_that_it_has_installed_serves_a_pod(thick: Thick, tmp_path: Path) -> None:
    config = a_config(ipam=ipams.host_local(tmp_path))  # the plugin and its leases are the host's

    status = thick.call("STATUS", config)
    told = added(thick, config)
    bond, held = thick.pod.the_bond(), ipams.leases(tmp_path)
    checked, deleted = thick.call("CHECK", told), thick.call("DEL", told)

    assert (status.stdout, checked.stdout, deleted.stdout) == ("", "", "")
    assert sorted(one.name for one in bond.members) == ["net1", "net2"]
    assert len(held) == 2
    assert (thick.pod.bond(), thick.record(), ipams.leases(tmp_path)) == (None, None, [])


def test_an_ipam_plugin_is_executed_in_the_hosts_root(thick: Thick, tmp_path: Path) -> None:
    answer = '{"cniVersion": "1.1.0", "ips": [{"address": "192.0.2.9/24"}]}'
    path = ipams.scripted(
        tmp_path,
        f"pwd >{tmp_path}/where; ls -id / >>{tmp_path}/where; "
        f"ls $CNI_NETNS >>{tmp_path}/where; echo '{answer}'",
    )
    linked = tmp_path / "linked"
    linked.symlink_to(path)  # to be followed on the host, where only its target exists
    config = a_config(ipam={"type": "scripted-ipam"})

    told = added(thick, config, str(linked))

    inode = Path("/").stat().st_ino
    assert (tmp_path / "where").read_text().split() == ["/", str(inode), "/", thick.pod.path]
    assert thick.call("DEL", told, CNI_PATH=str(linked)).stdout == ""


def test_only_mounted_folders_and_temporary_files_can_be_written(container: Container) -> None:
    enter = ["nsenter", "--target", str(container.process.pid), "--mount"]
    script = "import tempfile; tempfile.TemporaryFile(); open('/etc/written', 'w')"

    done = subprocess.run(
        [*enter, sys.executable, "-c", script], capture_output=True, text=True, check=False
    )

    assert "Read-only file system: '/etc/written'" in done.stderr


def test_a_dead_pods_vfs_are_not_held_by_the_containers_mounts(
    thick: Thick, vfs: rigs.Layout
) -> None:
    config = added(thick, a_config())

    ip(f"netns del {thick.pod.name}")

    for pf in vfs.pfs[:2]:
        come_home(pf.vfs[0].pci)
    assert thick.call("DEL", config).stdout == ""
    assert thick.record() is None


IN_MULTUS = """
root=$(mktemp -d)
{}
exec chroot "$root" "$@"
"""
WHOLE = 'mount --rbind / "$root" && mount --make-rslave "$root"'
BARE = """
for folder in /opt/cni/bin /run/sriovbond /var/lib/sriovbond /run/netns; do
    mkdir -p "$root$folder" && mount --rbind "$folder" "$root$folder"
done
"""


@pytest.mark.parametrize("mounts", [WHOLE, BARE], ids=["the host's root", "nothing else"])
def test_the_shim_works_chrooted_as_multus_thick_executes_it(thick: Thick, mounts: str) -> None:
    unshared = ("unshare", "--mount", "--propagation", "slave")
    prefix = (*unshared, "sh", "-euc", IN_MULTUS.format(mounts), "sh")
    config = a_config()
    socket = thick.shim.socket

    added = thick.call("ADD", config, prefix)
    bonded = thick.pod.bond() is not None
    socket.rename(socket.with_name("away"))
    deleted = thick.call("DEL", config, prefix)
    kept = thick.shim.queued() != [] or thick.record() is None
    socket.with_name("away").rename(socket)
    wait_for(lambda: thick.record() is None)

    assert (added.status, bonded, deleted, kept) == (0, True, Called("", 0), True), added.stdout
    assert thick.pod.bond() is None


def test_a_queued_del_is_done_in_the_pod_of_its_record(thick: Thick) -> None:
    config = added(thick, a_config())
    away = thick.shim.socket.with_name("away")
    thick.shim.socket.rename(away)

    deleted = thick.call("DEL", config)
    away.rename(thick.shim.socket)
    wait_for(lambda: thick.shim.queued() == [])

    assert deleted.status == 0
    wait_for(lambda: thick.record() is None)
    assert thick.pod.bond() is None
