"""Runs CNI plugins as programs in a pod, as a container runtime does."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping

from tests.support.calls import Reply, plugin_path
from tests.support.pods import Pod


def call(
    command: str, pod: Pod, ifname: str, config: Mapping[str, object], **environment: str
) -> Reply:
    """Run the plugin that `config` names; `environment` overrides, an empty variable is removed.

    It is searched for in CNI_PATH first. Output that is not JSON is returned under "printed".
    """
    env_vars = {
        "PATH": os.environ["PATH"],
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": pod.container_id,
        "CNI_NETNS": pod.path,
        "CNI_IFNAME": ifname,
        "CNI_PATH": plugin_path(),
        **environment,
    }
    folders = f"{env_vars['CNI_PATH']}:{plugin_path()}"
    program = shutil.which(str(config["type"]), path=folders)
    assert program, f"no plugin {config['type']!r} in {folders}"
    done = subprocess.run(
        [program],
        input=json.dumps(config),
        env={name: value for name, value in env_vars.items() if value},
        text=True,
        capture_output=True,
        check=False,
    )
    try:
        body = json.loads(done.stdout or "{}")
    except ValueError:
        body = {"printed": done.stdout + done.stderr}
    return Reply(done.returncode, body)
