"""A pytest plugin: parallel runs share the modules, and write their progress.

Every run collects all tests. Before a module's first test it claims the module, unless another
run has. So no run waits for another at the end, however different their machines are. A run whose
VM is restarted repeats what it had claimed.
"""

import gc
import signal
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Final

import pytest

PROGRESS: Final = "progress"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--shared", type=Path, help="the folder of the runs that share the modules")
    parser.addoption("--run", help="this run's name among them")


def pytest_configure(config: pytest.Config) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a background job
    config.pluginmanager.register(_Shared(config.getoption("shared"), config.getoption("run")))


class _Shared:
    """One of the runs; its progress file has a word and a test in each line."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._progress = (folder / f"{name}.{PROGRESS}").open("a", encoding="utf-8", buffering=1)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        gc.freeze()  # thousands of tests, which the garbage collector need not walk each time
        self._tell("collected", str(len(session.items)))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._tell("begins", nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._tell("failed", report.nodeid)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._tell("ended", nodeid)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Do as pytest's own loop does, with the modules that no other run has claimed."""
        if session.testsfailed:
            raise session.Interrupted(f"{session.testsfailed} modules cannot be collected")
        items = self._taken(session.items)
        item = next(items, None)
        while item is not None:
            following = next(items, None)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.shouldstop:
                raise session.Interrupted(session.shouldstop)
            item = following
        return True

    def _taken(self, items: list[pytest.Item]) -> Iterator[pytest.Item]:
        """Yield the tests of one module after the other, long ones first."""
        modules = [list(tests) for _, tests in groupby(items, lambda item: item.path)]
        for tests in sorted(modules, key=lambda tests: (not _is_long(tests), -len(tests))):
            name = tests[0].nodeid.partition("::")[0].replace("/", ".")  # of two rooms' modules
            if self._take(self._folder / f"{name}.taken"):
                yield from tests

    def _take(self, module: Path) -> bool:
        try:
            with module.open("x") as taken:
                taken.write(self._name)
        except FileExistsError:
            return module.read_text() == self._name
        return True

    def _tell(self, word: str, what: str) -> None:
        self._progress.write(f"{word} {what}\n")


def _is_long(tests: list[pytest.Item]) -> bool:
    return any(item.get_closest_marker("long") for item in tests)
