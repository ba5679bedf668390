"""Fixtures of the kernel tests: the rig's VFs, pods, and a plugin with records in tmp_path."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sriovbond.host import Host
from tests.support import plugins
from tests.support.agents import Agent, an_agent
from tests.support.bonds import RUNNING, version
from tests.support.calls import Reply, Runtime
from tests.support.classic import MACS, Call, Config
from tests.support.node import Node
from tests.support.pods import Pod, a_pod, ip, wire_up
from tests.support.shims import Shim
from tests.vm import rig as rigs

BUILD = Path("build")
PEERS = {
    "sriov": "SR-IOV CNI",
    "bond": "bond-cni",
    "sriovdp": "SR-IOV network device plugin",
}
Running = Callable[..., Agent]
notes = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--notes", type=Path, default=BUILD / "kernel-notes.txt", help="their file")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[notes] = [f"kernel {os.uname().release}"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect tests whose prerequisites were not given, and say so in the summary."""
    _leave_out_netdevsim(config, items)
    _leave_out_for_kernel(config, items)
    left_out = [item for item in items if _missing_peer(item)]
    items[:] = [item for item in items if not _missing_peer(item)]
    config.hook.pytest_deselected(items=left_out)
    took_part = [words for name, words in PEERS.items() if has_peer(name)]
    told = ["reference plugins", *took_part]
    config.stash[notes].append(f"programs that took part: {', '.join(told)}")
    for name, words in PEERS.items():
        without = [item for item in left_out if _missing_peer(item) == name]
        if without:
            names = ", ".join(sorted({item.name.split("[")[0] for item in without}))
            config.stash[notes].append(
                f"left out for the lack of {words} (SRIOVBOND_PEERS): {len(without)} tests: {names}"
            )


def _leave_out_netdevsim(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Only if explicitly excluded: otherwise a missing netdevsim is a failure."""
    left_out = [item for item in items if item.get_closest_marker("netdevsim")]
    if left_out and os.environ.get("NETDEVSIM") == "0":
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
        config.stash[notes].append(f"left out because of NETDEVSIM=0: {len(left_out)} tests")


def _leave_out_for_kernel(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = {item.name: why for item in items if (why := _unfit_for(item))}
    config.hook.pytest_deselected(items=[item for item in items if item.name in left_out])
    items[:] = [item for item in items if item.name not in left_out]
    for why in dict.fromkeys(left_out.values()):
        names = ", ".join(name for name, reason in left_out.items() if reason == why)
        config.stash[notes].append(f"left out on this kernel: {why}: {names}")


def _unfit_for(item: pytest.Item) -> str:
    for marker in item.iter_markers("kernel_from"):
        least, why = marker.args
        if version(least) > RUNNING:
            return f"before {least} {why}"
    for marker in item.iter_markers("kernel_before"):
        first, why = marker.args
        if version(first) <= RUNNING:
            return f"since {first} {why}"
    return ""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    told = terminalreporter.config.stash[notes]
    file: Path = terminalreporter.config.getoption("notes")
    file.parent.mkdir(exist_ok=True)
    file.write_text("".join(f"{note}\n" for note in told))
    for note in told:
        terminalreporter.write_line(note)


def has_peer(name: str) -> bool:
    """Return whether SRIOVBOND_PEERS has the program."""
    return Path(os.environ.get("SRIOVBOND_PEERS") or "/nonexistent", name).exists()


def _missing_peer(item: pytest.Item) -> str:
    for marker in item.iter_markers("peer"):
        if not has_peer(marker.args[0]):
            return str(marker.args[0])
    return ""


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Add a line to the run's summary: a figure, or what this kernel cannot prove."""
    return request.config.stash[notes].append


@pytest.fixture(scope="session")
def rig() -> rigs.Layout:
    """The VM's PFs and VFs; a test that needs them fails if there are none."""
    return rigs.layout()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """This machine, with records, the sources of device facts and logs in tmp_path."""
    return Host(
        state=tmp_path / "state",
        run=tmp_path / "run",
        places=Node(tmp_path).places,
        logs=tmp_path,
        node_file=tmp_path / "node.toml",
        kubelet_timeout_s=60.0,  # a slow machine imports gRPC for longer than the default
    )


@pytest.fixture
def pod() -> Iterator[Pod]:
    """A pod without interfaces."""
    with a_pod() as made:
        yield made


@pytest.fixture
def runtime(host: Host, pod: Pod) -> Runtime:
    """A runtime that calls the plugin for `pod`."""
    return Runtime(host, pod)


@pytest.fixture
def running(host: Host, pod: Pod, tmp_path: Path) -> Iterator[Running]:
    """Return a function that runs an agent with these settings; it ends before the pod does."""
    assert pod.path
    with ExitStack() as held:

        def run(**given: Any) -> Agent:  # noqa: ANN401 - settings
            shim = Shim(tmp_path / "none", tmp_path)
            given = {"state": host.state, "run": host.run, "socket": tmp_path / "sock", **given}
            given = {"metrics": f"unix:{tmp_path}/metrics/sock", **given}
            return held.enter_context(an_agent(shim, **given))

        yield run


@pytest.fixture
def vfs(rig: rigs.Layout) -> Iterator[rigs.Layout]:
    """The rig's VFs, reset after the test."""
    yield rig
    rigs.reset_vfs()


@pytest.fixture
def vf_pod(vfs: rigs.Layout, pod: Pod) -> Pod:
    """A pod with a VF of pf0 as net1 and one of pf1 as net2, both up."""
    pod.give(vfs.pfs[0].vfs[0].name, "net1")
    pod.give(vfs.pfs[1].vfs[0].name, "net2")
    return pod


@dataclass(frozen=True, slots=True)
class Wires:
    """Veth pairs: `pod` has net1, net2 ..., `far` their peers far1, far2 ..."""

    pod: Pod
    far: Pod
    names: tuple[str, ...]

    @property
    def links(self) -> list[dict[str, str]]:
        """The `links` of a configuration over all of them."""
        return [{"name": name} for name in self.names]


@pytest.fixture
def wires(pod: Pod) -> Iterator[Wires]:
    """Two veth pairs between the pod and a far side, up at both ends."""
    with a_pod("far") as far:
        wire_up(pod, far)
        yield Wires(pod, far, ("net1", "net2"))


@pytest.fixture
def ours(runtime: Runtime) -> Call:
    """Return a function that runs a command of ours with bond-cni's configuration."""

    def called(command: str, config: Config, **environment: str) -> Reply:
        return runtime.call(command, {**config, "type": "sriovbond"}, **environment)

    return called


@pytest.fixture
def theirs(pod: Pod) -> Call:
    """Return a function that runs a command of bond-cni."""

    def called(command: str, config: Config, **environment: str) -> Reply:
        return plugins.call(command, pod, "bond0", config, **environment)

    return called


@pytest.fixture
def on_host() -> Iterator[tuple[str, str]]:
    """Create two links of the host for a bond to take, down; delete all of them afterwards."""
    names = ("bondtest1", "bondtest2")
    for name, mac in zip(names, MACS, strict=True):
        ip(f"link add {name} address {mac} type dummy")
    yield names
    for name in names:
        ip(f"link del {name}", check=False)
