"""What tests in the VM may use of the rig. Standard library only: imports are slow there."""

from tests.vm.layout import Layout, Pf, Remote, Vf
from tests.vm.layout import load as layout
from tests.vm.qemu import QemuError, plug_cable, pull_cable, qmp, unplug
from tests.vm.reset import reset_vfs

__all__ = [
    "Layout",
    "Pf",
    "QemuError",
    "Remote",
    "Vf",
    "layout",
    "plug_cable",
    "pull_cable",
    "qmp",
    "reset_vfs",
    "unplug",
]
