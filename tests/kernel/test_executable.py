"""The plugin as the runtime executes it: a file in a CNI folder, its streams and exit status."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sriovbond.cni.versions import SUPPORTED_VERSIONS
from sriovbond.host import Host
from tests.kernel.conftest import Wires
from tests.support.calls import Runtime, a_config, plugin_path
from tests.support.libcni import Tool, a_tool
from tests.support.pods import Pod

pytestmark = pytest.mark.long

Process = subprocess.CompletedProcess[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a CNI folder with the plugin linked into it, as an operator does."""
    made = tmp_path / "cni-bin"
    made.mkdir()
    (made / "sriovbond").symlink_to(Path(sys.executable).with_name("sriovbond"))
    return made


def run(
    folder: Path, command: str, stdin: object, pod: Pod | None = None, **environment: str
) -> Process:
    given = {
        "PATH": os.environ["PATH"],
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": pod.container_id if pod else "",
        "CNI_NETNS": pod.path if pod else "",
        "CNI_IFNAME": "bond0",
        "CNI_PATH": f"{folder}:{plugin_path()}",
        **environment,
    }
    return subprocess.run(
        [folder / "sriovbond"],
        input=stdin if isinstance(stdin, str) else json.dumps(stdin),
        env={name: value for name, value in given.items() if value},
        capture_output=True,
        text=True,
        check=False,
    )


def test_stdout_holds_the_result_and_stderr_the_log(folder: Path, wires: Wires) -> None:
    config = a_config(links=wires.links)

    added = run(folder, "ADD", config, wires.pod)
    shown = subprocess.run(
        [folder / "sriovbond", "show", "bond0", "--netns", wires.pod.path],
        capture_output=True,
        text=True,
        check=False,
    )
    deleted = run(folder, "DEL", config, wires.pod)

    assert (added.returncode, deleted.returncode) == (0, 0), added.stdout + deleted.stdout
    assert json.loads(added.stdout)["interfaces"][0]["name"] == "bond0"
    assert "msg=added" in added.stderr
    assert deleted.stdout == ""
    assert shown.returncode == 0, shown.stderr
    for words in ("bond0", "active-backup", *wires.names):
        assert words in shown.stdout


def test_an_error_is_json_on_stdout_and_status_1(folder: Path, wires: Wires) -> None:
    done = run(folder, "ADD", a_config(links=[{"name": "net1"}, {"name": "net9"}]), wires.pod)

    error = json.loads(done.stdout)
    assert done.returncode == 1
    assert (error["cniVersion"], error["code"]) == ("1.1.0", 7)
    assert "net9" in error["msg"]
    assert "level=error" in done.stderr


def test_version_reports_all_versions(folder: Path) -> None:
    done = run(folder, "VERSION", {"cniVersion": "1.0.0"})

    assert done.returncode == 0
    told = {"cniVersion": "1.0.0", "supportedVersions": list(SUPPORTED_VERSIONS)}
    assert json.loads(done.stdout) == told


def test_a_stdin_that_is_closed_is_an_error_in_json(folder: Path) -> None:
    command = f"CNI_COMMAND=STATUS exec {folder / 'sriovbond'} <&-"

    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert json.loads(done.stdout)["code"] == 6, done.stderr


@pytest.fixture
def cnitool(tmp_path: Path) -> Tool:
    """Return cnitool with our plugin in its folder."""
    return a_tool(tmp_path, Path(sys.executable).with_name("sriovbond"))


def test_cnitool_runs_every_command_on_a_chain_of_ours_and_tuning(
    cnitool: Tool, wires: Wires, tmp_path: Path
) -> None:
    ranges = [[{"subnet": "192.0.2.0/24"}]]
    ipam = {"type": "host-local", "dataDir": str(tmp_path / "ipam"), "ranges": ranges}
    tuning: dict[str, object] = {"type": "tuning", "txQLen": 500}
    cnitool.define(a_config(links=wires.links, ipam=ipam), tuning)

    cnitool.ok("status", wires.pod.path)
    result = cnitool.ok("add", wires.pod.path)
    cnitool.ok("check", wires.pod.path)
    cnitool.ok("del", wires.pod.path)
    collected = cnitool.run("gc", wires.pod.path)

    assert [one["name"] for one in result["interfaces"]] == ["bond0"]
    assert result["ips"][0]["interface"] == 0
    assert wires.pod.bond() is None
    assert not list((tmp_path / "ipam").rglob("192.0.2.*"))
    # cnitool passes no list of valid attachments, and then nothing may be removed
    assert "'cni.dev/valid-attachments'" in collected.stderr


def test_status_is_good_on_this_machine(runtime: Runtime) -> None:
    assert runtime.call("STATUS", a_config()).ok() == {}


def unwritable(host: Host) -> Host:
    """Return a host with its state under /proc, where no folder can be created."""
    return replace(host, state=Path("/proc/sys/sriovbond"))


def without_bonding(host: Host) -> Host:
    empty = host.state.parent / "empty"
    return replace(host, places=replace(host.places, sysfs=empty), modules=empty)


@pytest.mark.parametrize(
    ("spoil", "probe"), [(unwritable, "state-folder"), (without_bonding, "bonding-driver")]
)
def test_status_says_why_an_add_would_fail(runtime: Runtime, spoil: Any, probe: str) -> None:  # noqa: ANN401
    runtime = replace(runtime, host=spoil(runtime.host))

    reply = runtime.call("STATUS", a_config())

    assert reply.code == 50
    assert f"[{probe}]" in reply.msg


def test_status_names_every_reason(runtime: Runtime) -> None:
    runtime = replace(runtime, host=without_bonding(unwritable(runtime.host)))

    reply = runtime.call("STATUS", a_config())

    assert "[state-folder]" in reply.msg
    assert "[bonding-driver]" in reply.msg


def test_status_forwards_ipams_error(runtime: Runtime, tmp_path: Path) -> None:
    program = tmp_path / "scripted"
    said = {"cniVersion": "1.1.0", "code": 51, "msg": "the pool is nearly empty"}
    program.write_text(f"#!/bin/sh\ncat >/dev/null\necho '{json.dumps(said)}'\nexit 1\n")
    program.chmod(0o755)

    reply = runtime.call("STATUS", a_config(ipam={"type": "scripted"}), CNI_PATH=str(tmp_path))

    assert (reply.code, "the pool is nearly empty" in reply.msg) == (51, True)
