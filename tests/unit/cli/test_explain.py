"""The arguments of `explain`, and its output; its facts are tested in the VM."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from deviceinfo import (
    Bus,
    Claim,
    DeviceId,
    PodRef,
    Reading,
    Sandbox,
    Source,
    Statement,
    find_devices,
)
from deviceinfo.checkpoint import read_checkpoint
from sriovbond import records
from sriovbond.bond import rules
from sriovbond.bond.links import Allocation
from sriovbond.bond.seen import Unlinked
from sriovbond.bond.selection import Verdict
from sriovbond.cli import explain, explanation, sriovbond
from sriovbond.cli.explanation import Explanation
from sriovbond.errors import MachineError
from sriovbond.host import Host
from sriovbond.records import Record
from tests.support import node
from tests.support.builders import a_netconf, a_plan, a_vf
from tests.support.node import Node

ONE = DeviceId(Bus.PCI, "0000:01:10.0")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    pods = [node.Pod("nf1", (node.Vf(ONE.address),)), node.Pod("nf2")]
    return Host(state=tmp_path / "state", places=node.a_node(tmp_path / "node", pods).places)


@pytest.mark.parametrize(
    "arguments", [[], ["--pod", "nf1"], ["--pod", "/nf1"], ["--pod", "default/"]], ids=str
)
def test_a_question_that_names_no_pod_is_a_wrong_call(arguments: list[str]) -> None:
    done = CliRunner().invoke(sriovbond, ["explain", *arguments])

    assert done.exit_code == 2
    assert "--pod NAMESPACE/NAME, --uid, --netns or --container-id" in done.output


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "it must be one JSON object, or YAML"),
        ('{"plugins": [{"type": "bond"}]}', "lists no plugin of type sriovbond; found: 'bond'"),
        ('{"plugins": 7}', "plugins: found 7; it must be a list"),
        (
            '{"plugins": [{"type": "sriovbond"}, {"type": "sriovbond"}]}',
            "has 2 configurations, where one is needed: plugins[0], plugins[1]",
        ),
        ('{"type": "sriovbond", "mode": 0, "mode": 1}', "'mode' is duplicated, as 0 and as 1"),
    ],
)
def test_a_file_without_the_one_configuration_is_reported(
    tmp_path: Path, content: str, words: str
) -> None:
    file = tmp_path / "bond.json"
    file.write_text(content)

    done = CliRunner().invoke(sriovbond, ["explain", "--netns", "/x", "--config", str(file)])

    assert done.exit_code != 0
    assert words in done.output + str(done.exception)


def test_a_configuration_is_read_from_standard_input() -> None:
    arguments = ["explain", "--netns", "/x", "--config", "-"]

    done = CliRunner().invoke(sriovbond, arguments, input='{"plugins": 7}')

    assert done.output == "Error: standard input: plugins: found 7; it must be a list\n"


def test_a_pod_is_known_by_any_of_its_names(host: Host) -> None:
    sandbox = node.Pod("nf1").sandbox

    for wanted in (
        Sandbox(PodRef("default", "nf1")),
        Sandbox(container_id=sandbox.container_id),
        Sandbox(netns=sandbox.netns),
        Sandbox(PodRef(uid=sandbox.pod.uid)),
    ):
        assert explanation.find_sandbox(host, wanted) == sandbox


def test_a_pod_of_our_records_has_all_its_names(host: Host) -> None:
    """A runtime that is not libcni's keeps no cache of results."""
    pod = PodRef("default", "nf7", "uid-7")
    record = Record("net", "c7", "bond0", "/run/netns/c7", (4, 5, 6), "", a_plan(), pod=pod)
    records.write(host, record)

    found = explanation.find_sandbox(host, Sandbox(netns="/run/netns/c7"))

    assert found == Sandbox(pod, "c7", "/run/netns/c7")


def test_a_uid_is_kept_beside_the_namespace_of_the_record(host: Host) -> None:
    record = Record("net", "c7", "bond0", "/run/netns/c7", (4, 5, 6), "", a_plan())
    records.write(host, record)

    found = explanation.find_sandbox(host, Sandbox(PodRef(uid="uid-7"), "c7"))

    assert found == Sandbox(PodRef(uid="uid-7"), "c7", "/run/netns/c7")


def test_a_pod_of_another_uid_is_another(host: Host) -> None:
    asked = Sandbox(PodRef("default", "nf1", uid="another"))

    assert explanation.find_sandbox(host, asked) == asked


def test_a_pod_of_which_only_the_namespace_is_known_has_no_name(host: Host) -> None:
    found = explanation.find_sandbox(host, Sandbox(netns="/run/netns/unknown"))

    reading = read_checkpoint(host.places.checkpoint, found.pod)
    assert (found.pod.name, found.pod.uid) == ("", "")
    assert (reading.is_absent, reading.problems) == (True, ())


def test_a_namespace_may_be_spelled_by_a_link(host: Host, tmp_path: Path) -> None:
    """As /run/netns where the cache has /var/run/netns."""
    (tmp_path / "link").symlink_to("/var")
    sandbox = node.Pod("nf1").sandbox
    spelled = sandbox.netns.replace("/var", str(tmp_path / "link"))

    assert explanation.find_sandbox(host, Sandbox(netns=spelled)) == replace(sandbox, netns=spelled)


def test_the_bonds_of_other_pods_are_the_neighbours(host: Host) -> None:
    for name in ("nf1", "nf2"):
        pod = PodRef("default", name)
        place = f"/run/netns/{name}"
        record = Record("net", name, "bond0", place, (4, 5, 6), "", a_plan(), pod=pod)
        records.write(host, record)

    found = explanation._neighbours(host, Sandbox(netns="/var/run/netns/nf1"))  # noqa: SLF001

    assert [(one.whose, one.mode) for one in found] == [("bond0 of default/nf2", a_plan().mode)]
    assert found[0].members == a_plan().members


def test_a_pod_with_an_unknown_namespace_is_no_verdict(host: Host) -> None:
    with pytest.raises(MachineError, match="no cache of this node knows its namespace"):
        explanation.explain(host, Sandbox(PodRef("default", "typo")), a_netconf(), "sriovbond")


def test_a_pod_unknown_to_all_caches_is_queried_as_named(host: Host) -> None:
    named = Sandbox(PodRef("default", "nf9"))

    assert explanation.find_sandbox(host, named) == named


@pytest.fixture
def told(tmp_path: Path) -> Explanation:
    other = DeviceId(Bus.PCI, "0000:02:10.0")
    reading = Reading(
        Source.KUBELET,
        (Statement(Source.KUBELET, ONE, resource="rig.io/pf0", container="app"),),
        (Claim(Source.KUBELET, ONE, "default/nf2"),),
        problems=("kubelet is odd",),
    )
    results = Reading(Source.RESULTS, (Statement(Source.RESULTS, ONE, resource="rig.io/x"),))
    loose = Statement(
        Source.MULTUS, network="default/late", resource="rig.io/pf2", details="[/x] [bold]"
    )
    places = replace(Node(tmp_path).places, sysfs=tmp_path)
    sandbox, late = Sandbox(PodRef("default", "nf1")), Reading(Source.MULTUS, (loose,))
    found = find_devices(sandbox, places, reading, results, late)
    given = Allocation("rig.io/dpdk", "default/dpdk", "app", ("kubelet",))
    refused = Unlinked(str(other), "vfio-pci", is_userspace=True, ifname="net2", allocation=given)
    verdicts = (Verdict(a_vf("net1")), Verdict(refused, "cannot", rules.USERSPACE_DRIVER))
    return Explanation(found, verdicts, ("cannot bond [that]",))


def test_tables_have_each_device_statement_problem_and_the_outcome(told: Explanation) -> None:
    shown = io.StringIO()

    explain.print_tables(told, Console(file=shown, width=40))

    text = shown.getvalue()
    for words in (
        "net1",
        "taken",
        "not: cannot [userspace-driver]",
        "resource rig.io/pf0, container app",
        "allocated to default/nf2",
        "resource rig.io/pf2, network default/late, details [/x] [bold]",
        "kubelet: kubelet is odd",
        "not on this node: kubelet",
        "the sources disagree about 0000:01:10.0: resource is rig.io/pf0, says kubelet",
        "cannot bond [that]",
    ):
        assert words in text


def test_json_has_the_same(told: Explanation, capsys: pytest.CaptureFixture[str]) -> None:
    explain.print_json(told)

    shown = json.loads(capsys.readouterr().out)
    assert list(shown["pod"]) == ["namespace", "name", "uid", "container_id", "netns"]
    assert shown["pod"]["name"] == "nf1"
    assert [one["id"] for one in shown["devices"]] == [{"bus": "pci", "address": ONE.address}]
    assert [(one["interface"], one["taken"], one["rule"]) for one in shown["verdicts"]] == [
        ("net1", True, ""),
        ("net2", False, "userspace-driver"),
    ]
    assert shown["loose"][0]["network"] == "default/late"
    assert ["kubelet is odd"] in [one["problems"] for one in shown["sources"]]
    assert len(shown["disagreements"]) == 1
    assert shown["outcome"] == ["cannot bond [that]"]


def test_the_command_line_looks_where_the_agent_keeps_its_records(tmp_path: Path) -> None:
    netns = str(tmp_path / "netns")
    record = Record("net", "pod1", "bond0", netns, (4, 5, 6), "boot", a_plan(), None)
    records.write(Host(state=tmp_path / "state"), record)
    environ = {"SRIOVBOND_AGENT_STATE": str(tmp_path / "state")}

    done = CliRunner().invoke(sriovbond, ["explain", "--container-id", "pod1"], env=environ)

    assert isinstance(done.exception, MachineError)
    assert netns in str(done.exception)
