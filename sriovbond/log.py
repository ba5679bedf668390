"""The log: one line per event, `key=value` fields, on stderr or in a file; never on stdout."""

import json
import logging
import os
import re
import select
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, Protocol, TextIO

from deviceinfo.plainfile import NotPlainError
from sriovbond import ownfiles

_SINK: ContextVar["_Sink | None"] = ContextVar("sink", default=None)
_STEP: ContextVar[str] = ContextVar("step", default="")
_TIMES: ContextVar[dict[str, float] | None] = ContextVar("times", default=None)
_PLAIN = re.compile(r"[\w.:/@+,%-]+")
_MOST: Final = 2000  # characters of one field: a pod may name hundreds of links
_BEGINNING: Final = b"time=2"  # of each of our lines; logrus quotes the time
MOST_BYTES: Final = 64 << 20
"""Of a file that a network names: its author must not fill the node's disk."""

_PIPE_BYTES: Final = 4096  # so much fits into a pipe that is writable for poll (PIPE_BUF)


class Writer(Protocol):
    """Writes lines for stderr; neither method may block its caller for long."""

    def write(self, text: str) -> None:
        """Queue a line to be written."""

    def flush(self) -> None:
        """Wait briefly until all is written."""


@dataclass(slots=True)
class _Stderr:
    """The writer of stderr, or the seconds for which this process may still block on it."""

    writer: Writer | None = None
    patience_s: float = 1.0


_STDERR: Final = _Stderr()


def event(level: int, message: str, **fields: object) -> None:
    """Log an event with its fields: pod, container, ifname, pci, rule ...

    `level` is one of logging's. Outside of `logged_to` warnings and worse go to stderr.
    """
    sink = _SINK.get()
    if sink is not None and level >= logging.INFO:
        sink.write(level, message, {"step": _STEP.get(), **fields})
    elif sink is None and level >= logging.WARNING:
        _Sink(None).write(level, message, fields)


def flush() -> None:
    """Write all queued lines before this process ends."""
    if _STDERR.writer:
        _STDERR.writer.flush()


@contextmanager
def written_by(writer: Writer) -> Iterator[None]:
    """Pass all threads' lines for stderr to `writer`."""
    _STDERR.writer = writer
    try:
        yield
    finally:
        flush()
        _STDERR.writer = None


@contextmanager
def logged_to(path: str | None, folder: Path, **common: object) -> Iterator[None]:
    """Log to the file at `path`, else to stderr, each event with the `common` fields.

    It must be below `folder`: the author of a network's configuration chooses it, and root writes
    it. An unusable file does not fail a pod: stderr is used, with a line saying so.
    In this context only: of two threads each logs its own request.
    """
    stream, fault = _stream(path, folder)
    token, outer = _SINK.set(_Sink(stream, _line(common))), _STEP.set("")
    try:
        if fault:
            event(logging.WARNING, fault)
        yield
    finally:
        _STEP.reset(outer)
        _SINK.reset(token)
        if stream:
            with suppress(OSError):
                stream.close()


class step:  # noqa: N801 - used as a function is
    """Name the step of a call, for its events and for `timed`.

    After a failure, the call's error still has the step.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        self._token = _STEP.set(self._name)
        self._started = time.monotonic()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            _STEP.reset(self._token)
        times = _TIMES.get()
        if times is not None:
            took_s = time.monotonic() - self._started
            times[self._name] = times.get(self._name, 0.0) + took_s


@contextmanager
def timed() -> Iterator[dict[str, float]]:
    """Time the steps of the call in the block; yields the seconds by step."""
    times: dict[str, float] = {}
    token = _TIMES.set(times)
    try:
        yield times
    finally:
        _TIMES.reset(token)


def refusal(path: str, folder: Path) -> str:
    """Return why the file at `path` is not used; "" if it is below the folder."""
    file = Path(path)
    if ".." not in file.parts and folder in file.parents:
        return ""
    return f"cannot log to {path!r}: it is not below {folder}; name a file there"


def _stream(path: str | None, folder: Path) -> tuple[TextIO | None, str]:
    if not path:
        return None, ""
    fault = refusal(path, folder)
    if fault:
        return None, f"{fault}; logging to stderr"
    try:
        descriptor = ownfiles.open_to_append(folder, Path(path).relative_to(folder))
    except (OSError, ValueError, NotPlainError) as error:  # ValueError: a NUL in its name
        why = error.strerror if isinstance(error, OSError) else error
        return None, f"cannot log to {path!r}: {why}; logging to stderr"
    fault = _fault_of(descriptor)
    if fault:
        os.close(descriptor)
        return None, f"cannot log to {path!r}: {fault}; logging to stderr"
    return os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace"), ""


def _fault_of(descriptor: int) -> str:
    """Return why an open file cannot be our log; empty if it is, or is new."""
    try:
        if os.pread(descriptor, len(_BEGINNING), 0) not in (b"", _BEGINNING):
            # the author of a network must not write into the node's other logs
            return "it is another program's log"
        if os.fstat(descriptor).st_size >= MOST_BYTES:
            return f"it has {MOST_BYTES >> 20} MiB and more; move it away, as logrotate does"
    except OSError as error:
        return str(error.strerror)
    return ""


@dataclass(frozen=True, slots=True)
class _Sink:
    """A file, or stderr, whose faults (disk full, closed) do not fail a pod.

    `common` are the fields of all its events.
    """

    stream: TextIO | None
    common: str = ""

    def write(self, level: int, message: str, fields: Mapping[str, object]) -> None:
        name = logging.getLevelName(level).lower()
        with suppress(Exception):
            head = {"time": _second(int(time.time())), "level": name, "msg": message}
            line = " ".join(filter(None, (_line(head), self.common, _line(fields))))
            if self.stream is None:
                _write_to_stderr(f"{line}\n")
            else:
                self.stream.write(f"{line}\n")
                self.stream.flush()


def pass_on(text: str) -> None:
    """Write another program's output unchanged; blocks briefly at most."""
    if text:
        with suppress(Exception):
            _write_to_stderr(text)


def _write_to_stderr(text: str) -> None:
    if _STDERR.writer:
        _STDERR.writer.write(text)
        return
    try:
        descriptor = sys.stderr.fileno()
    except OSError:  # a stream in memory
        sys.stderr.write(text)
        return
    data = text.encode("utf-8", "backslashreplace")
    while data and _is_writable(descriptor):
        data = data[os.write(descriptor, data[:_PIPE_BYTES]) :]


def _is_writable(descriptor: int) -> bool:
    """Return whether a write would not block; wait for that as long as this process may."""
    waiting, began_at = select.poll(), time.monotonic()
    waiting.register(descriptor, select.POLLOUT)
    ready = waiting.poll(_STDERR.patience_s * 1000)
    if not ready:
        _STDERR.patience_s = max(0.0, _STDERR.patience_s - (time.monotonic() - began_at))
    return bool(ready)


@lru_cache(1)
def _second(number: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(number))


def _line(fields: Mapping[str, object]) -> str:
    return " ".join(f"{key}={_quoted(value)}" for key, value in fields.items() if value != "")


def _quoted(value: object) -> str:
    text = str(value)
    if len(text) > _MOST:
        text = f"{text[:_MOST]}... ({len(text) - _MOST} more)"
    if _PLAIN.fullmatch(text):
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return visible(quoted)


def visible(text: str) -> str:
    """Return a text with terminal control and invisible characters escaped as in JSON."""
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    """Return a character, escaped as in JSON if it is terminal control or invisible."""
    return character if character.isprintable() else json.dumps(character)[1:-1]
