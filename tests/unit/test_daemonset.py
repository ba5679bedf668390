"""The DaemonSet mounts the host paths that the agent needs, at the same paths."""

from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from sriovbond import cli
from sriovbond.agent import settings
from sriovbond.agent.report.probes import ALIVE, READY
from sriovbond.shim import build
from tests.support.containers import MANIFEST, Mount, mounts, pod_spec

SPEC = pod_spec()
(CONTAINER,) = SPEC["containers"]
GIVEN = {one["name"]: one["value"] for one in CONTAINER["env"] if "value" in one}
SETTINGS = settings.load(environ=GIVEN)
HOST = SETTINGS.host
READ = (
    HOST.places.pod_resources,
    HOST.places.checkpoint,
    HOST.places.device_info,
    HOST.places.multus,
    *HOST.places.results,
    HOST.places.sriov_cni,
    HOST.modules,
    HOST.kubeconfig,
)
WRITTEN = (SETTINGS.socket, HOST.state, HOST.run, HOST.logs)


def mount_of(path: Path) -> Mount:
    """Return the innermost mount that contains a path of the container."""
    plain = Path("/run", *path.parts[3:]) if path.is_relative_to("/var/run") else path
    found = [one for one in mounts() if plain.is_relative_to(one.target)]
    assert found, f"{path} is not the host's"
    return max(found, key=lambda one: len(one.target.parts))


@pytest.mark.parametrize("path", [*READ, *WRITTEN], ids=str)
def test_each_path_of_the_agent_is_the_hosts(path: Path) -> None:
    mount = mount_of(path)

    assert mount.source == mount.target


@pytest.mark.parametrize("path", WRITTEN, ids=str)
def test_folders_that_the_agent_writes_are_writable(path: Path) -> None:
    assert not mount_of(path).is_read_only


@pytest.mark.parametrize("path", [Path("/run/netns/pod"), HOST.root / "run/netns/pod"], ids=str)
def test_namespaces_of_pods_are_not_pinned(path: Path) -> None:
    assert mount_of(path).propagation == "HostToContainer"


def test_no_other_mount_holds_the_mounts_of_pods() -> None:
    above = [one for one in mounts() if Path("/run/netns/pod").is_relative_to(one.source)]

    assert {one.propagation for one in above} == {"HostToContainer"}


def test_the_host_s_root_is_where_ipam_plugins_are_executed() -> None:
    assert mount_of(HOST.root) == Mount(Path("/"), HOST.root, "HostToContainer", is_read_only=False)
    assert SPEC["hostPID"]


@pytest.mark.parametrize(
    ("probe", "path"),
    [("startupProbe", ALIVE), ("livenessProbe", ALIVE), ("readinessProbe", READY)],
)
def test_probes_ask_where_the_agent_answers_them_and_start_nothing(probe: str, path: str) -> None:
    address = SETTINGS.probes_address
    assert address

    asked = CONTAINER[probe]["httpGet"]

    assert asked == {"host": address.host, "port": address.port, "path": path}
    assert "exec" not in CONTAINER[probe]


def test_the_port_of_the_probes_is_known_to_the_scheduler() -> None:
    address = SETTINGS.probes_address
    assert address

    assert [one["hostPort"] for one in CONTAINER["ports"]] == [address.port]


def test_the_memory_that_ipam_plugins_may_take_is_within_the_limit() -> None:
    of_agent, of_plugin = 90, 50  # MiB; the soak bounds the first

    limit = int(CONTAINER["resources"]["limits"]["memory"].removesuffix("Mi"))

    assert of_agent + SETTINGS.ipam_calls * of_plugin <= limit


def test_the_shim_goes_where_runtimes_look() -> None:
    arguments = CONTAINER["args"]
    folder = Path(arguments[arguments.index("--install") + 1])

    mount = mount_of(folder)

    assert (mount.source, mount.is_read_only) == (Path("/opt/cni/bin"), False)


def test_it_is_where_the_links_are_and_may_change_them() -> None:
    assert SPEC["hostNetwork"]
    assert CONTAINER["securityContext"]["privileged"]


def test_its_command_is_one_of_ours() -> None:
    assert_known(CONTAINER["args"])


def assert_known(words: list[str]) -> None:
    command = cli.sriovbond.get_command(click.Context(cli.sriovbond), words[0])
    assert command
    command.make_parser(click.Context(command)).parse_args(list(words[1:]))


def test_a_stop_may_take_as_long_as_the_agent_and_the_shim_wait() -> None:
    grace_s = SPEC["terminationGracePeriodSeconds"]

    assert grace_s > SETTINGS.stop_timeout_s
    assert grace_s * 1000 >= _shim_deadline_ms()


def _shim_deadline_ms() -> int:
    words = "#define SHIM_DEADLINE_MS "
    (line,) = [one for one in build.header().splitlines() if one.startswith(words)]
    return int(line.removeprefix(words))


def test_its_service_account_is_that_of_the_roles_and_is_where_the_agent_looks() -> None:
    accounts = [one["metadata"] for one in roles() if one["kind"] == "ServiceAccount"]
    daemon_set = yaml.safe_load(MANIFEST.read_text())["metadata"]

    assert accounts == [{"name": SPEC["serviceAccountName"], "namespace": daemon_set["namespace"]}]
    assert SPEC["automountServiceAccountToken"]
    # where the API server's admission controller mounts it
    assert HOST.service_account == Path("/var/run/secrets/kubernetes.io/serviceaccount")


def roles() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(MANIFEST.with_name("rbac.yaml").read_text()))


def test_no_service_puts_variables_beside_its_settings() -> None:
    assert SPEC["enableServiceLinks"] is False


def test_it_runs_on_each_node_before_the_pods_that_need_it() -> None:
    tolerations: list[dict[str, Any]] = SPEC["tolerations"]

    assert tolerations == [{"operator": "Exists"}]
    assert SPEC["priorityClassName"] == "system-node-critical"
