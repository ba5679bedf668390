"""All sources together: on the files of a real node, and on those that the builder writes."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deviceinfo import (
    Reading,
    Sandbox,
    find_sandboxes,
    read_cache,
    read_checkpoint,
    read_cni_files,
    read_dp_files,
    read_results,
    read_scratch,
)
from tests.support import samples
from tests.support.node import Node, Pod, Vf, a_node, some_pods

REAL_POD = Pod(
    "nf1",
    (
        Vf("0000:01:10.0", "rig.io/pf0", "sriov-a"),
        Vf("0000:02:10.0", "rig.io/pf1", "sriov-b"),
    ),
)


def read_all(node: Node, sandbox: Sandbox) -> Iterator[Reading]:
    yield read_checkpoint(node.checkpoint, sandbox.pod)
    yield read_cni_files(node.devinfo_cni, sandbox.container_id)
    yield read_dp_files(node.devinfo_dp, [(vf.resource, vf.address) for vf in REAL_POD.vfs])
    yield read_scratch(node.multus, sandbox.container_id)
    yield read_results([node.multus_results, node.results], sandbox.container_id)


def told(reading: Reading) -> list[str]:
    """All but MACs and names of networks without a VF, which differ."""
    return sorted(
        str(replace(one, mac=None)) for one in reading.statements if one.device is not None
    )


def test_the_builder_writes_files_as_a_real_node_has_them(tmp_path: Path) -> None:
    built = list(read_all(a_node(tmp_path, [REAL_POD]), REAL_POD.sandbox))
    real = list(read_all(samples.NODE, samples.SANDBOX))

    assert [told(reading) for reading in built] == [told(reading) for reading in real]
    assert [len(told(reading)) for reading in built] == [2, 2, 2, 2, 2]
    assert [len(reading.networks) for reading in built] == [0, 0, 0, 4, 0]
    assert not any(reading.problems for reading in (*built, *real))


@pytest.mark.parametrize("at", [0, 3, 4, 5])
def test_each_pod_of_a_node_gets_its_own(tmp_path: Path, at: int) -> None:
    pods = some_pods(pods=6, vfs=8)
    node, pod = a_node(tmp_path, pods), pods[at]
    expected = {vf.address for vf in pod.vfs}

    readings = list(read_all(node, pod.sandbox))

    for reading in (readings[0], readings[1], *readings[3:]):
        assert {str(one.device) for one in reading.statements if one.device} == expected
        assert reading.problems == ()
    assert len(readings[0].claims) == 8 - len(expected)
    cache = read_cache(node.sriov_cni, pod.sandbox.container_id, netns=pod.sandbox.netns)
    assert {entry.device_id for entry in cache.entries} == expected


def test_all_pods_of_a_node_are_found(tmp_path: Path) -> None:
    pods = some_pods(pods=6, vfs=8)
    node = a_node(tmp_path, pods)

    found = find_sandboxes([node.multus_results, node.results])

    assert set(found) == {pod.sandbox for pod in pods}
