"""cnitool, which goes through libcni as every runtime does; it gives no K8S_POD_* arguments."""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.calls import a_network, plugin_path

Process = subprocess.CompletedProcess[str]


@dataclass(frozen=True, slots=True)
class Tool:
    """cnitool with a folder of plugins and one of network lists."""

    folder: Path
    configs: Path

    def define(self, *configs: dict[str, object]) -> None:
        (self.configs / "10-bond.conflist").write_text(a_network(*configs))

    def run(
        self, command: str, netns: str, runtime_config: Mapping[str, object] | None = None
    ) -> Process:
        return subprocess.run(
            ["cnitool", command, "test-bond", netns],
            env={
                "PATH": f"{plugin_path()}:{os.environ['PATH']}",
                "CNI_PATH": f"{self.folder}:{plugin_path()}",
                "NETCONFPATH": str(self.configs),
                "CNI_IFNAME": "bond0",
                **({"CAP_ARGS": json.dumps(runtime_config)} if runtime_config else {}),
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def ok(
        self, command: str, netns: str, runtime_config: Mapping[str, object] | None = None
    ) -> Any:  # noqa: ANN401 - the result's JSON
        done = self.run(command, netns, runtime_config)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None


def a_tool(where: Path, program: Path) -> Tool:
    """Make a CNI folder with the program linked into it, as an operator does."""
    folder, configs = where / "cni-bin", where / "net.d"
    for made in (folder, configs):
        made.mkdir(exist_ok=True)
    (folder / "sriovbond").symlink_to(program)
    return Tool(folder, configs)
