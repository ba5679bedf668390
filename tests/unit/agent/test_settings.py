"""The agent's settings: file, environment, and refusals."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from sriovbond.agent import settings
from sriovbond.errors import ConfigError


def load(**given: str) -> settings.Settings:
    return settings.load(environ={f"SRIOVBOND_AGENT_{name}": text for name, text in given.items()})


def refusal_of(given: Mapping[str, str], file: Path | None = None) -> str:
    """Return the error for a file and for variables, named without their prefix."""
    variables = {f"SRIOVBOND_AGENT_{name}": text for name, text in given.items()}
    with pytest.raises(ConfigError) as caught:
        settings.load(file, variables)
    return caught.value.message


def test_without_a_file_and_variables_all_have_defaults() -> None:
    given = settings.load(environ={})

    assert str(given.socket) == "/run/sriovbond/agent.sock"
    assert given.host.state == given.queue.parent == Path("/var/lib/sriovbond")


def test_the_environment_goes_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('workers = 4\nwaiting = 8\nrun = "/tmp/run"\n')

    given = settings.load(file, {"SRIOVBOND_AGENT_WORKERS": "9", "HOME": "/"})

    assert (given.workers, given.waiting, str(given.host.run)) == (9, 8, "/tmp/run")  # noqa: S108


def test_every_fault_is_named(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text("workers = 0\nwaiting = true\nretry_s = true\n")
    given = {"READ_TIMEOUT_S": "soon", "WATCH": "maybe", "STOP_TIMEOUT_S": "nan"}

    told = refusal_of(given, file)

    for words in (
        f"workers in {file}: expected a number from 1 to 4096, found 0",
        f"waiting in {file}: expected a number from 1 to 4096, found True",
        f"retry_s in {file}: expected a number above 0, and at most 3600, found True",
        "SRIOVBOND_AGENT_READ_TIMEOUT_S: expected a number above 0, and at most 3600, found 'soon'",
        "SRIOVBOND_AGENT_STOP_TIMEOUT_S: expected a number above 0",
        "SRIOVBOND_AGENT_WATCH: expected true or false, found 'maybe'",
    ):
        assert words in told


def test_a_setting_that_there_is_not_is_named_with_the_one_that_is_alike(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text("retry = 1\n[agent]\nworkers = 1\n")

    told = refusal_of({"WACTH": "true"}, file)

    assert f"retry in {file}: no such setting; did you mean retry_s?" in told
    assert f"agent in {file}: no such setting;" in told
    assert "SRIOVBOND_AGENT_WACTH: no such setting; did you mean SRIOVBOND_AGENT_WATCH?" in told


@pytest.mark.parametrize("name", ["SOCKET", "STATE", "RUN", "HOST_ROOT", "SERVICE_ACCOUNT"])
@pytest.mark.parametrize("path", ["", "run", "./run"])
def test_a_path_must_be_absolute(name: str, path: str) -> None:
    if (name, path) == ("SERVICE_ACCOUNT", ""):
        assert load(SERVICE_ACCOUNT="").host.service_account is None
        return

    told = refusal_of({name: path})

    assert told.endswith(f": SRIOVBOND_AGENT_{name}: expected an absolute path, found {path!r}")


def test_only_the_setting_gives_the_agent_its_pods_service_account() -> None:
    folder = "/run/secrets/kubernetes.io/serviceaccount"

    assert load(SERVICE_ACCOUNT=folder).host.service_account == Path(folder)
    assert load().host.service_account is None


SERVICE = {
    "SERVICE_HOST": "192.0.2.7",
    "SERVICE_PORT": "9750",
    "SERVICE_PORT_METRICS": "9750",
    "PORT": "tcp://192.0.2.7:9750",
    "PORT_9750_TCP": "tcp://192.0.2.7:9750",
    "PORT_9750_TCP_PROTO": "tcp",
    "PORT_9750_TCP_PORT": "9750",
    "PORT_9750_TCP_ADDR": "192.0.2.7",
}
"""Kubelet's variables for a Service in a pod, without their prefix."""


@pytest.mark.parametrize("service", ["", "METRICS_", "PORT_"])
def test_variables_of_a_service_of_our_name_are_no_settings(service: str) -> None:
    given = {f"{service}{name}": text for name, text in SERVICE.items()}

    assert load(**given) == load()


def test_a_variable_like_a_services_is_a_fault_without_a_service() -> None:
    told = refusal_of({"METRICS_PORT": "9750"})

    assert "METRICS_PORT: no such setting; did you mean SRIOVBOND_AGENT_METRICS?" in told


@pytest.mark.parametrize("content", [b"workers =", b"\xff"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "agent.toml"
    file.write_bytes(content)

    with pytest.raises(ConfigError, match=str(file)):
        settings.load(file, {})


def test_metrics_are_served_to_this_node_only_by_default() -> None:
    assert str(settings.load(environ={}).metrics_address) == "127.0.0.1:9750"
    chosen = settings.load(environ={"SRIOVBOND_AGENT_METRICS": "0.0.0.0:9750"})
    assert str(chosen.metrics_address) == "0.0.0.0:9750"


def test_no_metrics_and_no_events_can_be_requested(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('metrics = ""\n')

    given = settings.load(file, {"SRIOVBOND_AGENT_KUBERNETES_EVENTS": "true"})

    assert (given.metrics_address, given.kubernetes_events) == (None, True)
    assert settings.load(environ={}).kubernetes_events is False


def test_an_address_or_a_node_that_is_none_is_named() -> None:
    told = refusal_of({"METRICS": ":9750", "NODE_NAME": "a b"})

    for words in (
        "SRIOVBOND_AGENT_METRICS: expected IP:PORT",
        "found ':9750'",
        "SRIOVBOND_AGENT_NODE_NAME: expected a node's name: small letters, digits,",
        "found 'a b'",
    ):
        assert words in told


@pytest.mark.parametrize("name", ["", "a", "node-1.example.com", "a" * 128])
def test_a_nodes_name_is_taken(name: str) -> None:
    assert load(NODE_NAME=name).node_name == name


@pytest.mark.parametrize("name", ["a\n", "-a", "a-", "A", "a" * 129])
def test_a_malformed_node_name_is_refused(name: str) -> None:
    assert "expected a node's name" in refusal_of({"NODE_NAME": name})


def test_the_nodes_file_is_read_below_the_hosts_root() -> None:
    in_container = settings.load(environ={"SRIOVBOND_AGENT_HOST_ROOT": "/host"}).host

    assert in_container.node_file == Path("/host/etc/sriovbond/node.toml")
    assert settings.load(environ={}).host.node_file == Path("/etc/sriovbond/node.toml")
