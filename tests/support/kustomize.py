"""What `kubectl apply --kustomize` would apply, by kustomize itself."""

import hashlib
import os
import subprocess
from pathlib import Path
from typing import Any, Final

import yaml

CHECKOUT: Final = Path(__file__).resolve().parents[2]
Manifest = dict[str, Any]


def build(folder: Path) -> list[Manifest]:
    """Return the objects of a folder with a kustomization."""
    program = programs() / "kustomize"
    assert program.exists(), f"there is no {program}: run `make rig`"
    done = subprocess.run([program, "build", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def programs() -> Path:
    """Return the folder in which make installs third-party programs."""
    exported = os.environ.get("SRIOVBOND_PLUGINS")
    if exported:
        return Path(exported)
    cache = os.environ.get("SRIOVBOND_CACHE") or (
        f"{os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'}/sriovbond"
    )
    pinned = b"".join(path.read_bytes() for path in sorted((CHECKOUT / "tests/tools").iterdir()))
    return Path(cache, f"bin-{hashlib.sha256(pinned).hexdigest()[:12]}")
