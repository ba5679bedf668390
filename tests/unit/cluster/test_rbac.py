from pathlib import Path
from typing import Any

import yaml

from deviceinfo import PodRef
from sriovbond.cluster.source import ask_api
from tests.docs_tables import CHECKOUT
from tests.support.cluster_api import ClusterApi

ACCOUNT, ROLE, BINDING = yaml.safe_load_all((CHECKOUT / "manifests" / "rbac.yaml").read_text())


def _rights(rule: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def _used(method: str, path: str) -> tuple[str, str, str]:
    """Return group, resource and verb of a request for one object."""
    before, _, after = path.partition("/namespaces/")
    group = before.split("/")[2] if before.startswith("/apis/") else ""
    return group, after.split("/")[1], method.lower()


def test_the_role_has_the_rights_that_are_used_and_no_other(
    api: ClusterApi, tmp_path: Path
) -> None:
    ask_api(api.kubeconfig(tmp_path))(PodRef("default", "nf1"))

    used = {_used(got.method, got.path) for got in api.requests}

    assert set().union(*map(_rights, ROLE["rules"])) == used


def test_the_binding_gives_the_role_to_the_account() -> None:
    account = {"kind": "ServiceAccount", **ACCOUNT["metadata"]}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole"}

    assert BINDING["subjects"] == [account]
    assert BINDING["roleRef"] == {**role, "name": ROLE["metadata"]["name"]}
