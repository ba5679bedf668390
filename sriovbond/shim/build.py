"""Builds the shim: generates its header from the constants in Python and calls a C compiler.

    python3 -m sriovbond.shim.build TARGET [COMPILER]

Standard library only: it runs where the package is being built.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from sriovbond.cni import attachment
from sriovbond.cni.versions import CURRENT_VERSION, SUPPORTED_VERSIONS
from sriovbond.shim import wire

SOURCE: Final = Path(__file__).with_name("shim.c")
WARNINGS: Final = ("-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror")
FLAGS: Final = (
    "-std=gnu17",
    "-O2",
    "-static",
    "-fstack-protector-strong",
    "-D_FORTIFY_SOURCE=2",
    "-Wl,-z,relro,-z,now,-z,noexecstack",
    "-s",
)
# Defaults of socket, queue, owner and timeouts; tests override them with -D.
_DEFAULTS: Final = {
    "SHIM_SOCKET": '"/run/sriovbond/agent.sock"',
    "SHIM_STATE": '"/var/lib/sriovbond"',
    "SHIM_OWNER": "0",  # required owner of the agent process and of the queue
    "SHIM_DEADLINE_MS": str(1000 * wire.DEADLINE_S),
    "SHIM_CONNECT_MS": "5000",  # for an agent whose backlog is full
}


class BuildError(Exception):
    """The shim cannot be built; the text says why."""


def build(
    target: Path, compiler: str = "", flags: Sequence[str] = FLAGS, source: Path = SOURCE
) -> Path:
    """Build the shim as `target`, created atomically; return it.

    Raises BuildError when there is no compiler, or it fails.
    """
    compiler = compiler or os.environ.get("CC") or _static_compiler()
    if shutil.which(compiler) is None:
        raise BuildError(
            f"cannot build the shim: there is no C compiler {compiler!r}; install musl-tools, "
            "or gcc and libc6-dev"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent, prefix=".shim-") as folder:
        Path(folder, "generated.h").write_text(header(), encoding="ascii")
        fresh = Path(folder, target.name)
        command = [compiler, *WARNINGS, *flags, f"-I{folder}", str(source), "-o", str(fresh)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - the requested compiler
        if done.returncode:
            raise BuildError(f"cannot build the shim with {compiler!r}: {done.stderr}")
        fresh.replace(target)
    return target


def _static_compiler() -> str:
    """Return musl's compiler if installed: glibc's static startup doubles the shim's start time."""
    return "musl-gcc" if shutil.which("musl-gcc") else "cc"


def header() -> str:
    """Return the content of generated.h, which shim.c includes."""
    versions = ", ".join(f'"{version}"' for version in SUPPORTED_VERSIONS)
    bounds = ("MAX_ENVIRONMENT", "MAX_STDIN", "MAX_STDOUT", "MAX_QUEUED")
    return "\n".join(
        [
            "/* by sriovbond/shim/build.py */",
            f'#define REQUEST_MAGIC "{wire.REQUEST_MAGIC.decode()}"',
            f'#define ANSWER_MAGIC "{wire.ANSWER_MAGIC.decode()}"',
            *(f"#define {name} {getattr(wire, name)}" for name in bounds),
            f"#define MAX_CONTAINER_ID {attachment.MAX_CONTAINER_ID}",
            *(
                f"#define {name} {getattr(attachment, name)}u"
                for name in ("FNV_START", "FNV_PRIME")
            ),
            *(f"#ifndef {name}\n#define {name} {text}\n#endif" for name, text in _DEFAULTS.items()),
            f'#define CURRENT_VERSION "{CURRENT_VERSION}"',
            f"static const char *const VERSIONS[] = {{{versions}}};",
            f"#define SUPPORTED {json.dumps(_supported())}",
            "",
        ]
    )


def _supported() -> str:
    """Return the constant part of VERSION's result, as `dispatch` prints it."""
    answer = json.dumps({"supportedVersions": list(SUPPORTED_VERSIONS)})
    return answer.removeprefix("{").removesuffix("}")


def main(arguments: Sequence[str]) -> int:
    """Build what the command line names; return the exit status."""
    compiler = arguments[1] if arguments[1:] else ""
    try:
        sys.stdout.write(f"{build(Path(arguments[0]), compiler)}\n")
    except BuildError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
