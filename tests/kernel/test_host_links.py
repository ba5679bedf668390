"""A bond over host links: moved into the pod, they return to the host unchanged."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from sriovbond.bond.links import Link
from sriovbond.host import Host
from sriovbond.kernel import links, netns
from tests.support import wire, worlds
from tests.support.calls import Runtime, a_config
from tests.support.lending import lend
from tests.support.pods import Pod, a_pod, batch, ip
from tests.vm import rig as rigs

NAMES = ("home1", "home2")
LINKS = [{"name": name} for name in NAMES]
SYSCTLS = {"ipv4": "arp_filter", "ipv6": "use_tempaddr"}


@pytest.fixture(autouse=True)
def _lent(host: Host) -> None:
    """Lend these tests' links, whatever addresses they have: lending is tested elsewhere."""
    lend(host, "home*", "pf*v*")


@pytest.fixture
def at_home() -> Iterator[None]:
    """Two dummies of the host: one up with addresses and a route, one down."""
    batch(
        "link add home1 address 02:00:00:00:0a:01 type dummy",
        "link add home2 address 02:00:00:00:0a:02 mtu 1450 type dummy",
        "link set home1 alias kept up",
        "addr add 203.0.113.1/28 dev home1",
        "addr add 2001:db8:1::1/64 dev home1 nodad",
        "route add 198.18.1.0/24 via 203.0.113.14 dev home1",
    )
    Path("/proc/sys/net/ipv6/conf/home1/accept_ra").write_text("0")
    yield
    for name in NAMES:
        ip(f"link del {name}", check=False)


def home_link(name: str) -> Link | None:
    with netns.own() as home:
        return links.find(home.netlink, name)


def look(folder: Path) -> worlds.World:
    return worlds.settled(worlds.world({"host": None}, [folder]))


@pytest.mark.usefixtures("at_home")
@pytest.mark.parametrize("said", [{"linksInContainer": False}, {}], ids=["false", "absent"])
def test_host_links_are_bonded_in_the_pod_and_come_home_as_they_were(
    runtime: Runtime, pod: Pod, tmp_path: Path, said: dict[str, object]
) -> None:
    before = look(tmp_path)
    config = a_config(links=LINKS, failOverMac="none", **said)

    runtime.add(config).ok()
    bonded = pod.bond()
    gone = [home_link(name) for name in NAMES]
    runtime.delete(config).ok()

    assert bonded is not None
    assert {one.name for one in bonded.members} == set(NAMES)
    assert gone == [None, None]
    assert worlds.differences(before, look(tmp_path)) == []


@pytest.mark.usefixtures("at_home")
def test_the_rest_comes_home_when_one_of_them_has_gone(runtime: Runtime, pod: Pod) -> None:
    config = a_config(links=LINKS, linksInContainer=False)
    before = home_link("home1")
    runtime.add(config).ok()
    pod.ip("link del home2")

    runtime.delete(config).ok()

    assert _still(home_link("home1")) == _still(before)


def test_links_of_the_pod_are_taken_when_the_host_has_none_of_them(
    runtime: Runtime, pod: Pod
) -> None:
    pod.batch(*(f"link add {name} type dummy" for name in NAMES))

    runtime.add(a_config(links=LINKS)).ok()

    assert pod.bond() is not None


@pytest.mark.usefixtures("at_home")
def test_links_that_are_in_two_places_are_refused_with_where_each_is(
    runtime: Runtime, pod: Pod
) -> None:
    pod.ip("link add inside type dummy")

    reply = runtime.add(a_config(links=[{"name": "home1"}, {"name": "inside"}, {"name": "none"}]))

    assert reply.code == 7
    assert "cannot find 'home1', 'none' of `links` in the pod: it has inside" in reply.msg
    assert "the host has home1, which is not taken: others of `links` are in the pod" in reply.msg


@pytest.mark.usefixtures("at_home")
def test_a_missing_link_is_reported_with_the_names_that_exist(runtime: Runtime, pod: Pod) -> None:
    pod.ip("link add inside type dummy")

    reply = runtime.add(a_config(links=LINKS, linksInContainer=True))

    assert reply.code == 7
    assert "'home1'" in reply.msg
    assert "inside" in reply.msg


@pytest.mark.usefixtures("at_home")
def test_host_link_whose_name_the_pod_has_already_is_refused_before_any_change(
    runtime: Runtime, pod: Pod
) -> None:
    pod.ip("link add home2 type dummy")

    with wire.watched() as seen:
        reply = runtime.add(a_config(links=LINKS, linksInContainer=False))

    assert "[name-taken]" in reply.msg
    assert not any(request.changes for request in seen)


@pytest.mark.usefixtures("at_home")
@pytest.mark.parametrize("then", ["", "move home1 to the host"], ids=["before", "last moment"])
def test_host_link_comes_home_under_another_name_when_its_own_was_taken(
    runtime: Runtime, pod: Pod, then: str
) -> None:
    config = a_config(links=LINKS, linksInContainer=False)
    runtime.add(config).ok()
    usurper = "link add home1 address 02:00:00:00:0b:01 type dummy"

    with wire.before(then, lambda: ip(usurper)):
        runtime.delete(config).ok()

    came, standing = _by_mac("02:00:00:00:0a:01"), home_link("home1")
    assert came is not None
    assert came.is_up
    assert "203.0.113.1/28" in str(ip(f"addr show {came.name}"))
    assert standing is not None
    assert (standing.mac, standing.is_up) == ("02:00:00:00:0b:01", False)
    assert pod.link("home1") is None
    ip(f"link del {came.name}")


@pytest.mark.vf
def test_vf_comes_home_under_another_name_when_its_own_was_taken(
    runtime: Runtime, vfs: rigs.Layout
) -> None:
    vf, other = vfs.pfs[0].vfs[1], vfs.pfs[1].vfs[1]
    config = a_config(links=[{"name": vf.name}, {"name": other.name}], linksInContainer=False)
    runtime.add(config).ok()
    ip(f"link add {vf.name} type dummy")
    try:
        runtime.delete(config).ok()
    finally:
        ip(f"link del {vf.name}")

    came = _by_mac(vf.mac)
    assert came is not None
    assert came.device == vf.pci
    assert home_link(other.name) is not None


def _by_mac(mac: str) -> Link | None:
    with netns.own() as home:
        return next((one for one in links.dump(home.netlink) if one.mac == mac), None)


def test_veths_of_the_host_come_home_with_their_peers(
    runtime: Runtime, pod: Pod, tmp_path: Path
) -> None:
    batch(
        "link add home1 up type veth peer far1",
        "link add home2 type veth peer far2",
        "link set far1 up",
    )
    config = a_config(links=LINKS, linksInContainer=False)
    before = look(tmp_path)
    try:
        runtime.add(config).ok()
        assert pod.bond() is not None

        runtime.delete(config).ok()

        assert worlds.differences(before, look(tmp_path)) == []
    finally:
        batch(*(f"link del {name}" for name in NAMES))


@pytest.mark.vf
@pytest.mark.parametrize("end", ["DEL", "the pod dies first"])
def test_vfs_of_the_host_come_home_as_they_were(
    runtime: Runtime, vfs: rigs.Layout, pod: Pod, end: str
) -> None:
    names = [vfs.pfs[0].vfs[1].name, vfs.pfs[1].vfs[1].name]
    batch(f"link set {names[0]} mtu 1400 up", f"addr add 203.0.113.1/28 dev {names[0]}")
    config = a_config(links=[{"name": name} for name in names], linksInContainer=False)
    before = [home_link(name) for name in names]
    runtime.add(config).ok()

    if end == "the pod dies first":
        ip(f"netns del {pod.name}")
    runtime.delete(config).ok()

    after = [home_link(name) for name in names]
    assert [_still(one) for one in after] == [_still(one) for one in before]
    assert "203.0.113.1/28" in str(ip(f"addr show {names[0]}"))


def _still(link: Link | None) -> Link | None:
    """Return it without its carrier, which takes seconds to return, and its new index."""
    return link and replace(link, has_carrier=False, index=0)


@pytest.mark.usefixtures("at_home")
def test_bond_of_bond_cni_over_host_links_is_taken_down_without_a_record(
    runtime: Runtime, pod: Pod
) -> None:
    for name in NAMES:
        ip(f"link set {name} down")
        ip(f"link set {name} netns {pod.name}")
    pod.ip("link add bond0 type bond")
    pod.batch(*(f"link set {name} master bond0" for name in NAMES))

    runtime.delete(a_config(links=LINKS, linksInContainer=False)).ok()

    assert [home_link(name) is not None for name in NAMES] == [True, True]
    assert pod.link("bond0") is None


# ---- changes to them by a pod with NET_ADMIN


@contextmanager
def a_link_of_the_host(name: str, *altnames: str) -> Iterator[None]:
    """Create another link on the host, which no pod may change."""
    ip(f"link add {name} type dummy")
    try:
        batch(*(f"link property add dev {name} altname {one}" for one in altnames))
        before = home_link(name)
        yield
        assert home_link(name) == before
    finally:
        ip(f"link del {name}")


def node_wide() -> dict[Path, bytes]:
    """Read the sysctls of all links, and of new links."""
    found = {}
    for path in Path("/proc/sys/net").glob("ipv[46]/conf/*/*"):
        if path.parent.name in ("all", "default"):
            with suppress(OSError):  # a secret that is not set
                found[path] = path.read_bytes()
    return found


@pytest.mark.vf
@pytest.mark.parametrize(
    ("name", "end"), [("all", "DEL"), ("default", "DEL"), ("all", "the pod dies first")]
)
def test_a_vf_that_the_pod_calls_as_all_are_changes_no_sysctl_of_the_node(
    runtime: Runtime, vfs: rigs.Layout, pod: Pod, name: str, end: str
) -> None:
    vf = vfs.pfs[0].vfs[1]
    own = [Path(f"/proc/sys/net/{family}/conf/{vf.name}/{key}") for family, key in SYSCTLS.items()]
    ip(f"link set {vf.name} alias used")
    for path in own:
        path.write_text("1")
    config = a_config(links=[{"name": vf.name}], linksInContainer=False, minMembers=1)
    before, was = node_wide(), home_link(vf.name)
    runtime.add(config).ok()
    pod.batch(
        f"link set {vf.name} nomaster",
        f"link set {vf.name} down mtu 1000",  # removes IPv6 from it, which refuses the name
        f"link set {vf.name} name {name}",
        f"link add {vf.name} type dummy",
    )

    if end == "the pod dies first":
        ip(f"netns del {pod.name}")
    runtime.delete(config).ok()

    assert node_wide() == before
    assert _still(home_link(vf.name)) == _still(was)
    assert [path.read_text() for path in own] == ["1\n", "1\n"]
    ip(f"addr add 203.0.113.1/28 dev {vf.name}")


@pytest.mark.usefixtures("at_home")
@pytest.mark.parametrize("names", [["theirs"], ["also-theirs", "nobodys"]], ids=str)
def test_altnames_that_the_pod_gave_hold_no_link_there(
    runtime: Runtime, pod: Pod, names: list[str]
) -> None:
    ip("link property add dev home1 altname its-own")
    config = a_config(links=LINKS, linksInContainer=False)
    was = home_link("home1")
    with a_link_of_the_host("theirs", "also-theirs"):
        runtime.add(config).ok()
        pod.batch(*(f"link property add dev home1 altname {name}" for name in names))

        runtime.delete(config).ok()

    assert _still(home_link("home1")) == _still(was)


@pytest.mark.kernel_from("6.6", "leaves altnames behind in the namespace that a link leaves")
@pytest.mark.usefixtures("at_home")
@pytest.mark.parametrize("has_another", [False, True])
def test_an_altname_that_the_pod_took_off_comes_back_unless_another_link_has_it(
    runtime: Runtime, pod: Pod, tmp_path: Path, *, has_another: bool
) -> None:
    ip("link property add dev home1 altname its-own")
    config = a_config(links=LINKS, linksInContainer=False, logFile=str(tmp_path / "log"))
    was = home_link("home1")
    runtime.add(config).ok()
    pod.ip("link property del dev home1 altname its-own")
    with a_link_of_the_host("theirs", *["its-own"] * has_another):
        runtime.delete(config).ok()

    assert was is not None
    kept = () if has_another else was.altnames
    assert _still(home_link("home1")) == _still(replace(was, altnames=kept))
    refused = "left as it is: cannot give home1 the altname its-own: EEXIST"
    assert (refused in _told(tmp_path)) == has_another


@pytest.mark.usefixtures("at_home")
def test_an_altname_that_another_link_has_by_now_holds_no_link_in_the_pod(
    runtime: Runtime, pod: Pod
) -> None:
    ip("link property add dev home1 altname its-own")
    config = a_config(links=LINKS, linksInContainer=False)
    runtime.add(config).ok()
    others = ["its-own"] if pod.link("its-own") else []  # as above
    with a_link_of_the_host("theirs", *others):
        runtime.delete(config).ok()

    assert home_link("home1") is not None


def _told(folder: Path) -> str:
    return (folder / "log").read_text()


@pytest.mark.usefixtures("at_home")
def test_the_name_that_a_link_comes_home_by_cannot_be_taken_before(
    runtime: Runtime, pod: Pod
) -> None:
    config = a_config(links=LINKS, linksInContainer=False)
    runtime.add(config).ok()
    pod.ip(f"link add sb-{hashlib.sha256(b'home1').hexdigest()[:12]} type dummy")
    with a_link_of_the_host("home1"):
        runtime.delete(config).ok()

        came = _by_mac("02:00:00:00:0a:01")

    assert came is not None
    ip(f"link del {came.name}")


@dataclass(frozen=True, slots=True)
class Lent:
    """A host VF that an ADD has moved into the pod; `was` is its state on the host."""

    name: str
    was: Link | None
    config: dict[str, object]


@pytest.fixture
def lent(runtime: Runtime, vfs: rigs.Layout) -> Lent:
    name = vfs.pfs[0].vfs[1].name
    config = a_config(links=[{"name": name}], linksInContainer=False, minMembers=1)
    was = home_link(name)
    runtime.add(config).ok()
    return Lent(name, was, config)


@pytest.mark.vf
def test_a_vf_that_the_pod_calls_as_a_link_of_the_host_comes_home_by_its_own_name(
    runtime: Runtime, lent: Lent, pod: Pod
) -> None:
    with a_link_of_the_host("theirs"):
        pod.batch(
            f"link set {lent.name} nomaster",
            f"link set {lent.name} down name theirs",
            f"link property add dev theirs altname {lent.name}",
            f"link add sb-{hashlib.sha256(b'theirs').hexdigest()[:12]} type dummy",
        )

        runtime.delete(lent.config).ok()

    assert _still(home_link(lent.name)) == _still(lent.was)


@pytest.mark.usefixtures("at_home")
@pytest.mark.parametrize("kind", ["bridge", "bond"])
def test_a_link_of_the_host_comes_home_out_of_an_interface_of_the_pods(
    runtime: Runtime, pod: Pod, tmp_path: Path, kind: str
) -> None:
    config = a_config(links=LINKS, linksInContainer=False)
    before = look(tmp_path)
    runtime.add(config).ok()
    pod.batch(
        f"link add own0 type {kind}",
        "link set home1 nomaster",
        "link set home1 down address 02:00:00:00:0e:01",
        "link set home1 master own0",
    )

    runtime.delete(config).ok()

    assert worlds.differences(before, look(tmp_path)) == []


@pytest.mark.vf
def test_a_vf_of_the_host_comes_home_out_of_a_bridge_of_the_pods(
    runtime: Runtime, lent: Lent, pod: Pod
) -> None:
    pod.batch(
        "link add br0 type bridge",
        f"link set {lent.name} nomaster",
        f"link set {lent.name} down name own0 address 02:00:00:00:0e:01 mtu 1400",
        "link set own0 master br0 up",
    )

    runtime.delete(lent.config).ok()

    assert _still(home_link(lent.name)) == _still(lent.was)


def test_the_pods_namespace_must_not_be_the_hosts(runtime: Runtime) -> None:
    reply = runtime.add(a_config(), CNI_NETNS="/proc/self/ns/net")

    assert reply.code == 8


def test_two_pods_have_links_of_one_name(runtime: Runtime, pod: Pod) -> None:
    with a_pod() as other:
        for one in (pod, other):
            one.batch(*(f"link add {name} type dummy" for name in NAMES))

        runtime.add(a_config(links=LINKS)).ok()
        replace(runtime, pod=other).add(a_config(links=LINKS)).ok()

        assert pod.bond() is not None
        assert other.bond() is not None
