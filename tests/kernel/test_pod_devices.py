"""Which VFs are the pod's: from real files and a real gRPC kubelet, over real VFs."""

import base64
import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sriovbond import records
from sriovbond.bond.config import parse_config
from sriovbond.cli import explain, explanation, sriovbond
from sriovbond.cni.attachment import Attachment
from sriovbond.dispatch import REFUSED
from sriovbond.host import Host
from tests.support import kubelet as kubelets
from tests.support import movers, node
from tests.support.calls import Reply, Runtime, a_config
from tests.support.kubelet import Kubelet, a_container
from tests.support.pods import Pod
from tests.support.refusals import refused
from tests.vm import rig as rigs

pytestmark = pytest.mark.vf

SOURCES = {
    "kubelet": "kubelet",
    "checkpoint": "kubelet's checkpoint",
    "sriov_cni": "SR-IOV CNI's cache",
    "devinfo_cni": "device-info",
    "multus": "Multus",
    "multus_results": "libcni's results",
}


@pytest.fixture(scope="module")
def kubelet() -> Iterator[Kubelet]:
    with (
        tempfile.TemporaryDirectory(prefix="k") as folder,
        kubelets.running(Path(folder)) as server,
    ):
        yield server


@dataclass(frozen=True, slots=True)
class SriovPod:
    """A pod with real VFs as net1, net2 ..., and its node's files."""

    pod: Pod
    known: node.Pod
    root: node.Node
    kubelet: Kubelet
    host: Host

    @property
    def container_id(self) -> str:
        return self.known.sandbox.container_id

    @property
    def key(self) -> str:
        return Attachment(self.container_id, "bond0").key

    @property
    def runtime(self) -> Runtime:
        ref = self.known.sandbox.pod
        args = f"K8S_POD_NAMESPACE={ref.namespace};K8S_POD_NAME={ref.name};K8S_POD_UID={ref.uid}"
        environment = {"CNI_CONTAINERID": self.container_id, "CNI_ARGS": f"IgnoreUnknown=1;{args}"}
        return Runtime(self.host, self.pod, environment=environment)

    def told_by(self, *sources: str) -> None:
        """Leave the node only these sources."""
        kept = {getattr(self.root, name) for name in sources if name != "kubelet"}
        for name in SOURCES:
            path = None if name == "kubelet" else getattr(self.root, name)
            if path and path not in kept and path.exists():
                path.unlink() if path.is_file() else _empty(path, kept)
        shutil.rmtree(self.root.devinfo_dp)
        if "kubelet" not in sources:
            self.kubelet.serve(get="unimplemented")

    def sources(self) -> set[tuple[str, ...]]:
        """Return the sources that list each member as the pod's."""
        record = records.read(self.host, self.key)
        assert record is not None
        assert record.plan is not None
        return {member.allocation.sources for member in record.plan.members}


def _empty(folder: Path, kept: set[Path]) -> None:
    for path in folder.iterdir():
        if path not in kept:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


MakePod = Callable[..., SriovPod]


@pytest.fixture
def make_pod(kubelet: Kubelet, vfs: rigs.Layout, pod: Pod, host: Host, tmp_path: Path) -> MakePod:
    """Return a function that moves VFs of PFs, by number, to the pod: example.com/pfN."""

    def make_pod(*pfs: int) -> SriovPod:
        used: dict[int, int] = {}
        chosen = []
        for number, pf in enumerate(pfs, 1):
            vf = vfs.pfs[pf].vfs[used.setdefault(pf, 0)]
            used[pf] += 1
            pod.give(vf.name, f"net{number}")
            chosen.append(node.Vf(vf.pci, f"example.com/pf{pf}", f"sriov-{number}"))
        known = node.Pod("nf1", tuple(chosen))
        root = node.a_node(tmp_path / "node", [known])
        kubelet.serve(pod_of(known))
        places = replace(root.places, pod_resources=kubelet.socket)
        return SriovPod(pod, known, root, kubelet, replace(host, places=places))

    return make_pod


def pod_of(known: node.Pod) -> kubelets.Json:
    """Return kubelet's entry of a pod."""
    by_resource: dict[str, Any] = {}
    for vf in known.vfs:
        by_resource.setdefault(vf.resource.partition("/")[2], []).append(vf.address)
    return kubelets.a_pod(known.name, a_container(**by_resource), namespace=known.namespace)


def members(pod: Pod, name: str = "bond0") -> list[str]:
    state = pod.bond(name)
    assert state is not None
    return sorted(member.name for member in state.members)


@pytest.mark.parametrize("source", SOURCES)
def test_one_source_is_enough(make_pod: MakePod, source: str) -> None:
    nf1 = make_pod(0, 1)
    nf1.told_by(source)

    nf1.runtime.add(a_config()).ok()

    assert members(nf1.pod) == ["net1", "net2"]
    assert nf1.sources() == {(SOURCES[source],)}


def test_all_sources_agree_on_a_node_where_all_is_well(
    make_pod: MakePod, capfd: pytest.CaptureFixture[str]
) -> None:
    nf1 = make_pod(0, 1)

    nf1.runtime.add(a_config()).ok()

    assert nf1.sources() == {tuple(SOURCES.values())}
    assert nf1.kubelet.methods() == ["Get"]
    assert "level=warning" not in capfd.readouterr().err


def test_without_any_source_the_namespace_is_enough_and_that_is_logged(
    make_pod: MakePod, capfd: pytest.CaptureFixture[str]
) -> None:
    nf1 = make_pod(0, 1)
    nf1.told_by()

    nf1.runtime.add(a_config()).ok()

    assert members(nf1.pod) == ["net1", "net2"]
    assert nf1.sources() == {()}
    (line,) = (one for one in capfd.readouterr().err.splitlines() if "msg=added" in one)
    assert re.search(r" members=net1@[0-9a-f:.]{12},net2@[0-9a-f:.]{12} ", line)
    assert " sources=none" in line


def test_two_bonds_of_a_pod_take_the_links_that_they_select(make_pod: MakePod) -> None:
    nf1 = make_pod(0, 1, 0, 1)
    first = a_config(links=[{"network": "sriov-1"}, {"network": "default/sriov-2"}])
    second = a_config(links=[{"resource": "example.com/*", "name": "net[34]"}])
    other = replace(nf1.runtime, ifname="bond1")

    nf1.runtime.add(first).ok()
    other.add(second).ok()

    assert members(nf1.pod) == ["net1", "net2"]
    assert members(nf1.pod, "bond1") == ["net3", "net4"]
    other.delete(second).ok()
    nf1.runtime.delete(first).ok()


@pytest.mark.parametrize(
    ("links", "chosen"),
    [
        ([{"resource": "example.com/pf1"}, {"pf": "pf0"}], ["net2", "net4", "net1", "net3"]),
        ([{"pf": "pf*", "network": "*-[12]"}], ["net1", "net2"]),
        ("auto", ["net1", "net2", "net3", "net4"]),
    ],
    ids=str,
)
def test_members_are_in_the_order_of_the_entries(
    make_pod: MakePod, links: object, chosen: list[str]
) -> None:
    nf1 = make_pod(0, 1, 0, 1)

    nf1.runtime.add(a_config(links=links)).ok()

    record = records.read(nf1.host, nf1.key)
    assert record is not None
    assert record.plan is not None
    assert [member.name for member in record.plan.members] == chosen
    assert members(nf1.pod) == sorted(chosen)


def test_three_vfs_of_three_pfs_are_one_bond(make_pod: MakePod) -> None:
    nf1 = make_pod(0, 1, 2)

    nf1.runtime.add(a_config(redundancy="require", minMembers=3, policy="strict")).ok()

    assert members(nf1.pod) == ["net1", "net2", "net3"]


def refusal(nf1: SriovPod, tmp_path: Path, **keys: object) -> str:
    """Return the text of an ADD that was refused before any change."""
    reply: Reply = refused(nf1.runtime, tmp_path, a_config(**keys))
    assert reply.code == REFUSED
    return reply.msg


def test_an_entry_without_a_match_is_reported_with_every_device(
    make_pod: MakePod, tmp_path: Path
) -> None:
    nf1 = make_pod(0, 1)

    words = refusal(nf1, tmp_path, links=[{"pf": "pf*"}, {"resource": "example.com/pf2"}])

    assert "`links`.1 asks for, resource 'example.com/pf2'" in words
    for number, vf in enumerate(nf1.known.vfs):
        assert f"net{number + 1} (VF 0 of pf{number}, {vf.address}): taken" in words


def test_two_bonds_that_leave_the_choice_are_refused_at_the_first(
    make_pod: MakePod, tmp_path: Path
) -> None:
    nf1 = make_pod(0, 1)
    scratch = nf1.root.multus / nf1.container_id
    networks = json.loads(scratch.read_text())
    scratch.write_text(json.dumps([*networks, {**networks[-1], "ifnameRequest": "bond1"}]))

    words = refusal(nf1, tmp_path)

    assert "the bonds default/bond@bond0 and default/bond@bond1 of this pod" in words
    assert "[auto-twice]" in words


def test_a_bond_that_is_listed_before_its_vfs_is_reported(
    make_pod: MakePod, tmp_path: Path
) -> None:
    nf1 = make_pod(0)
    scratch = nf1.root.multus / nf1.container_id
    eth0, first, bond = json.loads(scratch.read_text())
    late = {**first, "Name": "default/sriov-2", "deviceID": "0000:09:10.0"}
    scratch.write_text(json.dumps([eth0, first, {**bond, "Name": "default/test-bond"}, late]))

    words = refusal(nf1, tmp_path, name="bond")

    assert "the pod lists default/sriov-2 after the bond: list the bond last" in words


@pytest.fixture
def held() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def give_dpdk(nf1: SriovPod, held: ExitStack, vfs: rigs.Layout) -> rigs.Vf:
    """Have the kubelet serve a VF more, which is bound to vfio-pci."""
    vf = vfs.pfs[2].vfs[0]
    held.enter_context(movers.bound_to_vfio(vf))
    dpdk = node.Vf(vf.pci, "example.com/dpdk", "dpdk")
    nf1.kubelet.serve(pod_of(replace(nf1.known, vfs=(*nf1.known.vfs, dpdk))))
    return vf


def test_a_vf_on_vfio_is_refused_by_all_that_is_known_of_it(
    make_pod: MakePod, held: ExitStack, vfs: rigs.Layout, tmp_path: Path
) -> None:
    nf1 = make_pod(0, 1)
    vf = give_dpdk(nf1, held, vfs)

    words = refusal(nf1, tmp_path)
    nf1.runtime.add(a_config(links=[{"resource": "example.com/pf*"}])).ok()

    assert "cannot bond the VFs of the pod default/nf1" in words
    assert f"{vf.pci} (container app, resource example.com/dpdk) is bound to vfio-pci" in words
    assert "is bound to vfio-pci, as kubelet" in words
    assert "[userspace-driver]" in words
    assert members(nf1.pod) == ["net1", "net2"]


def test_a_vf_that_kubelet_gave_to_another_pod_only_is_refused(
    make_pod: MakePod, tmp_path: Path
) -> None:
    nf1 = make_pod(0, 1, 2)  # SR-IOV CNI, Multus and libcni list all three as ours
    ours, theirs = nf1.known.vfs[:2], nf1.known.vfs[2:]
    nf1.root.checkpoint.unlink()
    nf1.kubelet.serve(
        pod_of(replace(nf1.known, vfs=ours)), pod_of(node.Pod("nf2", theirs, "other"))
    )

    words = refusal(nf1, tmp_path)

    assert f"net3 (VF 0 of pf2, {theirs[0].address}) is in this pod but was given to" in words
    assert "other/nf2 (kubelet)" in words
    assert nf1.kubelet.methods() == ["Get", "List"]


def test_a_vf_that_two_pods_claim_is_ours_and_the_other_claim_is_reported(
    make_pod: MakePod, capfd: pytest.CaptureFixture[str]
) -> None:
    nf1 = make_pod(0, 1)
    ended = node.Pod("nf1-old", nf1.known.vfs[:1])
    nf1.kubelet.serve(pod_of(nf1.known), pod_of(ended), get="disabled")

    nf1.runtime.add(a_config()).ok()

    assert members(nf1.pod) == ["net1", "net2"]
    address = nf1.known.vfs[0].address
    assert f"kubelet says that default/nf1-old was given {address}, too" in capfd.readouterr().err


def test_sources_that_contradict_each_other_are_reported_and_no_more(
    make_pod: MakePod, capfd: pytest.CaptureFixture[str]
) -> None:
    nf1 = make_pod(0, 1)
    swapped = tuple(
        replace(vf, address=other.address)
        for vf, other in zip(nf1.known.vfs, reversed(nf1.known.vfs), strict=True)
    )
    nf1.kubelet.serve(pod_of(replace(nf1.known, vfs=swapped)))

    nf1.runtime.add(a_config()).ok()

    first, second = nf1.known.vfs
    assert (
        f"the sources disagree about {first.address}: resource is {second.resource}, says kubelet; "
        f"{first.resource}, says kubelet's checkpoint" in capfd.readouterr().err
    )


def test_a_kubelet_that_hangs_costs_its_own_time_only(
    make_pod: MakePod, note: Callable[[str], None], capfd: pytest.CaptureFixture[str]
) -> None:
    nf1 = make_pod(0, 1)
    nf1.kubelet.serve(pod_of(nf1.known), delay_s=60)

    runtime = replace(nf1.runtime, host=replace(nf1.host, kubelet_timeout_s=2.0))

    started = time.monotonic()
    runtime.add(a_config()).ok()
    took = time.monotonic() - started

    assert members(nf1.pod) == ["net1", "net2"]
    assert "kubelet" in capfd.readouterr().err
    assert took < 30  # of the 60 s for which it hangs
    note(f"ADD over VFs beside a kubelet that hangs: {took:.1f} s")


def test_explain_shows_each_sources_statements_and_the_devices_taken(
    make_pod: MakePod, held: ExitStack, vfs: rigs.Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    nf1 = make_pod(0, 1)
    vf = give_dpdk(nf1, held, vfs)
    sandbox = replace(nf1.known.sandbox, netns=nf1.pod.path)

    explained = explanation.explain(nf1.host, sandbox, parse_config(a_config()), "sriovbond")
    explain.print_json(explained)

    shown = json.loads(capsys.readouterr().out)
    verdicts = {verdict["device"]: verdict for verdict in shown["verdicts"]}
    assert [verdicts[known.address]["taken"] for known in nf1.known.vfs] == [True, True]
    assert verdicts[vf.pci]["rule"] == "userspace-driver"
    devices = {device["id"]["address"]: device for device in shown["devices"]}
    statements = devices[nf1.known.vfs[0].address]["statements"]
    assert {statement["source"] for statement in statements} == {
        *SOURCES.values(),
        "sysfs",
        "the pod's namespace",
    }
    assert "vfio-pci" in shown["outcome"][0]

    nf1.runtime.add(a_config(links=[{"resource": "example.com/pf*"}])).ok()
    after = explanation.explain(nf1.host, sandbox, parse_config(a_config()), "sriovbond")
    assert after.outcome[0].startswith("the pod has bond0 over net1, net2")
    assert [one.is_taken for one in after.verdicts if one.subject.device != vf.pci] == [True, True]


OWN = "198.51.100.7/24"


def asking_for_ipam(nf1: SriovPod, ifname: str) -> None:
    """Add IPAM to the pod's network of that interface."""
    scratch = nf1.root.multus / nf1.container_id
    networks = json.loads(scratch.read_text())
    one = networks[int(ifname.removeprefix("net"))]
    config = json.loads(base64.b64decode(one["Bytes"]))
    one["Bytes"] = base64.b64encode(
        json.dumps({**config, "ipam": {"type": "static"}}).encode()
    ).decode()
    scratch.write_text(json.dumps(networks))


@pytest.mark.parametrize("told_by", ["its address", "its network"])
def test_a_vf_in_use_is_skipped(make_pod: MakePod, told_by: str) -> None:
    nf1 = make_pod(0, 1, 2)
    if told_by == "its address":
        nf1.pod.ip(f"addr add {OWN} dev net3")
    else:
        asking_for_ipam(nf1, "net3")

    nf1.runtime.add(a_config(policy="strict")).ok()

    assert members(nf1.pod) == ["net1", "net2"]
    if told_by == "its address":
        assert OWN in str(nf1.pod.ip("addr show net3"))


def test_a_vf_with_an_address_is_bonded_where_others_are_too_few_and_that_is_logged(
    make_pod: MakePod, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    nf1 = make_pod(0, 1)
    nf1.pod.ip(f"addr add {OWN} dev net2")

    words = refusal(nf1, tmp_path, policy="strict")
    nf1.runtime.add(a_config()).ok()

    assert "[member-address-taken-off]" in words
    assert members(nf1.pod) == ["net1", "net2"]
    said = capfd.readouterr().err
    assert "rule=member-address-taken-off" in said
    (line,) = (one for one in said.splitlines() if "taken off net2 (VF 0 of pf1" in one)
    assert "level=warning" in line
    assert OWN in line


def test_a_vf_with_an_rdma_device_is_reported_and_strict_does_not_refuse_it(
    make_pod: MakePod, capfd: pytest.CaptureFixture[str]
) -> None:
    nf1 = make_pod(0, 1)
    (file,) = nf1.root.devinfo_dp.glob(f"*{nf1.known.vfs[0].address}*")
    info = json.loads(file.read_text())
    info["pci"]["rdma-device"] = "mlx5_2"
    file.write_text(json.dumps(info))

    nf1.runtime.add(a_config(policy="strict")).ok()

    said = capfd.readouterr().err
    assert "was given with the RDMA device mlx5_2" in said
    assert "rule=member-used-past-kernel" in said


def test_the_command_line_explains_an_unknown_namespace(
    make_pod: MakePod,
) -> None:
    nf1 = make_pod(0, 1)

    done = CliRunner().invoke(sriovbond, ["explain", "--netns", nf1.pod.path])

    assert done.exit_code == 0, done.output
    assert "a bond would take net1 (VF 0 of pf0" in done.output
