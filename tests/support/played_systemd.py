"""Programs of systemd that answer as a test says, and note their calls."""

import os
from pathlib import Path
from typing import Final

import pytest

from sriovbond import systemd

_SYSTEMD_RUN: Final = '#!/bin/sh\necho "systemd-run $*" >> {log}\nexit {run}\n'
_SYSTEMCTL: Final = (
    '#!/bin/sh\necho "systemctl $*" >> {log}\n[ "$1" != is-active ] || echo {state}\n'
)


def a_systemd(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, state: str = "active", run: int = 0
) -> Path:
    """Put programs of systemd into PATH that answer so; return the file of their calls."""
    log = folder / "calls"
    for name, text in (("systemd-run", _SYSTEMD_RUN), ("systemctl", _SYSTEMCTL)):
        program = folder / name
        program.write_text(text.format(log=log, run=run, state=state))
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr(systemd, "is_usable", lambda: True)  # the one made above
    return log
