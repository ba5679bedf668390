"""The log: one line an event, `key=value` fields, on stderr or in a file; never on stdout."""

import json
import logging
import os
import re
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Final

_LOGGER = logging.getLogger("sriovbond")
_HANDLER: ContextVar[logging.Handler | None] = ContextVar("handler", default=None)
_STEP: ContextVar[str] = ContextVar("step", default="")
_TIMES: ContextVar[dict[str, float] | None] = ContextVar("times", default=None)
_PLAIN = re.compile(r"[\w.:/@+,%-]+")
_FOLDER: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
# O_NONBLOCK: a pipe that nobody reads must not hold up a pod
_APPEND: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC


def event(level: int, message: str, **fields: object) -> None:
    """Log what happened, with its fields: pod, container, ifname, pci, rule ..."""
    handler = _HANDLER.get() or logging.lastResort
    name, extra = _LOGGER.name, {"fields": {"step": _STEP.get(), **fields}}
    record = _LOGGER.makeRecord(name, level, "", 0, message, (), None, extra=extra)
    if handler and level >= handler.level:
        handler.handle(record)


@contextmanager
def logged_to(path: str | None, folder: Path, **common: object) -> Iterator[None]:
    """Send events to the file at `path`, else to stderr, each with the `common` fields.

    It must be below `folder`: whoever may write a network's configuration chooses it, and root
    writes it. One that cannot be used is no reason to fail a pod: stderr is used, and told so.
    In this context only: of two threads each logs its own request.
    """
    handler, fault = _handler(path, folder)
    handler.setFormatter(_Logfmt(common))
    handler.setLevel(logging.INFO)
    token, outer = _HANDLER.set(handler), _STEP.set("")
    try:
        if fault:
            event(logging.WARNING, fault)
        yield
    finally:
        _STEP.reset(outer)
        _HANDLER.reset(token)
        handler.close()


@contextmanager
def step(name: str) -> Iterator[None]:
    """Name the step that a call is at: in its events, and to whoever times it.

    Where it fails, the call's error still tells the step.
    """
    started = time.monotonic()
    token = _STEP.set(name)
    try:
        yield
        _STEP.reset(token)
    finally:
        times = _TIMES.get()
        if times is not None:
            times[name] = times.get(name, 0.0) + time.monotonic() - started


@contextmanager
def timed() -> Iterator[dict[str, float]]:
    """Have the steps of the block's call timed; yields them by name, in seconds."""
    times: dict[str, float] = {}
    token = _TIMES.set(times)
    try:
        yield times
    finally:
        _TIMES.reset(token)


def refusal(path: str, folder: Path) -> str:
    """Say why the file at `path` is not logged to; nothing where it is below the folder."""
    asked = Path(path)
    if ".." not in asked.parts and folder in asked.parents:
        return ""
    return f"cannot log to {path!r}: it is not below {folder}; name a file there"


def _handler(path: str | None, folder: Path) -> tuple[logging.Handler, str]:
    if not path:
        return _Handler(sys.stderr), ""
    fault = refusal(path, folder)
    if fault:
        return _Handler(sys.stderr), f"{fault}; logging to stderr"
    try:
        descriptor = _opened(folder, Path(path).relative_to(folder))
    except (OSError, ValueError) as error:  # ValueError: no file has a NUL in its name
        why = error.strerror if isinstance(error, OSError) else error
        return _Handler(sys.stderr), f"cannot log to {path!r}: {why}; logging to stderr"
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return _Handler(sys.stderr), f"cannot log to {path!r}: no plain file; logging to stderr"
    stream = os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace")
    return _Handler(stream), ""


def _opened(folder: Path, below: Path) -> int:
    """Open a file below the folder to append to it, following no link on the way."""
    *parents, name = below.parts
    here = os.open(folder, _FOLDER)
    try:
        for parent in parents:
            inside = os.open(parent, _FOLDER | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = inside
        return os.open(name, _APPEND | os.O_NOFOLLOW, 0o600, dir_fd=here)
    finally:
        os.close(here)


class _Handler(logging.StreamHandler):  # type: ignore[type-arg] # generic only in stubs
    """A stream whose faults (a full disk) are no reason to fail a pod."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Lose the line."""

    def close(self) -> None:
        if self.stream is not sys.stderr:
            with suppress(OSError):
                self.stream.close()
        super().close()


class _Logfmt(logging.Formatter):
    def __init__(self, common: dict[str, object]) -> None:
        super().__init__()
        self._common = common

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "msg": record.getMessage(),
            **self._common,
            **getattr(record, "fields", {}),
        }
        return " ".join(f"{key}={_quoted(value)}" for key, value in fields.items() if value != "")


def _quoted(value: object) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
