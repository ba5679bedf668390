"""Host links belong to the node: no network definition can take the ones that it uses."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from deviceinfo import Sandbox
from sriovbond.bond.config import parse_config
from sriovbond.cli import explanation, sriovbond
from sriovbond.dispatch import REFUSED
from sriovbond.happenings.happening import HappeningKind
from sriovbond.upkeep import examination
from sriovbond.upkeep.repair import Repairs
from tests.support import kubelet as kubelets
from tests.support import netdevsim, wire
from tests.support import pf as pfs
from tests.support.agents import an_agent
from tests.support.calls import Runtime, a_config
from tests.support.kubelet import Kubelet
from tests.support.lending import lend, write
from tests.support.pods import Pod, a_pod, batch, ip
from tests.support.refusals import refused
from tests.support.shims import Shim
from tests.support.thick import Thick
from tests.vm import rig as rigs

NIC, OTHER = "nic1", "nic2"
ALT = "nic-of-the-rack"
LINKS = [{"name": NIC}, {"name": OTHER}]
ASKS: dict[str, dict[str, object]] = {
    "names alone": {"links": LINKS},
    "names on the host": {"links": LINKS, "linksInContainer": False},
    "pattern": {"links": [{"name": "nic*"}], "linksInContainer": False},
    "altname": {"links": [{"name": ALT}, {"name": OTHER}]},
    "without warnings": {"links": LINKS, "policy": "warn"},
}
KUBERNETES = {"CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=nf1"}


@pytest.fixture(autouse=True)
def nics() -> Iterator[None]:
    """Two host interfaces, up, with the kernel's own addresses only."""
    batch(
        f"link add {NIC} address 02:00:00:00:0a:01 type dummy",
        f"link add {OTHER} address 02:00:00:00:0a:02 type dummy",
        f"link property add dev {NIC} altname {ALT}",
        f"link set {NIC} up",
        f"link set {OTHER} up",
    )
    yield
    for name in (NIC, OTHER):
        ip(f"link del {name}", check=False)


@pytest.fixture
def held() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def against(runtime: Runtime, folder: Path, **keys: object) -> str:
    """Return the text of a refusal before any change, without the line to write."""
    reply = refused(runtime, folder, a_config(**keys))
    assert reply.code == REFUSED, reply.msg
    assert "[host-links-not-allowed]" in reply.msg
    return reply.msg


@pytest.mark.parametrize("asked", ASKS)
def test_unused_links_are_lent_however_they_are_requested(
    runtime: Runtime, pod: Pod, asked: str
) -> None:
    config = a_config(**ASKS[asked])

    runtime.add(config).ok()

    assert {one.name for one in pod.the_bond().members} == {NIC, OTHER}
    runtime.delete(config).ok()
    assert ip(f"-j link show {ALT}")[0]["ifname"] == NIC


@pytest.mark.parametrize("asked", ASKS)
def test_a_link_with_the_nodes_address_is_kept_however_it_is_requested(
    runtime: Runtime, tmp_path: Path, asked: str
) -> None:
    ip(f"addr add 203.0.113.1/28 dev {NIC}")

    words = against(runtime, tmp_path, **ASKS[asked])

    assert f"{NIC}: it has 203.0.113.1/28; " in words
    assert f'write host_links = ["{NIC}"] into /etc/sriovbond/node.toml' in words


Arrange = Callable[[ExitStack], None]


def lines(*given: str) -> Arrange:
    return lambda _: batch(*given)


def in_another_namespace(*given: str) -> Arrange:
    def arrange(held: ExitStack) -> None:
        other = held.enter_context(a_pod("other"))
        batch(*(line.format(other=other.name) for line in given))

    return arrange


USED: dict[str, tuple[Arrange, str]] = {
    "route": (lines(f"route add 198.51.100.0/24 dev {NIC}"), "it has route 198.51.100.0/24"),
    "default route": (lines(f"route add default dev {NIC} metric 4000"), "it has route default"),
    "IPv6": (lines(f"addr add 2001:db8:7::1/64 dev {NIC} nodad"), "it has 2001:db8:7::1/64"),
    "link-local of somebody": (
        lines(f"addr add fe80::77:1/64 dev {NIC} nodad"),
        "it has fe80::77:1/64",
    ),
    "VLAN": (lines(f"link add link {NIC} name {NIC}.7 type vlan id 7"), f"it carries {NIC}.7"),
    "bridge": (lines("link add br7 type bridge", f"link set {NIC} master br7"), "it is in br7"),
    "VRF": (
        lines("link add vrf7 type vrf table 7", f"link set {NIC} master vrf7"),
        "it is in vrf7",
    ),
    "macvlan of a pod": (
        in_another_namespace(
            "link add hostside type veth peer name eth0 netns {other}",  # as each pod has one
            f"link add link {NIC} name mv0 netns {{other}} type macvlan",
        ),
        "macvlan mv0 in another namespace is on top of it",
    ),
    "VLAN of a pod": (
        in_another_namespace(
            f"link add link {NIC} name v7 type vlan id 7", "link set v7 netns {other}"
        ),
        "vlan v7 in another namespace is on top of it",
    ),
    "veth of a pod": (
        in_another_namespace(
            f"link del {NIC}", f"link add {NIC} type veth peer name eth0 netns {{other}}"
        ),
        "veth eth0 in another namespace is on top of it",
    ),
    "tunnel": (
        lines(f"link del {NIC}", f"link add {NIC} type vxlan id 7 dstport 4789 dev {OTHER}"),
        "it is an interface of kind vxlan",
    ),
}


@pytest.mark.parametrize("use", USED)
def test_a_link_that_the_node_or_another_pod_uses_is_kept(
    runtime: Runtime, held: ExitStack, tmp_path: Path, use: str
) -> None:
    arrange, why = USED[use]
    for name in ("br7", "vrf7"):
        held.callback(ip, f"link del {name}", check=False)
    arrange(held)

    assert f"{NIC}: {why}" in against(runtime, tmp_path, links=LINKS, policy="warn")


def test_a_pod_of_another_namespace_without_such_links_keeps_nothing(
    runtime: Runtime, held: ExitStack, pod: Pod
) -> None:
    """Indices are per namespace: a pod's VLAN over its own link says nothing about ours."""
    other = held.enter_context(a_pod("other"))
    index = ip(f"-j link show {NIC}")[0]["ifindex"]
    other.batch(
        f"link add own1 index {index} type dummy",
        "link add link own1 name own1.7 type vlan id 7",
    )
    third = held.enter_context(a_pod("third"))
    other.ip(f"link set own1.7 netns {third.name}")

    runtime.add(a_config(links=LINKS)).ok()

    assert pod.the_bond().members


@pytest.mark.parametrize("asked", ASKS)
def test_a_node_that_lends_none_keeps_all(runtime: Runtime, tmp_path: Path, asked: str) -> None:
    write(runtime.host.node_file, 'host_links = "none"\n')

    assert f"{NIC}: the node lends none" in against(runtime, tmp_path, **ASKS[asked])


def test_a_link_that_the_node_names_is_lent_with_its_addresses_and_no_other(
    runtime: Runtime, pod: Pod, tmp_path: Path
) -> None:
    ip(f"addr add 203.0.113.1/28 dev {NIC}")
    lend(runtime.host, NIC)

    words = against(runtime, tmp_path, links=LINKS)
    lend(runtime.host, NIC, "nic[2-9]")
    runtime.add(a_config(links=LINKS)).ok()

    assert f"{OTHER}: the node lends {NIC}; " in words
    assert f'write host_links = ["{NIC}", "{OTHER}"] into' in words
    assert {one.name for one in pod.the_bond().members} == {NIC, OTHER}
    runtime.delete(a_config(links=LINKS)).ok()
    assert "203.0.113.1/28" in str(ip(f"addr show {NIC}"))


def test_an_altname_does_not_make_a_link_another(runtime: Runtime, tmp_path: Path) -> None:
    """A former pod of the link may have given it that name."""
    lend(runtime.host, ALT, OTHER)

    assert f"{NIC}: the node lends {ALT}" in against(runtime, tmp_path, links=LINKS)


@pytest.mark.parametrize("content", ["host_links = 7\n", "host_link = []\n", "["], ids=str)
def test_a_file_that_cannot_be_read_lends_nothing(
    runtime: Runtime, tmp_path: Path, content: str
) -> None:
    write(runtime.host.node_file, content)

    words = against(runtime, tmp_path, links=LINKS)

    assert "/etc/sriovbond/node.toml cannot be used: " in words
    assert "correct /etc/sriovbond/node.toml on the node" in words


def test_a_link_that_the_node_comes_to_use_in_the_last_moment_is_kept(
    runtime: Runtime, pod: Pod
) -> None:
    with wire.before("make the bond bond0", lambda: ip(f"addr add 203.0.113.1/28 dev {NIC}")):
        reply = runtime.add(a_config(links=LINKS))

    assert (reply.code, "[host-links-not-allowed]" in reply.msg) == (REFUSED, True)
    assert "203.0.113.1/28" in str(ip(f"addr show {NIC}"))
    assert pod.bond() is None


def test_a_bond_over_links_of_the_pod_does_not_query_the_node(runtime: Runtime, pod: Pod) -> None:
    write(runtime.host.node_file, "[")
    pod.batch(f"link add {NIC} type dummy", f"link add {OTHER} type dummy")

    with wire.watched() as requests:
        runtime.add(a_config(links=LINKS)).ok()

    assert not [one for one in requests if "number" in one.doing]


@pytest.mark.parametrize("missing", [NIC, OTHER])
def test_a_pod_that_has_one_of_the_names_is_meant_whatever_strays_the_host_has(
    runtime: Runtime, pod: Pod, missing: str
) -> None:
    pod.ip(f"link add {OTHER if missing == NIC else NIC} type dummy")

    with wire.watched() as seen:
        reply = runtime.add(a_config(links=LINKS))

    assert reply.code == 7
    assert f"cannot find {missing!r} of `links` in the pod" in reply.msg
    assert f"the host has {missing}, which is not taken: others of `links` are in" in reply.msg
    assert not any(request.changes for request in seen)


def test_requesting_host_links_is_reported_and_strict_does_not_refuse_it(
    runtime: Runtime, capfd: pytest.CaptureFixture[str]
) -> None:
    keys = {"links": LINKS, "linksInContainer": False, "redundancy": "off", "policy": "strict"}

    runtime.add(a_config(**keys)).ok()

    assert "rule=host-links-asked-for" in capfd.readouterr().err


def test_explain_says_why_a_link_is_kept(runtime: Runtime, pod: Pod) -> None:
    ip(f"addr add 203.0.113.1/28 dev {NIC}")
    ref = explanation.find_sandbox(runtime.host, Sandbox(netns=pod.path))

    told = explanation.explain(runtime.host, ref, parse_config(a_config(links=LINKS)), "sriovbond")

    assert f"{NIC}: it has 203.0.113.1/28" in told.outcome[-1]
    assert "[host-links-not-allowed]" in told.outcome[-1]


def test_explain_in_a_container_goes_by_the_nodes_file_below_the_hosts_root(
    pod: Pod, tmp_path: Path
) -> None:
    write(tmp_path / "etc/sriovbond/node.toml", 'host_links = "none"\n')
    config = tmp_path / "net.conf"
    config.write_text(json.dumps(a_config(links=LINKS)))
    words = ["explain", "--netns", pod.path, "--config", str(config)]

    done = CliRunner().invoke(sriovbond, words, env={"SRIOVBOND_AGENT_HOST_ROOT": str(tmp_path)})

    assert done.exit_code == 0, done.output
    assert "the node lends none" in " ".join(done.output.split())


# ---- altnames of a link's former uses


def test_altnames_that_the_pod_needs_are_taken_off_meanwhile(runtime: Runtime, pod: Pod) -> None:
    pod.ip("link add net1 type dummy")
    batch(
        f"link property add dev {NIC} altname net1",
        f"link property add dev {OTHER} altname bond0",
    )
    config = a_config(links=LINKS, linksInContainer=False)

    runtime.add(config).ok()
    assert {one.name for one in pod.the_bond().members} == {NIC, OTHER}
    runtime.delete(config).ok()

    assert set(ip(f"-j link show {NIC}")[0]["altnames"]) == {ALT, "net1"}
    assert ip(f"-j link show {OTHER}")[0]["altnames"] == ["bond0"]


# ---- VFs


@pytest.mark.vf
def test_a_pf_that_has_vfs_is_kept(runtime: Runtime, rig: rigs.Layout, tmp_path: Path) -> None:
    pf = rig.pfs[2]
    keys = {"links": [{"pci": pf.pci}], "linksInContainer": False, "minMembers": 1}

    words = against(runtime, tmp_path, **keys)

    assert f"{pf.name} ({pf.pci}): VFs or sub-functions are made of it" in words


@pytest.mark.netdevsim
def test_a_simulated_pf_that_has_vfs_is_kept(runtime: Runtime, tmp_path: Path) -> None:
    with netdevsim.a_nic() as nic:
        keys = {"links": [{"name": nic.pf}], "linksInContainer": False, "minMembers": 1}

        assert "VFs or sub-functions are made of it" in against(runtime, tmp_path, **keys)


@pytest.fixture(scope="module")
def kubelet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubelet]:
    with kubelets.running(tmp_path_factory.mktemp("k")) as running:
        yield running


@pytest.fixture
def on_kubernetes(runtime: Runtime, kubelet: Kubelet) -> Runtime:
    """A pod named by Kubernetes, on a node whose kubelet lists it."""
    kubelet.serve(kubelets.a_pod("nf1"))
    places = replace(runtime.host.places, pod_resources=kubelet.socket)
    return replace(runtime, host=replace(runtime.host, places=places), environment=KUBERNETES)


def vf_keys(vfs: rigs.Layout) -> dict[str, object]:
    links = [{"pci": pf.vfs[1].pci} for pf in vfs.pfs[:2]]
    return {"links": links, "linksInContainer": False}


@pytest.mark.vf
def test_a_vf_of_a_device_plugin_is_kept_by_every_name(
    on_kubernetes: Runtime, kubelet: Kubelet, vfs: rigs.Layout, tmp_path: Path
) -> None:
    vf, other = vfs.pfs[0].vfs[1], vfs.pfs[1].vfs[1]
    kubelet.serve(kubelets.a_pod("nf1"), offered={"pf0": [vf.pci]})
    lend(on_kubernetes.host, "pf*")

    by_address = against(on_kubernetes, tmp_path, **vf_keys(vfs))
    by_name = against(on_kubernetes, tmp_path, links=[{"name": vf.name}, {"name": other.name}])

    for words in (by_address, by_name):
        assert "the device plugin of example.com/pf0 has it, and kubelet did not give it" in words
        assert f'write host_links = ["pf*", "{vf.pci}"] into' in words


@pytest.mark.vf
@pytest.mark.parametrize("who", ["kubelet gave it", "the node names it", "no plugin has it"])
def test_a_vf_is_lent_where(
    on_kubernetes: Runtime, kubelet: Kubelet, vfs: rigs.Layout, pod: Pod, who: str
) -> None:
    addresses = [pf.vfs[1].pci for pf in vfs.pfs[:2]]
    given: dict[str, Any] = {"pf0": addresses} if who == "kubelet gave it" else {}
    offered = {} if who == "no plugin has it" else {"pf0": addresses}
    kubelet.serve(kubelets.a_pod("nf1", kubelets.a_container(**given)), offered=offered)
    if who == "the node names it":
        lend(on_kubernetes.host, *addresses)

    on_kubernetes.add(a_config(**vf_keys(vfs))).ok()

    assert len(pod.the_bond().members) == 2
    assert "GetAllocatableResources" in kubelet.methods()
    on_kubernetes.delete(a_config(**vf_keys(vfs))).ok()


@pytest.mark.vf
def test_a_vf_of_unknown_owner_is_kept_from_pods_of_kubernetes(
    runtime: Runtime, vfs: rigs.Layout, tmp_path: Path
) -> None:
    named = replace(runtime, environment=KUBERNETES)

    words = against(named, tmp_path, **vf_keys(vfs))
    runtime.add(a_config(**vf_keys(vfs))).ok()

    assert "it is a VF, and neither kubelet nor its checkpoint reports its owner" in words
    runtime.delete(a_config(**vf_keys(vfs))).ok()


@pytest.mark.vf
def test_a_link_that_came_back_and_that_the_node_uses_now_is_not_taken_again(
    runtime: Runtime, vfs: rigs.Layout, pod: Pod
) -> None:
    runtime.add(a_config(**vf_keys(vfs))).ok()
    name = pfs.rebind(vfs.pfs[0].vfs[1])
    ip(f"addr add 203.0.113.1/28 dev {name}")

    found = examination.examine(runtime.host, pod.key(), Repairs(), examination.no_doubt)
    left = ip(f"-4 -j addr show {name}")
    ip(f"addr flush dev {name}")
    again = examination.examine(runtime.host, pod.key(), Repairs(), examination.no_doubt)

    assert [one.kind for one in found.notes] == [HappeningKind.REPAIR_REFUSED], found
    assert f"{name} " in found.notes[0].text
    assert "it has 203.0.113.1/28" in found.notes[0].text
    assert "[host-links-not-allowed]" in found.notes[0].text
    assert left[0]["addr_info"][0]["local"] == "203.0.113.1"
    assert [one.kind for one in again.notes] == [HappeningKind.REPAIRED], again
    assert len(pod.the_bond().members) == 2
    runtime.delete(a_config(**vf_keys(vfs))).ok()


@pytest.mark.vf
def test_the_checkpoint_has_device_plugins_where_kubelet_is_missing(
    runtime: Runtime, vfs: rigs.Layout, tmp_path: Path
) -> None:
    checkpoint = runtime.host.places.checkpoint
    checkpoint.parent.mkdir(parents=True)
    registered = {"example.com/pf0": [vfs.pfs[0].vfs[1].pci]}
    checkpoint.write_text(json.dumps({"Data": {"RegisteredDevices": registered}, "Checksum": 1}))

    words = against(replace(runtime, environment=KUBERNETES), tmp_path, **vf_keys(vfs))

    assert words.count("the device plugin of example.com/pf0 has it") == 1
    assert "reports its owner" not in words


@pytest.mark.vf
def test_the_standalone_document_of_flannel_works_with_dedicated_nics(
    on_kubernetes: Runtime, vfs: rigs.Layout, pod: Pod
) -> None:
    first, second = vfs.pfs[0].vfs[1].name, vfs.pfs[1].vfs[1].name
    batch(f"link set {first} name ens3f2", f"link set {second} name ens3f2d1")
    delegate = a_config(
        mode="active-backup",
        miimon="100",
        failOverMac=1,
        links=[{"name": "ens3f2"}, {"name": "ens3f2d1"}],
    )
    try:
        on_kubernetes.add(delegate).ok()
        assert {one.name for one in pod.the_bond().members} == {"ens3f2", "ens3f2d1"}
        on_kubernetes.delete(delegate).ok()
    finally:
        batch("link set ens3f2 down", "link set ens3f2d1 down")
        batch(f"link set ens3f2 name {first}", f"link set ens3f2d1 name {second}")


def test_an_agent_in_a_container_reads_the_nodes_file_below_the_hosts_root(
    shim: Shim, pod: Pod
) -> None:
    file = shim.home / "host/etc/sriovbond/node.toml"
    write(file, 'host_links = "none"\n')
    thick, config = Thick(shim, pod), a_config(links=LINKS)

    with an_agent(shim, host_root=shim.home / "host"):
        kept = thick.call("ADD", config)
        write(file, f'host_links = ["{NIC}", "{OTHER}"]\n')
        lent = thick.call("ADD", config)
        bonded = {one.name for one in pod.the_bond().members}
        gone = thick.call("DEL", config)

    assert (kept.code, "[host-links-not-allowed]" in kept.stdout) == (REFUSED, True)
    assert (lent.status, gone.status, bonded) == (0, 0, {NIC, OTHER})
