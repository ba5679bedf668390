"""No path that a pod or an event waits for imports pyroute2: each process reports its imports."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sriovbond.agent import settings
from sriovbond.host import Host
from tests.kernel.conftest import Wires
from tests.support import children
from tests.support.agents import wait_for
from tests.support.calls import VERSION, Runtime, a_config, plugin_path

pytestmark = pytest.mark.long
PROGRAM = Path(sys.executable).with_name("sriovbond")
TELL_IMPORTS = {"PYTHONPROFILEIMPORTTIME": "1"}
LOOKED_FOR = "pyroute2"
VERBS = {"DEL": "delete"}


def imports(said: str) -> set[str]:
    """Return the modules that a process reported as imported (python -X importtime)."""
    lines = [line for line in said.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


def packages(modules: set[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules}


SERVE = """
import json, os, sys
from sriovbond.__main__ import main

calls = json.load(sys.stdin)
statuses = {}
for command, config in calls.items():
    with open(sys.argv[1], "w+") as sys.stdin:
        json.dump(config, sys.stdin)
        sys.stdin.seek(0)
        os.environ["CNI_COMMAND"] = command
        statuses[command] = main()
with open(sys.argv[1], "w") as answer:
    json.dump({"statuses": statuses, "modules": [*sys.modules]}, answer)
"""
"""Serves one command after the other, as the program does each; tells what was imported."""


def test_no_command_of_a_runtime_loads_it(wires: Wires, tmp_path: Path) -> None:
    config = a_config(links=wires.links)
    calls = dict.fromkeys(("ADD", "CHECK", "STATUS", "GC", "DEL"), config)
    bond = {"name": "bond0", "sandbox": wires.pod.path}
    calls["CHECK"] = {**config, "prevResult": {"cniVersion": VERSION, "interfaces": [bond]}}
    calls["GC"] = {**config, "cni.dev/valid-attachments": []}
    attachment = {
        "CNI_CONTAINERID": wires.pod.container_id,
        "CNI_NETNS": wires.pod.path,
        "CNI_IFNAME": "bond0",
        "CNI_PATH": plugin_path(),
    }

    done = subprocess.run(
        [sys.executable, "-c", SERVE, tmp_path / "answer.json"],
        input=json.dumps(calls),
        env={**os.environ, **attachment},
        capture_output=True,
        text=True,
        check=True,
    )

    answer = json.loads((tmp_path / "answer.json").read_text())
    assert answer["statuses"] == dict.fromkeys(calls, 0), done.stdout
    verbs = {VERBS.get(command, command.lower()) for command in calls}
    assert {f"sriovbond.commands.{verb}" for verb in verbs} <= {*answer["modules"]}
    assert LOOKED_FOR not in packages({*answer["modules"]})


@contextmanager
def an_agent_that_tells_imports(host: Host, folder: Path) -> Iterator[Path]:
    """Run the agent as an operator does; yield the file with its log and its imports."""
    home = {"state": host.state, "run": host.run, "socket": folder / "sock", "metrics": ""}
    given = {f"{settings.PREFIX}{name.upper()}": str(value) for name, value in home.items()}
    log = folder / "agent.log"
    environment = {**os.environ, **TELL_IMPORTS, **given, "NOTIFY_SOCKET": ""}
    with (
        log.open("w") as stream,
        children.running([PROGRAM, "agent"], stderr=stream, env=environment) as process,
    ):
        wait_for(lambda: "the agent is ready" in log.read_text() or process.poll() is not None)
        yield log


def test_an_agent_that_has_followed_an_event_has_not_loaded_it(
    runtime: Runtime, wires: Wires, tmp_path: Path
) -> None:
    with an_agent_that_tells_imports(runtime.host, tmp_path) as log:
        runtime.add(a_config(links=wires.links, miimon=50)).ok()
        wait_for(lambda: all(member.mii_up for member in wires.pod.the_bond().members))
        wires.far.ip("link set far1 down")
        wires.far.ip("link set far2 down")
        wait_for(lambda: " kind=" in log.read_text())
        loaded = imports(log.read_text())

    assert "sriovbond.kernel.watch" in loaded
    assert LOOKED_FOR not in packages(loaded)


def test_a_command_that_asks_nics_loads_it(wires: Wires) -> None:
    """Proves that the tests above can detect the import."""
    wires.pod.batch("link add bond0 type bond")
    done = subprocess.run(
        [PROGRAM, "show", "bond0", "--netns", wires.pod.path],
        env={**os.environ, **TELL_IMPORTS},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert LOOKED_FOR in packages(imports(done.stderr))
