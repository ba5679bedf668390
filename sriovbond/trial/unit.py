"""The unit of systemd by which a boot applies the documents that were committed."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from deviceinfo import plainfile
from sriovbond import ownfiles, systemd
from sriovbond.container import program
from sriovbond.errors import MachineError
from sriovbond.host import Host
from sriovbond.trial import persisted, store

UNIT: Final = "sriovbond-host.service"
_ASK_S: Final = 30.0
_SYSTEMD: Final = "run/systemd/system"
_TARGETS: Final = ("multi-user.target", "network-online.target")
_TEXT: Final = """\
[Unit]
Description=The node's own network, from the documents of sriovbond host
After=network-pre.target
Wants=network-pre.target
Before=network.target network-online.target kubelet.service
ConditionDirectoryNotEmpty=|{documents}
ConditionPathExists=|{change}

[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutStartSec=900
{environment}ExecStart={program} host boot

[Install]
WantedBy={targets}
"""


def install(host: Host) -> bool:
    """Install and enable the unit where systemd runs; return whether it does.

    It outlives a power loss from then on. Nothing is done where it is there. Raises MachineError.
    """
    if not (host.root / _SYSTEMD).is_dir():
        return False
    folder, content = host.root / systemd.UNITS, _text(host).encode()
    try:
        if not _is_there(folder, content):
            ownfiles.put(folder / UNIT, content, 0o644)
            _ask("daemon-reload")
            _ask("enable", UNIT)
            for path in (folder, *(link.parent for link in _links(folder))):
                _sync(path)
    except (OSError, subprocess.SubprocessError) as error:
        raise MachineError(f"cannot install {folder / UNIT}: {error}") from error
    return True


def uninstall(host: Host) -> None:
    """Disable and remove the unit. Idempotent. Raises MachineError."""
    file = host.root / systemd.UNITS / UNIT
    if not file.exists():
        return
    with suppress(OSError, subprocess.SubprocessError):
        _ask("disable", UNIT)
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise MachineError(f"cannot remove {file}: {error.strerror}") from error
    with suppress(OSError, subprocess.SubprocessError):
        _ask("daemon-reload")


def _text(host: Host) -> str:
    return _TEXT.format(
        documents=systemd.verbatim(str(persisted.folder(host))),
        change=systemd.verbatim(str(store.file(host))),
        environment=systemd.environment_line(),
        program=" ".join(map(systemd.word, program.words())),
        targets=" ".join(_TARGETS),
    )


def _is_there(folder: Path, content: bytes) -> bool:
    file = folder / UNIT
    is_written = file.is_file() and file.read_bytes() == content
    return is_written and all(link.is_symlink() for link in _links(folder))


def _links(folder: Path) -> Iterator[Path]:
    """Yield the links by which the targets start the unit."""
    for target in _TARGETS:
        yield folder / f"{target}.wants" / UNIT


def _sync(folder: Path) -> None:
    with plainfile.open_folder(folder) as folder_fd:
        os.fsync(folder_fd)


def _ask(*words: str) -> None:
    systemd.run(["systemctl", *words], _ASK_S)
