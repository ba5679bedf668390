"""Makes what this project's wheel has beside its Python: kubelet's messages, and the shim."""

import os
import sys
import sysconfig
from pathlib import Path
from typing import Any

from grpc_tools import protoc
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_PROTO = "deviceinfo/podresources.proto"
_WITHOUT_SHIM = "SRIOVBOND_WITHOUT_SHIM"


class BuildHook(BuildHookInterface):
    """Runs for a wheel and for an editable install, which is a wheel to hatchling."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the messages; and the shim, but for an editable install or where it is not wanted.

        With the shim a wheel is for one architecture.
        """
        self._make_messages(build_data)
        if version != "editable" and not os.environ.get(_WITHOUT_SHIM):
            self._make_shim(build_data)

    def _make_messages(self, build_data: dict[str, Any]) -> None:
        """Write `podresources_pb2.py` and `.pyi` beside the .proto, and into the wheel."""
        root = Path(self.root)
        status = protoc.main(
            [
                "protoc",
                f"--proto_path={root}",
                f"--python_out={root}",
                f"--pyi_out={root}",
                _PROTO,
            ]
        )
        if status != 0:
            raise RuntimeError(f"cannot make Python of {root / _PROTO}: protoc says why above")
        # They are in .gitignore, by which hatchling would leave them out.
        build_data["artifacts"] += [_PROTO.replace(".proto", "_pb2.py*")]

    def _make_shim(self, build_data: dict[str, Any]) -> None:
        """Compile `sriovbond/shim/bin/sriovbond` of the wheel."""
        sys.path.insert(0, self.root)
        from sriovbond.shim import build  # noqa: PLC0415 - of the tree that is built

        target = Path(self.root, "build", "shim", "wheel", "sriovbond")
        try:
            build.build(target)
        except build.BuildError as error:
            self.app.abort(f"{error}; or set {_WITHOUT_SHIM}=1 for a wheel without it")
        build_data["force_include"][str(target)] = "sriovbond/shim/bin/sriovbond"
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"
        build_data["pure_python"] = False
