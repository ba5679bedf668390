"""Runs code in the host's root, for an agent whose own root is a container's."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Final, TypeVar

from sriovbond import libc
from sriovbond.errors import MachineError

_OWN: Final = Path("/")

T = TypeVar("T")


def run_below(root: Path, work: Callable[[], T]) -> T:
    """Return `work()`, run with `root` as /, which programs that it starts inherit.

    `work` must not import anything: it would be the host's. Raises MachineError if `root` cannot be
    entered.
    """
    if root == _OWN:
        return work()

    def enter_and_work() -> T:
        _enter(root)
        return work()

    # a thread of its own, which shares its root with no other
    with ThreadPoolExecutor(1, thread_name_prefix="host") as thread:
        return thread.submit(copy_context().run, enter_and_work).result()


def _enter(root: Path) -> None:
    try:
        libc.unshare(libc.CLONE_FS)
        os.chroot(root)
        os.chdir("/")
    except OSError as error:
        raise MachineError(
            f"cannot enter the host's root {str(root)!r}: {error.strerror}; mount it there, or "
            "correct the agent's setting host_root"
        ) from error
