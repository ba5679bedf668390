"""What may be in a record's place that is no record, or none of this version's."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

Spoil = Callable[[Path], None]


def _overwritten(content: bytes) -> Spoil:
    def overwrite(path: Path) -> None:
        path.write_bytes(content)

    return overwrite


def _cut(path: Path) -> None:
    content = path.read_bytes() if path.exists() else b"{}"
    path.write_bytes(content[: len(content) // 2])


def _make_newer(path: Path) -> None:
    fields = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**fields, "format": 2}))


def _make_folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


def _make_pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def _make_link(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to("/etc/shadow")


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


SPOILT: Final[dict[str, Spoil]] = {
    "is overwritten": _overwritten(bytes(range(256)) * 16),
    "is empty": _overwritten(b""),
    "is cut short": _cut,
    "is another program's": _overwritten(b'{"cniVersion": "1.1.0", "type": "sriov", "VFID": 1}'),
    "is a later version's": _make_newer,
    "is a folder": _make_folder,
    "is a pipe": _make_pipe,
    "is a link elsewhere": _make_link,
    "is missing": _remove,
}
"""By what is wrong with it, as a sentence about the record; a pipe's reader would wait for ever."""
