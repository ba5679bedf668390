"""What the VM has beyond other tests' VMs: a disk, and a wire to the API server alone."""

import shlex
import shutil
from pathlib import Path
from typing import Final

from tests.node.credentials import SERVICE

MAC: Final = "52:54:00:a1:00:00"
ADDRESS: Final = "10.96.0.15"
DISK: Final = Path("/dev/vda")
_NETWORK: Final = "10.96.0.0/24"


def qemu_options(port: int, disk: Path) -> str:
    """Return QEMU's options; what the VM sends to SERVICE arrives at this port of the loopback.

    QEMU starts a program for each connection. All other packets stay within QEMU: `restrict`.
    """
    relay = f"{shutil.which('busybox')} nc 127.0.0.1 {port}"
    user = f"user,id=api,net={_NETWORK},restrict=on,guestfwd=tcp:{SERVICE}:443-cmd:{relay}"
    return shlex.join(
        [
            *("-netdev", user),
            *("-device", f"virtio-net-pci,netdev=api,mac={MAC}"),
            *("-drive", f"file={disk},if=virtio,format=raw,cache=unsafe"),
        ]
    )
