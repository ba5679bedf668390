"""Changes of a node under test as transactions: in this process, and in one that is killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from sriovbond.host import Host
from sriovbond.kernel import netns
from sriovbond.nodenet import document
from sriovbond.nodenet.joined import Joined, join
from sriovbond.reshape.site import Site
from sriovbond.survey import node as survey
from sriovbond.trial import store, transaction
from sriovbond.trial.checkpoint import Checkpoint
from sriovbond.trial.transaction import ChangeOutcome, Manner
from tests.support import wire
from tests.support.sites import NodeUnderTest

T = TypeVar("T")
TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class Changes:
    """What `host apply`, `commit` and `rollback` do, on a node under test."""

    node: NodeUnderTest
    said: list[str]

    def apply(
        self,
        text: str,
        timeout_s: float = TIMEOUT_S,
        *,
        is_waiting: bool = False,
        name: str = "",
    ) -> ChangeOutcome:
        manner = Manner(timeout_s, is_waiting, self.said.append, name, lock_s=TIMEOUT_S)
        prepare = partial(self.node.join, text)
        return self.inside(
            partial(transaction.apply, self.node.site, self.node.host, prepare, manner)
        )

    def commit(self) -> None:
        transaction.commit(self.node.host)

    def rollback(self) -> None:
        self.inside(partial(transaction.rollback, self.node.site, self.node.host))

    def assert_reverted_whole(self, text: str) -> None:
        """Make a change, have the same again do nothing, and find the node as before after it."""
        before = self.node.settle()
        self.apply(text, is_waiting=True)
        assert self.node.is_quiet_on_repeat(text)
        self.rollback()
        self.node.assert_is(before)

    def inside(self, work: Callable[[], T]) -> T:
        """Run it in the node's namespace: a watchdog that it starts is there too."""
        return self.node.site.node.run(work)

    @property
    def checkpoint(self) -> Checkpoint | None:
        return store.read(self.node.host)

    def start(self, text: str, timeout_s: float, *options: str) -> subprocess.Popen[str]:
        """Apply a document in a process of its own; see `main`."""
        folder = self.node.host.state.parent
        (folder / "document.yml").write_text(text, encoding="utf-8")
        words = [sys.executable, "-m", "tests.support.changes", self.node.pod.path, str(folder)]
        return subprocess.Popen(
            [*words, str(timeout_s), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def kill_rollback_at(self, number: int) -> bool:
        """Revert the change in a process that is killed as in `kill_at`."""
        status = _status(number, self.rollback)
        assert status in (0, -signal.SIGKILL)
        return status == -signal.SIGKILL

    def kill_at(self, text: str, number: int, timeout_s: float = TIMEOUT_S) -> bool:
        """Apply a document in a process that is killed before its request of that number.

        Return whether it had so many that change something.
        """
        status = self.end_at(text, number, timeout_s)
        assert status in (0, -signal.SIGKILL)
        return status == -signal.SIGKILL

    def end_at(self, text: str, number: int, timeout_s: float = TIMEOUT_S) -> int:
        """Do as `kill_at`; return the process' status, which is 1 where the change failed."""
        return _status(number, partial(self.apply, text, timeout_s))


def _status(number: int, work: Callable[[], object]) -> int:
    """Do it in a process of its own, which has all imports: they take most of the time.

    It is killed before its request of that number that changes something.
    """

    def begin() -> None:
        wire.at_change(number, wire.die)
        work()

    process = get_context("fork").Process(target=begin)
    process.start()
    process.join(TIMEOUT_S)
    assert process.exitcode is not None
    return process.exitcode


def main() -> None:
    """Apply FOLDER/document.yml in a namespace: PATH FOLDER TIMEOUT [stop=N]."""
    path, folder, timeout_s, *options = sys.argv[1:]
    host = Host(root=Path(folder, "root"), state=Path(folder, "state"), run=Path(folder, "run"))
    text = Path(folder, "document.yml").read_text(encoding="utf-8")
    with netns.opened(path) as namespace:
        site = Site(namespace, host.root, Path("/sys"), host)

        def prepare() -> Joined:
            state = survey.read(namespace, host)
            return join(document.unite(document.read(text, state)).state, state)

        for option in options:
            number = int(option.partition("=")[2])
            wire.at_change(number, partial(os.kill, os.getpid(), signal.SIGSTOP))
        manner = Manner(float(timeout_s), is_waiting=False, say=print)
        namespace.run(partial(transaction.apply, site, host, prepare, manner))


def await_end(changes: Changes, within_s: float) -> None:
    """Wait until no change is in progress."""
    deadline = time.monotonic() + within_s
    while changes.checkpoint is not None:
        assert time.monotonic() < deadline, changes.checkpoint
        time.sleep(0.1)


if __name__ == "__main__":
    main()
