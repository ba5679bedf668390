"""From the agent's container to the host: refused where the container does not see it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sriovbond.container import entering
from sriovbond.errors import MachineError

STATE = Path("/var/lib/sriovbond")
PATHS = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1)


@pytest.mark.parametrize("root", [None, "/"])
def test_on_a_host_nothing_is_done(monkeypatch: pytest.MonkeyPatch, root: str | None) -> None:
    monkeypatch.delenv("SRIOVBOND_AGENT_HOST_ROOT", raising=False)
    if root:
        monkeypatch.setenv("SRIOVBOND_AGENT_HOST_ROOT", root)

    entering.enter_host(["host", "show"], STATE)

    assert not entering.came_from_container()
    assert entering.path_here("bond.yml") == "bond.yml"


def _init(folder: Path, *, mnt: str = "of the host", net: str = "of both") -> Path:
    """Return a PID 1 with these namespaces; a link to /proc/self/ns has this process's."""
    (folder / "ns").mkdir()
    for kind, whose in (("mnt", mnt), ("net", net)):
        file = folder / "ns" / kind
        if whose == "of both":
            file.symlink_to(f"/proc/self/ns/{kind}")
        else:
            file.write_text(whose)
    (folder / "root" / str(STATE).lstrip("/")).mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    ("given_", "reason"),
    [
        (
            {"mnt": "of both"},
            "PID 1 is of this container, not of the host: hostPID: true is needed",
        ),
        ({"net": "another"}, "network is not the host's: hostNetwork: true is needed"),
        ({}, r"is another folder on the host: mount the host's there, by hostPath"),
    ],
)
def test_a_container_that_does_not_see_the_host_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given_: dict[str, str], reason: str
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "init").mkdir()
    init = _init(tmp_path / "init", **given_)
    (init / "root" / str(tmp_path / "state").lstrip("/")).mkdir(parents=True)
    monkeypatch.setattr(entering, "_INIT", init)  # /proc/1 is this machine's own
    monkeypatch.setenv("SRIOVBOND_AGENT_HOST_ROOT", "/host")

    with pytest.raises(MachineError, match=reason):
        entering.enter_host(["host", "show"], tmp_path / "state")


def test_a_container_without_proc_of_the_host_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entering, "_INIT", tmp_path / "none")  # as without hostPID
    monkeypatch.setenv("SRIOVBOND_AGENT_HOST_ROOT", "/host")

    with pytest.raises(MachineError, match="a privileged container with hostPID: true is needed"):
        entering.enter_host(["host", "show"], tmp_path)


@given(PATHS)
def test_a_file_of_the_container_keeps_its_name(path: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SRIOVBOND_CAME_FROM", "7:8")
        assert entering.came_from_container()
        here = entering.path_here(path)
        assert path == "-" or here.startswith(("/proc/self/fd/7/", "/proc/self/fd/8/"))
        assert entering.path_named(here) == path
