"""The measured subjects: programs that a runtime executes, and the kernel's limit here."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.bench.limit import Messages
from tests.support.calls import plugin_path
from tests.support.pods import Pod
from tests.support.shims import variables


class Subject(Protocol):
    """Runs a command for pods at once; returns what each took, in ms."""

    @property
    def name(self) -> str: ...

    def call(self, command: str, pods: Sequence[Pod]) -> list[float]: ...


@dataclass(frozen=True, slots=True)
class Program:
    """A plugin; posix_spawn and two files cost this process the least beside it."""

    name: str
    program: str
    config: Mapping[str, object]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    may_fail: bool = False

    def call(self, command: str, pods: Sequence[Pod]) -> list[float]:
        stdin, outputs = self.folder / "stdin", [self.folder / f"{pod.name}.out" for pod in pods]
        stdin.write_text(json.dumps(self.config))
        orders = [
            (self._environment(command, pod), self._files(stdin, output))
            for pod, output in zip(pods, outputs, strict=True)
        ]
        started: dict[int, float] = {}
        took = []
        for environment, files in orders:
            now = time.perf_counter()
            pid = os.posix_spawn(self.program, [self.program], environment, file_actions=files)
            started[pid] = now
        for _ in pods:
            pid, status = os.wait()
            took.append((time.perf_counter() - started[pid]) * 1000)
            assert self.may_fail or status == 0, [output.read_text() for output in outputs]
        return took

    def _environment(self, command: str, pod: Pod) -> dict[str, str]:
        named = {"CNI_CONTAINERID": pod.container_id, "CNI_NETNS": pod.path}
        environment = {**named, "CNI_PATH": plugin_path(), **self.environment}
        return variables(command, **environment)

    @staticmethod
    def _files(stdin: Path, output: Path) -> list[tuple[int, int, str, int, int]]:
        fresh = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        return [
            (os.POSIX_SPAWN_OPEN, 0, str(stdin), os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(output), fresh, 0o600),
            (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0),
        ]


@dataclass(frozen=True, slots=True)
class Limit:
    """The bare messages; of pods at once each waits for those before, as RTNL is one lock."""

    messages: Mapping[str, Messages]
    name: str = "netlink"

    def call(self, command: str, pods: Sequence[Pod]) -> list[float]:
        started = time.perf_counter()
        took = []
        for pod in pods:
            sent = self.messages[pod.name]
            (sent.add if command == "ADD" else sent.delete)()
            took.append((time.perf_counter() - started) * 1000)
        return took
