"""Release: an ADD that fails or dies anywhere leaves everything unchanged."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from sriovbond.host import Host
from tests.kernel.conftest import Wires
from tests.support import ipams, wire, worlds
from tests.support.calls import Runtime, a_config
from tests.support.carrying import carried, over_both
from tests.support.lending import lend
from tests.support.pods import Pod, batch, ip

pytestmark = pytest.mark.long

Note = Callable[[str], None]
Config = dict[str, object]
SYSCTLS = (("ipv4", "arp_notify", "1"), ("ipv6", "accept_ra", "0"))  # reset by a move


@dataclass(frozen=True, slots=True)
class Scene:
    """An attachment to be made: its configuration, and a way to restore its links."""

    runtime: Runtime
    config: Config
    folder: Path
    lay_out: Callable[[], None]

    def look(self, **namespaces: str | None) -> worlds.World:
        return worlds.settled(worlds.world(namespaces, [self.folder]))


@pytest.fixture
def vf_scene(runtime: Runtime, vf_pod: Pod, tmp_path: Path) -> Scene:
    """Two VFs in the pod with addresses and routes; IPAM assigns the bond some."""

    def lay_out() -> None:
        for number, mtu in ((1, 1500), (2, 1450)):
            name = f"net{number}"
            vf_pod.batch(f"link set {name} mtu {mtu} up", *carried(name, number))
        vf_pod.batch(*over_both("net1", "net2"))

    for number in (1, 2):
        vf_pod.ip(f"link set net{number} alias host{number}")
    # with `none` the second one takes the MAC of the first, and must get its own back
    config = a_config(failOverMac="none", ipam=ipams.host_local(tmp_path))
    return Scene(runtime, config, tmp_path, lay_out)


@pytest.fixture(autouse=True)
def _lent(host: Host) -> None:
    """Lend these tests' links, whatever addresses they have: lending is tested elsewhere."""
    lend(host, "home*")


@pytest.fixture
def host_scene(runtime: Runtime, tmp_path: Path) -> Iterator[Scene]:
    """Two links of the host, one up with addresses and one down."""
    batch(
        "link add home1 address 02:00:00:00:0a:01 type dummy",
        "link add home2 address 02:00:00:00:0a:02 mtu 1450 type dummy",
        "link set home1 alias kept up",
        *carried("home1", 1),
    )
    for family, key, value in SYSCTLS:
        Path(f"/proc/sys/net/{family}/conf/home1/{key}").write_text(value)
    links = [{"name": "home1"}, {"name": "home2"}]
    try:
        yield Scene(runtime, a_config(links=links, linksInContainer=False), tmp_path, lambda: None)
    finally:
        for name in ("home1", "home2"):
            ip(f"link del {name}", check=False)


@pytest.mark.vf
@pytest.mark.parametrize("how", ["fails", "is killed"])
def test_add_over_vfs_that_ends_at_any_request_leaves_no_trace(
    vf_scene: Scene, note: Note, how: str
) -> None:
    traces = sweep(vf_scene, ENDS[how])

    assert not any(traces.values()), traces
    note(f"an ADD over two VFs with IPAM, {len(traces)} requests, {how} at each: no trace")


@pytest.mark.parametrize("how", ["fails", "is killed"])
def test_add_over_links_of_the_host_that_ends_at_any_request_leaves_no_trace(
    host_scene: Scene, note: Note, how: str
) -> None:
    traces = sweep(host_scene, ENDS[how])

    assert not any(traces.values()), traces
    note(f"an ADD over links of the host, {len(traces)} requests, {how} at each: no trace")


def test_a_failed_rollback_is_added_to_the_first_cause_and_completed_by_del(
    host_scene: Scene,
) -> None:
    runtime, config = host_scene.runtime, host_scene.config
    before = host_scene.look(host=None, pod=runtime.pod.path)

    with wire.cut_from(request_of(runtime, config, "put home2 into bond0")):
        reply = runtime.add(config)

    assert reply.msg == wire.CUT
    assert f"and the way back failed: {wire.CUT}" in reply.body["details"]
    runtime.delete(config).ok()
    assert worlds.differences(before, host_scene.look(host=None, pod=runtime.pod.path)) == []


def request_of(runtime: Runtime, config: Config, doing: str) -> int:
    """Return the number of a request among those of an ADD, which is released again."""
    with wire.watched() as seen:
        runtime.add(config).ok()
    runtime.delete(config).ok()
    return next(place for place, one in enumerate(seen, start=1) if one.doing.startswith(doing))


def test_bond_of_another_that_is_in_the_way_of_an_add_stays(runtime: Runtime, wires: Wires) -> None:
    config = a_config(links=wires.links)
    other = "link add bond0 type bond", "link add d1 type dummy", "link set d1 master bond0"
    place = request_of(runtime, config, "make the bond bond0")

    with wire.at(place, lambda: wires.pod.batch(*other)):
        reply = runtime.add(config)

    assert "EEXIST" in reply.msg
    assert [member.name for member in wires.pod.the_bond().members] == ["d1"]


IPAM_TROUBLE = {
    "fails": ("""echo '{"code": 42, "msg": "no address left"}'; exit 1""", 42),
    "hangs": ("exec sleep 60", 104),
    "dies": ("kill -9 $$", 104),
    "answers nonsense": ("echo nonsense", 104),
    "gives no address": ("""echo '{"cniVersion": "1.1.0"}'""", 104),
}


@pytest.mark.parametrize(("body", "code"), IPAM_TROUBLE.values(), ids=IPAM_TROUBLE.keys())
def test_add_whose_ipam_does_not_serve_leaves_no_trace(
    runtime: Runtime, dummies: Config, tmp_path: Path, body: str, code: int
) -> None:
    path = ipams.scripted(tmp_path, f'[ "$CNI_COMMAND" = DEL ] && exit 0\n{body}')
    config = {**dummies, "ipam": {"type": "scripted-ipam"}}
    before = _pod_and_files(runtime, tmp_path)
    timeout_s = 1.0 if "sleep" in body else runtime.host.ipam_timeout_s
    hasty = replace(runtime, host=replace(runtime.host, ipam_timeout_s=timeout_s))

    reply = hasty.add(config, CNI_PATH=path)

    assert reply.code == code, reply.msg
    assert worlds.differences(before, _pod_and_files(runtime, tmp_path)) == []


def test_add_whose_ipam_plugin_is_missing_changes_nothing(
    runtime: Runtime, dummies: Config, tmp_path: Path
) -> None:
    with wire.watched() as seen:
        reply = runtime.add({**dummies, "ipam": {"type": "nowhere"}}, CNI_PATH=str(tmp_path))

    assert reply.code == 5
    assert "cannot find the IPAM plugin 'nowhere'" in reply.msg
    assert not any(request.changes for request in seen)
    assert not list(runtime.host.records.glob("*"))


def test_add_that_cannot_put_its_addresses_gives_them_back(
    runtime: Runtime, dummies: Config, tmp_path: Path
) -> None:
    before = _pod_and_files(runtime, tmp_path)
    unreachable = {"dst": "203.0.113.0/24", "gw": "192.0.2.77"}
    ipam = {**ipams.host_local(tmp_path), "routes": [unreachable]}

    reply = runtime.add({**dummies, "ipam": ipam})

    assert reply.code == 103
    assert "203.0.113.0/24" in reply.msg
    assert worlds.differences(before, _pod_and_files(runtime, tmp_path)) == []


def test_add_whose_sysctls_cannot_be_written_leaves_no_trace(
    runtime: Runtime, dummies: Config, tmp_path: Path
) -> None:
    before = _pod_and_files(runtime, tmp_path)

    with read_only("/proc/sys"):
        reply = runtime.add(dummies)

    assert reply.code == 5
    assert "arp_notify" in reply.msg
    assert worlds.differences(before, _pod_and_files(runtime, tmp_path)) == []


def test_add_whose_record_cannot_be_written_changes_nothing(
    runtime: Runtime, dummies: Config, tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("no folder")

    with wire.watched() as seen:
        reply = runtime.add(dummies)

    assert reply.code == 5
    assert not any(request.changes for request in seen)


def test_add_that_cannot_write_its_record_a_second_time_leaves_no_trace(
    runtime: Runtime, dummies: Config, tmp_path: Path
) -> None:
    before = _pod_and_files(runtime, tmp_path)

    with wire.before_proof(lambda: _block(runtime.host.records)):
        reply = runtime.add(dummies)

    assert reply.code == 5
    assert "cannot write the record" in reply.msg
    assert worlds.differences(before, _pod_and_files(runtime, tmp_path)) == []


def test_a_bond_that_a_running_pod_renames_during_add_goes_with_it(
    runtime: Runtime, dummies: Config, tmp_path: Path
) -> None:
    before = _pod_and_files(runtime, tmp_path)
    renamed = ("link set bond0 down", "link set bond0 name mine")

    with wire.before("put the address", lambda: runtime.pod.batch(*renamed)):
        reply = runtime.add({**dummies, "ipam": ipams.host_local(tmp_path)})

    assert "bond0" in reply.msg
    assert worlds.differences(before, _pod_and_files(runtime, tmp_path)) == []


@pytest.fixture
def dummies(pod: Pod) -> Config:
    """Two dummies in the pod, and the configuration that bonds them."""
    pod.batch("link add d1 type dummy", "link add d2 up type dummy")
    return a_config(links=[{"name": "d1"}, {"name": "d2"}])


def sweep(scene: Scene, end: Callable[[Scene, int], None]) -> dict[int, list[str]]:
    """End an ADD at each of its requests in turn; return what each end left behind."""
    scene.lay_out()
    requests_of(scene)  # a move gives the pod's namespace an nsid, by which later ADDs read it
    spaces = {"host": None, "pod": scene.runtime.pod.path}
    before = scene.look(**spaces)
    traces: dict[int, list[str]] = {}
    for place in range(1, requests_of(scene) + 1):
        end(scene, place)
        traces[place] = worlds.differences(before, scene.look(**spaces))
    assert traces, "an ADD sends no request"
    assert len(traces) == requests_of(scene), "an ADD sends more requests than were cut"
    return traces


def requests_of(scene: Scene) -> int:
    """Count the requests of an uncut ADD, and restore the links."""
    with wire.watched() as seen:
        scene.runtime.add(scene.config).ok()
    scene.runtime.delete(scene.config).ok()
    scene.lay_out()
    return len(seen)


def failed(scene: Scene, place: int) -> None:
    with wire.watched() as requests, wire.at(place, wire.fail):
        reply = scene.runtime.add(scene.config)
    if requests[place - 1].doing in OPTIONAL:
        scene.runtime.delete(scene.config).ok()
        scene.lay_out()
        return
    assert reply.msg == wire.CUT
    assert "details" not in reply.body


# a PF's settings of its VFs: an ADD works without, and logs that
OPTIONAL = frozenset({"look at pf0", "look at pf1"})


def killed_and_deleted(scene: Scene, place: int) -> None:
    with wire.at(place, wire.die):
        assert wire.killed(lambda: scene.runtime.add(scene.config))
    scene.runtime.delete(scene.config).ok()


ENDS: dict[str, Callable[[Scene, int], None]] = {"fails": failed, "is killed": killed_and_deleted}


@contextmanager
def read_only(folder: str) -> Iterator[None]:
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def _block(records: Path) -> None:
    """Create a folder at the record's path, which no file replaces."""
    (standing,) = records.glob("*.json")
    (records / f".{standing.stem}.new").mkdir()


def _pod_and_files(runtime: Runtime, folder: Path) -> worlds.World:
    found = worlds.settled(worlds.world({"pod": runtime.pod.path}, [folder]))
    return {key: value for key, value in found.items() if "/plugins/" not in key}
