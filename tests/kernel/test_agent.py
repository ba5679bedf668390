"""Thick mode: the real shim and a real agent do what thin mode does, and survive restarts."""

import json
import logging
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from sriovbond import log, records
from sriovbond.kernel import links, netns
from sriovbond.records import Record
from tests.kernel.conftest import Wires
from tests.support import ipams
from tests.support.agents import an_agent, wait_for
from tests.support.calls import a_config, plugin_path
from tests.support.crio import CriO
from tests.support.leases import IPV4, IPV6, static
from tests.support.pods import Pod, a_pod, come_home, ip
from tests.support.shims import Shim
from tests.support.thick import Called, Config, Thick
from tests.vm import rig as rigs

HOLDING = (
    "echo $CNI_COMMAND >>{0}/calls; while [ $CNI_COMMAND = ADD -a -e {0}/hold ]; do sleep 0.1; done"
)


@pytest.fixture
def thick(shim: Shim, pod: Pod) -> Thick:
    return Thick(shim, pod)


@pytest.fixture
def config(pod: Pod) -> Config:
    """Two dummies in the pod, and the configuration that bonds them."""
    pod.batch(
        "link add d1 address 02:00:00:00:0d:01 type dummy",
        "link add d2 address 02:00:00:00:0d:02 type dummy",
    )
    return over("d1", "d2")


def over(*names: str, **keys: object) -> Config:
    """Return a configuration whose bond has the same MAC each time."""
    links_ = [{"name": name} for name in names]
    return a_config(links=links_, failOverMac="none", ipam=static(IPV4, IPV6), **keys)


def round_of(call: Callable[[str, Config], Called], config: Config) -> list[Called]:
    """Run ADD, CHECK, CHECK with a wrong prevResult, a second ADD's CHECK, DEL, DEL, CHECK."""
    added = call("ADD", config)
    result = json.loads(added.stdout)
    assert added.status == 0, added.stdout
    told = {**config, "prevResult": result}
    wrong = json.loads(json.dumps(told))
    wrong["prevResult"]["interfaces"][0]["mac"] = "02:00:00:00:99:99"
    after = [call("CHECK", told), call("CHECK", wrong), call("CHECK", config)]
    return [added, *after, call("DEL", told), call("DEL", config), call("CHECK", told)]


def assert_alike(thick: Thick, config: Config) -> None:
    thin = round_of(thick.thin, config)
    with an_agent(thick.shim) as agent:
        told = round_of(thick.call, config)
        assert told == thin, agent.said
        assert [one.status for one in told] == [0, 0, 1, 1, 0, 0, 1]
    assert thick.pod.bond() is None


def test_thick_and_thin_give_the_same_bytes_over_dummies(thick: Thick, config: Config) -> None:
    assert_alike(thick, config)


def test_thick_and_thin_give_the_same_bytes_over_veths(shim: Shim, wires: Wires) -> None:
    assert_alike(Thick(shim, wires.pod), over(*wires.names, cniVersion="0.4.0"))


@pytest.mark.vf
def test_thick_and_thin_give_the_same_bytes_over_vfs(shim: Shim, vf_pod: Pod) -> None:
    assert_alike(Thick(shim, vf_pod), over("net1", "net2"))


def test_the_namespace_is_the_one_that_the_shim_has_opened(thick: Thick, config: Config) -> None:
    path = "/proc/self/fd/9"  # valid in the shim's process only
    prefix = ("sh", "-c", f'exec 9<{thick.pod.path}; exec "$@"', "sh")

    with an_agent(thick.shim) as agent:
        added = thick.call("ADD", config, prefix, CNI_NETNS=path)
        assert added.status == 0, added.stdout + agent.said
        record, state = thick.record(), thick.pod.bond()
        deleted = thick.call("DEL", config, prefix, CNI_NETNS=path)

    assert json.loads(added.stdout)["interfaces"][0]["sandbox"] == path
    assert record is not None
    assert record.netns == path
    assert state is not None
    assert (deleted.status, thick.pod.bond(), thick.record()) == (0, None, None)


def test_a_disk_that_was_read_only_for_a_while_holds_no_queued_del_up(
    shim: Shim, tmp_path: Path
) -> None:
    config = a_config(ipam={"type": "scripted-ipam"})
    path = ipams.scripted(tmp_path, "true")

    with mounted(shim.state):
        for container in ("pod1", "pod2"):
            stdin = json.dumps(config).encode()
            shim.run("DEL", stdin, CNI_CONTAINERID=container, CNI_PATH=path).check_returncode()
        (shim.state / "records").mkdir()
        mount("-o", "remount,ro", shim.state)
        with an_agent(shim, retry_s=0.2) as agent:
            wait_for(lambda: agent.said.count("a queued DEL must wait") >= 2)
            mount("-o", "remount,rw", shim.state)
            wait_for(lambda: not shim.queued())


@contextmanager
def mounted(folder: Path) -> Iterator[None]:
    """Mount a file system at the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    mount("-t", "tmpfs", "-o", "mode=700", "tmpfs", folder)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *arguments], check=True)


@pytest.mark.vf
def test_an_agent_does_not_keep_a_dead_pods_vfs(shim: Shim, vf_pod: Pod, vfs: rigs.Layout) -> None:

    devices = [pf.vfs[0].pci for pf in vfs.pfs[:2]]
    thick = Thick(shim, vf_pod)

    with an_agent(shim):
        assert thick.call("ADD", a_config()).status == 0
        ip(f"netns del {vf_pod.name}")
        names = {come_home(pci) for pci in devices}
        assert thick.call("DEL", a_config()).status == 0

    assert len(names) == 2
    assert thick.record() is None


def test_an_agent_killed_in_an_add_leaves_a_del_that_undoes_it(
    thick: Thick, config: Config, tmp_path: Path
) -> None:
    before = [thick.pod.link(name) for name in ("d1", "d2")]
    path = ipams.scripted(tmp_path, HOLDING.format(tmp_path))
    asked = {**config, "ipam": {"type": "scripted-ipam"}}
    (tmp_path / "hold").touch()

    with ThreadPoolExecutor() as pool:
        with an_agent(thick.shim) as agent:
            adding = pool.submit(thick.call, "ADD", asked, CNI_PATH=path)
            wait_for((tmp_path / "calls").exists)
            agent.kill()
        (tmp_path / "hold").unlink()
        assert (adding.result().code, thick.pod.bond() is not None) == (11, True)
    deleted = thick.call("DEL", asked, CNI_PATH=path)
    kept = len(thick.shim.queued())
    with an_agent(thick.shim) as agent:
        wait_for(lambda: "a queued DEL is done" in agent.said)
        wait_for(lambda: thick.record() is None)

    assert (deleted, kept, thick.shim.queued()) == (Called("", 0), 1, [])
    assert (thick.pod.bond(), thick.record()) == (None, None)
    assert [thick.pod.link(name) for name in ("d1", "d2")] == before
    assert (tmp_path / "calls").read_text().split() == ["ADD", "DEL"]


@pytest.mark.vf
def test_a_replayed_del_touches_no_vf_that_another_pod_has_by_now(
    shim: Shim, vf_pod: Pod, vfs: rigs.Layout
) -> None:
    thick = Thick(shim, vf_pod)
    with an_agent(shim):
        assert thick.call("ADD", a_config()).status == 0
    assert thick.call("DEL", a_config()).status == 0
    ip(f"netns del {vf_pod.name}")
    with a_pod("other") as other:
        for number, pf in enumerate(vfs.pfs[:2], 1):
            other.give(come_home(pf.vfs[0].pci), f"net{number}")
        again = Thick(shim, other)
        assert again.thin("ADD", a_config()).status == 0
        before = other.bond()
        with an_agent(shim) as agent:
            wait_for(lambda: "a queued DEL is done" in agent.said)
            after = other.bond()
        assert again.thin("DEL", a_config()).status == 0

    assert after is not None
    assert before is not None
    assert [one.name for one in after.members] == [one.name for one in before.members]
    assert thick.record() is None


def test_a_replayed_del_without_a_record_enters_no_namespace(thick: Thick, config: Config) -> None:
    thick.pod.batch("link add bond0 type bond")
    assert thick.call("DEL", config).status == 0

    with an_agent(thick.shim):
        wait_for(lambda: thick.shim.queued() == [])
    assert thick.pod.link("bond0") is not None

    with an_agent(thick.shim):  # but it is found in the CNI_PATH of now
        assert thick.call("DEL", config).status == 0
    assert thick.pod.link("bond0") is None


def test_an_add_waits_for_the_queued_del_of_its_attachment(thick: Thick, config: Config) -> None:
    with an_agent(thick.shim):
        assert thick.call("ADD", config).status == 0
    assert thick.call("DEL", config).status == 0

    with an_agent(thick.shim) as agent:
        added = thick.call("ADD", config)
        wait_for(lambda: thick.shim.queued() == [])
        assert (added.status, thick.pod.bond() is not None) == (0, True), added.stdout + agent.said
        assert thick.call("DEL", config).status == 0


def a_crio(thick: Thick, folder: Path) -> CriO:
    """Return CRI-O's part with the shim and static in a folder of plugins, in this folder."""
    plugins = folder / "bin"
    plugins.mkdir()
    (plugins / "sriovbond").symlink_to(thick.shim.program)
    (plugins / "static").symlink_to(str(shutil.which("static", path=plugin_path())))
    return CriO(plugins, folder / "net.d")


def test_cri_o_adds_checks_and_deletes_also_while_no_agent_answers(
    thick: Thick, config: Config, tmp_path: Path
) -> None:
    crio = a_crio(thick, tmp_path)
    crio.define(config)

    def record() -> Record | None:
        return records.read(thick.host, thick.pod.key("eth0"))

    with an_agent(thick.shim) as agent:
        added = crio.call("add", thick.pod)
        bond, told = thick.pod.bond("eth0"), record()
        checked = crio.call("status", thick.pod)
        agent.says("command=CHECK")
    crio.call("del", thick.pod)
    queued = [path.name for path in thick.shim.queued()]
    with an_agent(thick.shim):
        wait_for(lambda: record() is None)

    assert bond is not None
    assert [member.name for member in bond.members] == ["d1", "d2"]
    assert told is not None
    assert told.pod[:2] == ("default", "nf1")
    assert checked == added
    assert added.splitlines() == [f"IP: {one} (eth0 {bond.mac})" for one in (IPV4, IPV6)]
    assert queued == [f"{thick.pod.container_id}@eth0"]
    assert thick.pod.bond("eth0") is None


def test_a_full_disk_makes_the_runtime_try_again(thick: Thick) -> None:
    state = thick.shim.state
    state.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", "size=8k,mode=700", "none", str(state)]
    subprocess.run(mount, check=True)
    try:
        (state / "queue").mkdir(mode=0o700)
        with suppress(OSError):
            (state / "filler").write_bytes(b"a" * 8192)

        called = thick.call("DEL", {"name": "a" * 9000})

        assert (called.code, thick.shim.queued()) == (11, [])
        assert "No space left on device" in called.stdout
    finally:
        subprocess.run(["umount", str(state)], check=True)


def test_work_in_a_namespace_logs_for_its_request(
    pod: Pod, capsys: pytest.CaptureFixture[str]
) -> None:
    with log.logged_to(None, Path("/var/log"), pod="ns/web"), netns.opened(pod.path) as opened:
        opened.run(lambda: log.event(logging.INFO, "inside"))

    assert "msg=inside pod=ns/web" in capsys.readouterr().err


def test_a_descriptor_stays_its_givers(pod: Pod) -> None:
    with open(pod.path, "rb") as given:  # noqa: PTH123 - for its descriptor
        with netns.opened("/no/such/netns", given.fileno()) as opened:
            lo = links.find(opened.netlink, "lo")
        with netns.opened(pod.path) as again:
            assert replace(opened, netlink=again.netlink).identity == again.identity
        assert given.fileno() > 0

    assert lo is not None
