"""The log: one line an event, `key=value` fields, on stderr or in a file; never on stdout."""

import json
import logging
import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_LOGGER = logging.getLogger("sriovbond")
_PLAIN = re.compile(r"[\w.:/@+,%-]+")


def event(level: int, message: str, **fields: object) -> None:
    """Log what happened, with its fields: pod, container, ifname, pci, rule ..."""
    _LOGGER.log(level, message, extra={"fields": fields})


@contextmanager
def logged_to(path: str | None, **common: object) -> Iterator[None]:
    """Send events to the file at `path`, else to stderr, each with the `common` fields.

    A file that cannot be opened is no reason to fail a pod: stderr is used, and told so.
    """
    handler, fault = _handler(path)
    handler.setFormatter(_Logfmt(common))
    _LOGGER.propagate = False
    _LOGGER.setLevel(logging.INFO)
    _LOGGER.addHandler(handler)
    if fault:
        event(logging.WARNING, fault)
    try:
        yield
    finally:
        _LOGGER.removeHandler(handler)
        handler.close()


def _handler(path: str | None) -> tuple[logging.Handler, str]:
    if not path:
        return _Handler(sys.stderr), ""
    try:
        # O_NONBLOCK: a pipe that nobody reads must not hold up a pod
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
        stream = os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace")
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            stream.close()
            return _Handler(sys.stderr), f"cannot log to {path!r}: no plain file; logging to stderr"
    except OSError as error:
        fault = f"cannot log to {path!r}: {error.strerror}; logging to stderr"
        return _Handler(sys.stderr), fault
    return _Handler(stream), ""


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
