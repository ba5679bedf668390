"""ocicni, the part of CRI-O that executes plugins; its network is a pod's only one."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.calls import Config, a_network, plugin_path
from tests.support.pods import Pod

IFNAME = "eth0"
"""The name of the only network's interface."""


@dataclass(frozen=True, slots=True)
class CriO:
    """A runtime with a folder of plugins and one of network lists, made by `define`."""

    plugins: Path
    configs: Path

    def define(self, config: Config) -> None:
        """Write the one network."""
        self.configs.mkdir(exist_ok=True)
        (self.configs / "10-bond.conflist").write_text(a_network(config))

    def call(self, command: str, pod: Pod) -> str:
        """Run `add`, `status` or `del` for the pod default/nf1; return what is printed."""
        done = subprocess.run(
            ["ocicnitool", command, "default", "nf1", pod.container_id, pod.path],
            env={
                "PATH": f"{plugin_path()}:{os.environ['PATH']}",
                "CONF_PATH": str(self.configs),
                "BIN_PATH": str(self.plugins),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout
