"""A runtime in thick mode: it executes the shim for one pod."""

import json
from dataclasses import dataclass

from sriovbond import dispatch, records
from sriovbond.host import Host
from tests.support.calls import plugin_path
from tests.support.pods import Pod
from tests.support.shims import Shim, variables

Config = dict[str, object]


@dataclass(frozen=True, slots=True)
class Called:
    """The shim's answer to a runtime."""

    stdout: str
    status: int

    @property
    def code(self) -> int:
        return int(json.loads(self.stdout)["code"]) if self.status else 0


@dataclass(frozen=True, slots=True)
class Thick:
    """A runtime that executes the shim for one pod."""

    shim: Shim
    pod: Pod

    @property
    def host(self) -> Host:
        return Host(state=self.shim.state, run=self.shim.home / "run")

    def environment(self, command: str, **overrides: str) -> dict[str, str]:
        pod = {"CNI_CONTAINERID": self.pod.container_id, "CNI_NETNS": self.pod.path}
        return variables(command, **{**pod, "CNI_PATH": plugin_path(), **overrides})

    def call(
        self, command: str, config: Config, prefix: tuple[str, ...] = (), **overrides: str
    ) -> Called:
        stdin = json.dumps(config).encode()
        done = self.shim.run(command, stdin, prefix, **self.environment(command, **overrides))
        return Called(done.stdout.decode(), done.returncode)

    def thin(self, command: str, config: Config) -> Called:
        answer = dispatch.answer(self.environment(command), json.dumps(config).encode(), self.host)
        return Called(answer.stdout, answer.status)

    def record(self) -> records.Record | None:
        return records.read(self.host, self.pod.key())
