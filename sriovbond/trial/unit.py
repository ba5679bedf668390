"""The unit of systemd by which a boot applies the documents that were committed."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from deviceinfo import plainfile
from sriovbond import systemd
from sriovbond.container import program
from sriovbond.errors import MachineError
from sriovbond.host import Host
from sriovbond.trial import persisted, store

UNIT: Final = "sriovbond-host.service"
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
    file = systemd.unit_file(host.root, UNIT)
    systemd.write_unit(host.root, UNIT, _text(host))
    links = [file.with_name(f"{target}.wants") / UNIT for target in _TARGETS]
    if not all(link.is_symlink() for link in links):
        systemd.systemctl("enable", UNIT)
        for folder in (file.parent, *(link.parent for link in links)):
            _sync(folder)
    return True


def uninstall(host: Host) -> None:
    """Disable and remove the unit. Idempotent. Raises MachineError."""
    if systemd.unit_file(host.root, UNIT).exists():
        with suppress(MachineError):
            systemd.systemctl("disable", UNIT)
    systemd.remove_unit(host.root, UNIT)


def _text(host: Host) -> str:
    return _TEXT.format(
        documents=systemd.verbatim(str(persisted.folder(host))),
        change=systemd.verbatim(str(store.file(host))),
        environment=systemd.environment_line(),
        program=" ".join(map(systemd.word, program.words())),
        targets=" ".join(_TARGETS),
    )


def _sync(folder: Path) -> None:
    try:
        with plainfile.open_folder(folder) as folder_fd:
            os.fsync(folder_fd)
    except OSError as error:
        raise MachineError(f"cannot write {folder} to the disk: {error.strerror}") from error
