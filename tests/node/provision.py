"""What the node is made of: images and manifests, ours as we ship them and Multus' as it ships."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

from sriovbond import __version__
from tests.kind.objects import MULTUS_IMAGE
from tests.node import images

OURS: Final = f"localhost/sriovbond:{__version__}"
SMALL: Final = "localhost/small:1"
"""busybox: it pauses as a sandbox, and sleeps as a container."""
_ARCHIVE: Final = Path("build/image/sriovbond.tar")
_MULTUS: Final = "/usr/src/multus-cni/bin"


def make_images(programs: Path, folder: Path) -> None:
    """Write the archives that the node imports; of ours, the one that `make image` has made."""
    busybox = Path(shutil.which("busybox") or "busybox")
    images.of_programs(folder / "small.tar", SMALL, {"/bin/busybox": busybox})
    names = ("multus", "multus-daemon", "multus-shim", "passthru", "install_multus")
    multus = {f"{_MULTUS}/{name}": programs / name for name in names}
    at_top = {f"/{name}": programs / name for name in ("install_multus", "thin_entrypoint")}
    images.of_programs(folder / "multus.tar", MULTUS_IMAGE, multus | at_top)
    images.uncompressed(_ARCHIVE, folder / "sriovbond.tar", OURS)


def render(folder: Path) -> list[Path]:
    """Write our manifests as a release has them; kustomize is in PATH. Return the files."""
    image, _, tag = OURS.rpartition(":")
    subprocess.run(["manifests/render.sh", image, tag, str(folder)], check=True)
    return sorted(folder.glob("*.yaml"))
