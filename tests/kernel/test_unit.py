"""The agent works in the shipped unit's sandbox, under a real systemd."""

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from sriovbond.kernel import netns
from sriovbond.shim import build
from tests.support import ipams
from tests.support.agents import wait_for
from tests.support.calls import a_config
from tests.support.leases import IPV4, IPV6, addresses, static
from tests.support.pods import Pod, batch, come_home, ip
from tests.support.systemd import CNI_BIN, UNIT, Installed, Service, a_service
from tests.support.thick import Config, Thick
from tests.vm import rig as rigs

pytestmark = [
    pytest.mark.vf,
    pytest.mark.long,
]  # only in the VM: it uses the paths of an installed agent


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with a_service(tmp_path_factory.mktemp("node")) as running:
        yield running
        assert running.state() == {"ActiveState": "active", "Result": "success", "NRestarts": "0"}


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(
        build.build(tmp_path_factory.mktemp("bin") / "sriovbond"), Path("/run/sriovbond")
    )


@pytest.fixture
def thick(service: Service, shim: Installed, vf_pod: Pod) -> Thick:
    assert service.pid
    return Thick(shim, vf_pod)


def added(thick: Thick, config: Config) -> Config:
    """Run ADD; return the configuration as the runtime has it from then on."""
    called = thick.call("ADD", config)
    assert called.status == 0, called.stdout
    return {**config, "prevResult": json.loads(called.stdout)}


def test_the_shim_is_put_among_the_nodes_plugins(thick: Thick) -> None:
    installed = CNI_BIN / "sriovbond"

    assert installed.read_bytes() == thick.shim.program.read_bytes()
    assert stat.S_IMODE(installed.stat().st_mode) == 0o755


def test_a_pods_life(thick: Thick, tmp_path: Path) -> None:
    thick.pod.run("sysctl", "net.ipv6.conf.default.disable_ipv6=1")
    config = a_config(ipam=ipams.host_local(tmp_path))
    assert thick.call("STATUS", config).stdout == ""

    told = added(thick, config)
    bond, held = thick.pod.the_bond(), ipams.leases(tmp_path)
    sysctls = [_sysctl(thick.pod, key) for key in ("disable_ipv6", "ndisc_notify")]
    checked = thick.call("CHECK", told)
    deleted = thick.call("DEL", told)

    assert sorted(one.name for one in bond.members) == ["net1", "net2"]
    assert (len(held), sysctls) == (2, ["0", "1"])
    assert (checked.stdout, deleted.stdout) == ("", "")
    assert (thick.pod.bond(), thick.record(), ipams.leases(tmp_path)) == (None, None, [])


def _sysctl(pod: Pod, key: str) -> str | None:
    with netns.opened(pod.path) as opened:
        return opened.sysctl(f"ipv6/conf/bond0/{key}")


def test_gc_releases_attachments_that_the_runtime_does_not_list(
    thick: Thick, tmp_path: Path
) -> None:
    config = a_config(ipam=ipams.host_local(tmp_path))
    added(thick, config)

    collected = thick.call("GC", {**config, "cni.dev/valid-attachments": []})

    assert (collected.stdout, thick.pod.bond()) == ("", None)
    wait_for(lambda: thick.record() is None)  # IPAM runs after the GC is answered
    assert ipams.leases(tmp_path) == []


def test_a_del_while_the_agent_is_stopped_is_done_when_it_starts(
    thick: Thick, service: Service
) -> None:
    config = added(thick, a_config(ipam=static(IPV4, IPV6)))
    assert set(addresses(thick.pod)) == {IPV4, IPV6}

    service.stop()
    deleted = thick.call("DEL", config)
    kept = len(thick.shim.queued())
    service.start()
    wait_for(lambda: thick.shim.queued() == [])

    assert (deleted.status, kept) == (0, 1)
    assert "the agent has stopped" in service.said
    wait_for(lambda: thick.record() is None)
    assert thick.pod.bond() is None


@pytest.mark.usefixtures("service")
def test_interfaces_of_the_host_come_home_with_their_sysctls(shim: Installed, pod: Pod) -> None:
    names = ("home1", "home2")
    batch(*(f"link add {name} type dummy" for name in names))
    kept = Path("/proc/sys/net/ipv6/conf/home1/accept_ra")
    kept.write_text("0")
    thick = Thick(shim, pod)
    over = [{"name": name} for name in names]
    try:
        config = added(thick, a_config(links=over, linksInContainer=False, failOverMac="none"))
        away = kept.exists()
        deleted = thick.call("DEL", config)

        assert (away, deleted.stdout) == (False, "")
        assert kept.read_text() == "0\n"
    finally:
        for name in names:
            ip(f"link del {name}", check=False)


def test_a_dead_pods_vfs_are_not_held_by_the_units_mounts(
    thick: Thick, service: Service, vfs: rigs.Layout
) -> None:
    config = added(thick, a_config())
    assert thick.pod.path in _mounts(service.pid)

    ip(f"netns del {thick.pod.name}")

    for pf in vfs.pfs[:2]:
        come_home(pf.vfs[0].pci)
    assert thick.pod.path not in _mounts(service.pid)
    assert thick.call("DEL", config).stdout == ""
    assert thick.record() is None


def _mounts(pid: int) -> list[str]:
    lines = Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
    return [line.split()[4] for line in lines]


def test_the_sandbox_is_there(service: Service) -> None:
    status = Path(f"/proc/{service.pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines())
    root = Path(f"/proc/{service.pid}/root")
    mounts = Path(f"/proc/{service.pid}/mountinfo").read_text()

    assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")
    assert int(fields["CapBnd"], 16) < int(_own_bounding_set(), 16)
    assert "shared:" not in mounts  # mounts there are not propagated
    assert not (root / "dev/mem").exists()
    assert os.statvfs(root / "usr").f_flag & os.ST_RDONLY


def _own_bounding_set() -> str:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(line.split("\t")[1] for line in lines if line.startswith("CapBnd"))


def test_an_agent_that_cannot_start_is_tried_for_ever(service: Service) -> None:
    # more often than systemd's limit, and as soon as that counts: five times in 10 s
    with service.overridden("[Service]\nExecStart=\nExecStart=/bin/false\nRestartSec=100ms\n"):
        wait_for(lambda: int(service.state()["NRestarts"]) > 6)
        state = service.state()["ActiveState"]

    assert state == "activating"
    assert service.state()["ActiveState"] == "active"
    service.systemctl("reset-failed", UNIT)  # resets the count of restarts
