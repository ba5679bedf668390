import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from deviceinfo import PodRef
from sriovbond.agent.settings import Settings
from sriovbond.cluster.events import LIMITS, Events
from sriovbond.cluster.nodestate import NodeState
from sriovbond.cluster.source import ask_api
from tests.docs_tables import CHECKOUT
from tests.support.cluster_api import ClusterApi
from tests.support.watched import a_happening, a_subject

ACCOUNT, ROLE, BINDING, EVENTS_ROLE, EVENTS_BINDING = yaml.safe_load_all(
    (CHECKOUT / "manifests" / "rbac.yaml").read_text()
)
NODE_STATE_ROLE, NODE_STATE_BINDING = yaml.safe_load_all(
    (CHECKOUT / "manifests" / "rbac-sriov-operator.yaml").read_text()
)
VERBS = {"POST": "create", "PATCH": "patch", "GET": "get"}


def _rights(rule: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def _used(method: str, path: str) -> tuple[str, str, str]:
    """Return group, resource and verb of a request."""
    before, _, after = path.partition("/namespaces/")
    group = before.split("/")[2] if before.startswith("/apis/") else ""
    return group, after.split("/")[1], VERBS[method]


def test_the_role_has_the_rights_that_are_used_and_no_other(
    api: ClusterApi, tmp_path: Path
) -> None:
    ask_api(api.host(tmp_path))(PodRef("default", "nf1"))

    used = {_used(got.method, got.path) for got in api.requests}

    assert set().union(*map(_rights, ROLE["rules"])) == used


def test_the_role_of_events_has_the_rights_that_are_used_and_no_other(
    api: ClusterApi, tmp_path: Path
) -> None:
    sink = Events(api.host(tmp_path), "node-1", replace(LIMITS, again_s=0.0))
    happening = a_happening(subject=a_subject(pod_uid=""))
    deadline = time.monotonic() + 10

    while len(api.requests) < 3 and time.monotonic() < deadline:
        sink(happening)
        time.sleep(0.01)

    assert sink.close()
    used = {_used(got.method, got.path) for got in api.requests}
    assert set().union(*map(_rights, EVENTS_ROLE["rules"])) == used


@pytest.mark.parametrize(("binding", "role"), [(BINDING, ROLE), (EVENTS_BINDING, EVENTS_ROLE)])
def test_the_binding_gives_the_role_to_the_account(
    binding: dict[str, Any], role: dict[str, Any]
) -> None:
    account = {"kind": "ServiceAccount", **ACCOUNT["metadata"]}
    kind = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole"}

    assert binding["subjects"] == [account]
    assert binding["roleRef"] == {**kind, "name": role["metadata"]["name"]}


def test_the_role_for_the_operators_state_has_the_right_that_is_used(
    api: ClusterApi, tmp_path: Path
) -> None:
    namespace = Settings().sriov_operator_namespace
    assert NodeState(api.host(tmp_path), "node-1", namespace).at_work() == ""

    used = {_used(got.method, got.path) for got in api.requests}
    assert set().union(*map(_rights, NODE_STATE_ROLE["rules"])) == used
    assert {one["metadata"]["namespace"] for one in (NODE_STATE_ROLE, NODE_STATE_BINDING)} == {
        namespace
    }
    assert NODE_STATE_BINDING["roleRef"]["name"] == NODE_STATE_ROLE["metadata"]["name"]
    assert NODE_STATE_BINDING["subjects"] == BINDING["subjects"]
