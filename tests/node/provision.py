"""What the node is made of: images and manifests, ours as we ship them and Multus' as it ships."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from sriovbond import __version__
from tests.kind.objects import MULTUS_IMAGE
from tests.node import images
from tests.node.processes import FailedError
from tests.support import kustomize

OURS: Final = f"localhost/sriovbond:{__version__}"
LATER_VERSION: Final = f"{__version__}.post1"
LATER: Final = f"localhost/sriovbond:{LATER_VERSION}"
"""Ours as a later version: it says so, and has another shim."""
SMALL: Final = "localhost/small:1"
"""busybox: it pauses as a sandbox, and sleeps as a container."""
ARCHIVE: Final = Path("build/image/sriovbond.tar")
"""Our image, as `make image` has made it."""
_MULTUS: Final = "/usr/src/multus-cni/bin"


def require_image() -> None:
    """Raise FailedError if our image has not been made."""
    if not ARCHIVE.exists():
        raise FailedError(f"{ARCHIVE} is missing: run `make image` before")


def make_images(programs: Path, folder: Path) -> list[Path]:
    """Write the archives that the node imports; of ours, the one that `make image` has made."""
    archives = [folder / f"{name}.tar" for name in ("small", "multus", "sriovbond", "later")]
    small, multus, ours, later = archives
    make_small_image(small)
    names = ("multus", "multus-daemon", "multus-shim", "passthru", "install_multus")
    in_place = {f"{_MULTUS}/{name}": programs / name for name in names}
    at_top = {f"/{name}": programs / name for name in ("install_multus", "thin_entrypoint")}
    images.of_programs(multus, MULTUS_IMAGE, in_place | at_top)
    images.uncompressed(ARCHIVE, ours, OURS)
    images.uncompressed(ours, later, LATER, _changes(ours))
    return archives


def _changes(archive: Path) -> dict[str, bytes | None]:
    """Return what of our image is otherwise in a later version of it."""
    package = "/site-packages/sriovbond"
    module, text = images.find(archive, f"{package}/__init__.py$")
    compiled, _ = images.find(archive, rf"{package}/__pycache__/__init__\..*\.pyc$")
    shim, program = images.find(archive, f"{package}/shim/bin/sriovbond$")
    later = text.replace(__version__.encode(), LATER_VERSION.encode())
    assert later != text
    return {module: later, compiled: None, shim: program + LATER_VERSION.encode()}


def make_small_image(archive: Path) -> None:
    """Write the archive of SMALL."""
    busybox = Path(shutil.which("busybox") or "busybox")
    images.of_programs(archive, SMALL, {"/bin/busybox": busybox}, "sleep", "1000000")


def render(folder: Path) -> list[Path]:
    """Write our manifests as a release has them; return the files."""
    image, _, tag = OURS.rpartition(":")
    environment = os.environ | {"PATH": f"{kustomize.programs()}:{os.environ['PATH']}"}
    command = ["manifests/render.sh", image, tag, str(folder)]
    subprocess.run(command, env=environment, check=True)
    return sorted(folder.glob("*.yaml"))
