"""Our plugin on the node, in the mode of SRIOVBOND_MODE: by our DaemonSet, or as thin mode."""

import os
import sys
from pathlib import Path
from typing import Final

from tests.node import objects
from tests.node.cluster import AGENT, Cluster
from tests.node.node import PLUGINS

MODE: Final = os.environ.get("SRIOVBOND_MODE") or "thick"
IS_THIN: Final = MODE == "thin"


def install(cluster: Cluster, manifests: Path, *, is_emulated: bool) -> None:
    """Install it; return when it can be called."""
    if IS_THIN:
        _link()
    else:
        cluster.api.apply(*objects.ours(manifests, is_emulated=is_emulated))
    await_ready(cluster)


def await_ready(cluster: Cluster) -> None:
    """Return when there is the agent that it needs; in thin mode there is none."""
    if not IS_THIN:
        cluster.await_daemon_set(AGENT)


def _link() -> None:
    """Link the program of this environment into the node's folder, as docs/install.md says."""
    link = PLUGINS / "sriovbond"
    link.unlink(missing_ok=True)
    link.symlink_to(Path(sys.executable).with_name(link.name))
