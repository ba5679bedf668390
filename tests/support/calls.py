"""Calls the plugin as a runtime does, in this process: environment and stdin in, JSON out."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deviceinfo import Ask
from sriovbond import dispatch
from sriovbond.host import Host
from tests.support.pods import Pod

VERSION = "1.1.0"
Config = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Reply:
    """The plugin's answer; `body` is {} when nothing was printed."""

    status: int
    body: dict[str, Any]

    @property
    def code(self) -> int:
        return int(self.body.get("code", 0)) if self.status else 0

    @property
    def msg(self) -> str:
        return str(self.body.get("msg", "")) if self.status else ""

    def ok(self) -> dict[str, Any]:
        """Return the body of a success; on an error fail with its message."""
        assert self.status == 0, json.dumps(self.body, indent=2)
        return self.body


@dataclass(frozen=True, slots=True)
class Runtime:
    """A container runtime with one pod."""

    host: Host
    pod: Pod
    ifname: str = "bond0"
    environment: Mapping[str, str] = field(default_factory=dict)
    asks: tuple[Ask, ...] = ()

    def call(self, command: str, config: Config | bytes, **environment: str) -> Reply:
        """Run one CNI command; `environment` overrides variables, an empty one removes it."""
        env_vars = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": self.pod.container_id,
            "CNI_NETNS": self.pod.path,
            "CNI_IFNAME": self.ifname,
            "CNI_PATH": plugin_path(),
            **self.environment,
            **environment,
        }
        environ = {name: value for name, value in env_vars.items() if value}
        stdin = config if isinstance(config, bytes) else json.dumps(config).encode()
        answer = dispatch.answer(environ, stdin, self.host, self.asks)
        return Reply(answer.status, json.loads(answer.stdout or "{}"))

    def add(self, config: Mapping[str, object], **environment: str) -> Reply:
        return self.call("ADD", config, **environment)

    def delete(self, config: Config | bytes, **environment: str) -> Reply:
        return self.call("DEL", config, **environment)

    def check(
        self, config: Mapping[str, object], result: Mapping[str, object], **environment: str
    ) -> Reply:
        return self.call("CHECK", {**config, "prevResult": result}, **environment)


def a_config(**keys: object) -> dict[str, object]:
    """Return a network configuration with these keys; named and versioned."""
    return {"cniVersion": VERSION, "name": "test-bond", "type": "sriovbond", **keys}


def a_network(*configs: Mapping[str, object]) -> str:
    """Return the network list with these plugins, as a file in the runtime's folder."""
    common = ("cniVersion", "name")
    plugins = [{key: config[key] for key in config if key not in common} for config in configs]
    return json.dumps({**{key: a_config()[key] for key in common}, "plugins": plugins})


def plugin_path() -> str:
    """Return the CNI_PATH with the reference plugins, and the peer plugins if there are any."""
    folders = (os.environ.get("SRIOVBOND_PLUGINS", ""), os.environ.get("SRIOVBOND_PEERS", ""))
    return ":".join(filter(None, folders))
