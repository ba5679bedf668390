"""Makes the Python messages of deviceinfo/podresources.proto whenever this project is built."""

from pathlib import Path

from grpc_tools import protoc
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_PROTO = "deviceinfo/podresources.proto"


class ProtocHook(BuildHookInterface):
    """Runs for a wheel and for an editable install, which is a wheel to hatchling."""

    def initialize(self, version: str, build_data: dict[str, list[str]]) -> None:  # noqa: ARG002
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
