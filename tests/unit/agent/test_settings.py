"""The agent's settings: file, environment, and what is refused."""

from pathlib import Path

import pytest

from sriovbond.agent import settings
from sriovbond.errors import ConfigError


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
    file.write_text("workers = 0\nretry = 1\n")

    with pytest.raises(ConfigError) as caught:
        settings.load(file, {"SRIOVBOND_AGENT_READ_TIMEOUT_S": "soon"})

    for words in (str(file), "workers: ", "retry: ", "read_timeout_s: ", "'soon'"):
        assert words in caught.value.message


@pytest.mark.parametrize("content", [b"workers =", b"\xff"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "agent.toml"
    file.write_bytes(content)

    with pytest.raises(ConfigError, match=str(file)):
        settings.load(file, {})


def test_metrics_are_told_to_this_node_alone_unless_another_address_is_chosen() -> None:
    assert str(settings.load(environ={}).metrics_address) == "127.0.0.1:9750"
    chosen = settings.load(environ={"SRIOVBOND_AGENT_METRICS": "0.0.0.0:9750"})
    assert str(chosen.metrics_address) == "0.0.0.0:9750"


def test_no_metrics_and_no_events_can_be_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('metrics = ""\n')

    given = settings.load(file, {"SRIOVBOND_AGENT_KUBERNETES_EVENTS": "true"})

    assert (given.metrics_address, given.kubernetes_events) == (None, True)
    assert settings.load(environ={}).kubernetes_events is False


def test_an_address_or_a_node_that_is_none_is_named() -> None:
    given = {"SRIOVBOND_AGENT_METRICS": ":9750", "SRIOVBOND_AGENT_NODE_NAME": "a b"}

    with pytest.raises(ConfigError) as caught:
        settings.load(environ=given)

    for words in ("metrics: ", "IP:PORT is wanted", "':9750'", "node_name: ", "'a b'"):
        assert words in caught.value.message
