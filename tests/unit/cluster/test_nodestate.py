from pathlib import Path

import pytest

from sriovbond import cluster, log
from sriovbond.cluster.nodestate import NodeState
from sriovbond.host import Host
from tests.support import cluster_api
from tests.support.clocks import Clock
from tests.support.cluster_api import ClusterApi

NAMESPACE, NODE = "sriov-network-operator", "node-1"
PATH = f"/apis/sriovnetwork.openshift.io/v1/namespaces/{NAMESPACE}/sriovnetworknodestates/{NODE}"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(api: ClusterApi, tmp_path: Path, clock: Clock) -> NodeState:
    return NodeState(api.host(tmp_path), NODE, NAMESPACE, clock)


def says(api: ClusterApi, status: object) -> None:
    api.objects[PATH] = {"metadata": {"namespace": NAMESPACE, "name": NODE}, "status": status}


def test_the_operator_at_work_is_named_with_the_node(api: ClusterApi, state: NodeState) -> None:
    says(api, {"syncStatus": "InProgress"})

    assert state.at_work() == "the SR-IOV operator is at work on node-1 (syncStatus InProgress)"


@pytest.mark.parametrize(
    "status", [{"syncStatus": "Succeeded"}, {"syncStatus": "Failed"}, {}, {"syncStatus": 7}, 7]
)
def test_any_other_state_is_nothing_to_wait_for(
    api: ClusterApi, state: NodeState, status: object
) -> None:
    says(api, status)

    assert state.at_work() == ""


def test_all_pods_of_a_node_that_are_looked_at_at_once_make_one_request(
    api: ClusterApi, state: NodeState, clock: Clock
) -> None:
    says(api, {"syncStatus": "InProgress"})
    for _ in range(50):
        assert state.at_work()
    assert api.paths == [PATH]

    says(api, {"syncStatus": "Succeeded"})
    clock.now = 3.0

    assert state.at_work() == ""


@pytest.mark.slow
@pytest.mark.parametrize("status", [403, 404])
def test_a_state_that_may_not_be_read_is_logged_once_and_time_decides(  # noqa: PLR0913, PLR0917 - fixtures
    api: ClusterApi,
    state: NodeState,
    clock: Clock,
    status: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    api.fail(cluster_api.status(status))

    with log.logged_to(None, tmp_path):
        for now in (0.0, 5.0, 700.0):
            clock.now = now
            assert state.at_work() == ""

    assert set(api.paths) == {PATH}
    assert capsys.readouterr().err.count("going by time alone") == 1


@pytest.mark.parametrize("status", [401, pytest.param(500, marks=pytest.mark.slow)])
def test_without_an_answer_the_operator_may_be_at_work_for_a_minute(
    api: ClusterApi, state: NodeState, clock: Clock, status: int
) -> None:
    says(api, {"syncStatus": "InProgress"})
    api.fail(cluster_api.status(status))
    in_doubt = []
    for now in (0.0, 30.0, 59.0):
        clock.now = now
        in_doubt.append(state.at_work())
    clock.now = 70.0
    after_a_minute = state.at_work()
    api.faults.clear()
    clock.now = 81.0

    assert all("not known whether the SR-IOV operator is at work" in words for words in in_doubt)
    assert after_a_minute == ""
    assert "syncStatus InProgress" in state.at_work()


def test_a_missing_answer_long_after_another_one_is_waited_for_again(
    api: ClusterApi, state: NodeState, clock: Clock
) -> None:
    api.fail(cluster_api.status(401))
    for now in (0.0, 70.0):
        clock.now = now
        state.at_work()

    clock.now = 5000.0

    assert "not known whether" in state.at_work()


def test_a_missing_answer_is_retried_soon(api: ClusterApi, state: NodeState, clock: Clock) -> None:
    says(api, {"syncStatus": "Succeeded"})
    api.fail(cluster_api.status(401))
    assert state.at_work()

    api.faults.clear()
    clock.now = 11.0

    assert state.at_work() == ""


def test_without_a_namespace_or_a_kubeconfig_no_source_is_queried(
    api: ClusterApi, tmp_path: Path
) -> None:
    nowhere = Host(kubeconfig=tmp_path / "none")

    assert cluster.node_state(api.host(tmp_path), NODE, "").at_work() == ""
    assert cluster.node_state(nowhere, NODE, NAMESPACE).at_work() == ""
    assert api.paths == []
