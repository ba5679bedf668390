"""The queue of DELs that the shim kept while no agent answered, and their replay."""

import logging
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deviceinfo import PodRef, plainfile
from deviceinfo.plainfile import NotPlainError, UnreadableError
from sriovbond import dispatch, log, ownfiles, records
from sriovbond.cni.attachment import Attachment
from sriovbond.cni.environment import check_variables, parse_args
from sriovbond.cni.versions import Command
from sriovbond.cni.wire import CniError
from sriovbond.dispatch import Agency
from sriovbond.errors import MachineError
from sriovbond.host import Host
from sriovbond.release import Keeper
from sriovbond.shim import wire
from sriovbond.shim.wire import FrameError, Request
from sriovbond.subject import pod_of

_MAX_FILE: Final = wire.HEAD_BYTES + wire.MAX_REQUEST
_DAMAGED: Final = "damaged"
_PODS_S: Final = 1.0
_ABANDONED_S: Final = 600.0  # longer than a shim may run


class DamagedError(Exception):
    """A file of the queue that is no DEL of the attachment it is named for."""


@dataclass(frozen=True, slots=True)
class Queue:
    """The queue folder, owned by root, with one file per attachment.

    The caller of `replay` makes sure that no other call of the attachment runs meanwhile.
    """

    folder: Path
    owner: int = 0

    def make(self) -> None:
        """Create the folder, and remove temporary files of killed shims. Raises MachineError."""
        ownfiles.make_folder(self.folder, self.owner)
        for path in self.folder.glob(".*"):
            with suppress(OSError):
                if path.lstat().st_mtime < time.time() - _ABANDONED_S:
                    path.unlink()

    def waiting(self) -> list[str]:
        """Return the attachments with a queued DEL, the oldest first.

        Empty when the folder cannot be read now: the caller looks again periodically.
        """
        dated = []
        with suppress(OSError), os.scandir(self.folder) as entries:
            for entry in entries:
                with suppress(OSError):
                    if "@" in entry.name and not entry.name.startswith("."):
                        dated.append((entry.stat(follow_symlinks=False).st_mtime_ns, entry.name))
        return [name for _, name in sorted(dated)]

    def pods(self) -> dict[str, PodRef]:
        """Return the pods of the queued DELs, as far as they can be read within a second."""
        until = time.monotonic() + _PODS_S
        pods = {}
        for key in self.waiting():
            with suppress(OSError, DamagedError, UnreadableError, CniError):
                args = _read(self.folder / key).environment.get("CNI_ARGS", "")
                pods[key] = pod_of(parse_args(args))
            if time.monotonic() > until:
                break
        return pods

    def has(self, key: str) -> bool:
        """Return whether a DEL of the attachment is queued."""
        return os.path.lexists(self.folder / key)

    def keep(self, request: Request) -> str:
        """Queue a DEL as the shim would; return why that failed, or ""."""
        try:
            check_variables(Command.DEL, request.environment)
            if len(self.waiting()) >= wire.MAX_QUEUED:
                return f"{wire.MAX_QUEUED} DELs wait already"
            name, content = Attachment.of(request.environment).key, wire.encode_request(request)
            ownfiles.put(self.folder / name, content)
        except CniError as error:
            return error.msg
        except OSError as error:
            return f"{str(self.folder)!r}: {error.strerror}"
        return ""

    def replay(self, key: str, host: Host, keeper: Keeper | None = None) -> str:
        """Run the queued DEL of the attachment, if any; return why it failed, or "".

        A file that is no DEL is moved aside, so that it blocks no other.
        """
        path = self.folder / key
        try:
            request = _read(path)
        except FileNotFoundError:
            return ""
        except (DamagedError, NotPlainError) as error:
            self._set_aside(path, error)
            return ""
        except UnreadableError as error:
            return f"cannot read {str(path)!r}: {error}"
        environment = without_unproven_netns(request.environment, host)
        answer = dispatch.answer(environment, request.stdin, host, (), Agency(keeper=keeper))
        if answer.failure:
            return answer.failure.message
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            return f"it is done, and {str(path)!r} cannot be removed: {error.strerror}"
        log.event(logging.INFO, "a queued DEL is done", queued=key)
        return ""

    def _set_aside(self, path: Path, error: Exception) -> None:
        aside = self.folder / _DAMAGED / path.name
        log.event(
            logging.ERROR,
            f"cannot replay the queued DEL {str(path)!r}: {error}; it is kept as {str(aside)!r}",
        )
        with suppress(OSError):
            aside.parent.mkdir(mode=0o700, exist_ok=True)
            path.rename(aside)


def _read(path: Path) -> Request:
    """Return the DEL in a file of the queue. Raises DamagedError, and what plainfile does."""
    content = plainfile.read(path, _MAX_FILE)
    try:
        request = wire.decode_frame(content)
    except FrameError as error:
        raise DamagedError(str(error)) from error
    environment = request.environment
    if environment.get("CNI_COMMAND") != Command.DEL or Attachment.of(environment).key != path.name:
        raise DamagedError("it is no DEL of the attachment that it is named after")
    try:
        check_variables(Command.DEL, environment)
    except CniError as error:
        raise DamagedError(error.msg) from error
    return request


def without_unproven_netns(environment: Mapping[str, str], host: Host) -> Mapping[str, str]:
    """Return the variables, without CNI_NETNS when no record proves which namespace it was.

    The path may belong to another pod by now, with a bond of its own.
    """
    with suppress(MachineError):
        if records.read(host, Attachment.of(environment).key):
            return environment
    return {name: text for name, text in environment.items() if name != "CNI_NETNS"}
