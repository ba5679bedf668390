"""Leaves the agent's container for the host, to run a command there from a copy.

By the namespaces of PID 1, so the container needs the host's PID namespace and network. Files that
a person names stay those of the container: they are reached by descriptors that it left open.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from sriovbond import __version__, libc
from sriovbond.errors import MachineError

FOLDER: Final = "program"
"""The copies' folder, below the state's."""
_CONTAINED: Final = "SRIOVBOND_AGENT_HOST_ROOT"
"""The agent's setting, which each process in its container has."""
_CAME_FROM: Final = "SRIOVBOND_CAME_FROM"
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_INIT: Final = Path("/proc/1")
_KINDS: Final = ("uts", "ipc", "cgroup", "mnt")  # the last is that by which files are found
_DESCRIPTORS: Final = "/proc/self/fd"


def enter_host(arguments: Sequence[str], state: Path) -> None:
    """Run these arguments on the host instead, when this is the agent's container.

    Returns only where it is not. `state` is the folder that both have at the same path. Raises
    MachineError.
    """
    root = os.environ.get(_CONTAINED, "/")
    if root == "/":
        return
    from sriovbond.container import copying  # noqa: PLC0415 - on a host none of it is needed

    _check(state)
    launcher = copying.make(state / FOLDER, __version__, Path(root))
    _run(launcher, arguments)


def came_from_container() -> bool:
    """Return whether a person called this from a container: over the node's own network."""
    return _CAME_FROM in os.environ


def path_here(path: str) -> str:
    """Return the path by which a file that a person in the container has named is reached here."""
    root, _, folder = os.environ.get(_CAME_FROM, "").partition(":")
    if not folder or path == "-":
        return path
    return (
        f"{_DESCRIPTORS}/{root}{path}"
        if path.startswith("/")
        else f"{_DESCRIPTORS}/{folder}/{path}"
    )


def path_named(path: str) -> str:
    """Return the path as the person has named it."""
    root, _, folder = os.environ.get(_CAME_FROM, "").partition(":")
    if folder and path.startswith(f"{_DESCRIPTORS}/{root}/"):
        return path.removeprefix(f"{_DESCRIPTORS}/{root}")
    return path.removeprefix(f"{_DESCRIPTORS}/{folder}/") if folder else path


def _check(state: Path) -> None:
    """Refuse a container that does not see the host: another would be changed, or nothing."""
    own = Path("/proc/self")
    if _same(_INIT / "ns/mnt", own / "ns/mnt"):
        raise MachineError(
            "PID 1 is of this container, not of the host: hostPID: true is needed; on a host "
            f"{_CONTAINED} is to be unset"
        )
    if not _same(_INIT / "ns/net", own / "ns/net"):
        raise MachineError(
            "this container's network is not the host's: hostNetwork: true is needed"
        )
    if not _same(_INIT / "root" / state.relative_to("/"), state):
        raise MachineError(
            f"{str(state)!r} is another folder on the host: mount the host's there, by hostPath"
        )


def _same(one: Path, other: Path) -> bool:
    try:
        return os.path.samestat(one.stat(), other.stat())
    except OSError as error:
        raise MachineError(
            f"cannot compare {str(one)!r} with {str(other)!r}: {error.strerror}; a privileged "
            "container with hostPID: true is needed"
        ) from error


def _run(launcher: Path, arguments: Sequence[str]) -> NoReturn:
    """Run the launcher with the root and the namespaces of PID 1, in this process."""
    root, folder = (os.open(place, os.O_PATH | os.O_DIRECTORY) for place in ("/", "."))
    namespaces = [os.open(_INIT / "ns" / kind, os.O_RDONLY | os.O_CLOEXEC) for kind in _KINDS]
    environment = {
        "PATH": _PATH,
        "TERM": os.environ.get("TERM", ""),
        _CAME_FROM: f"{root}:{folder}",
    }
    for descriptor in (root, folder):
        os.set_inheritable(descriptor, True)  # noqa: FBT003 - by its name
    try:
        for namespace in namespaces:
            libc.setns(namespace, 0)
        os.chdir("/")
        os.execve(launcher, [str(launcher), "sriovbond", *arguments], environment)  # noqa: S606
    except OSError as error:
        raise MachineError(
            f"cannot run {str(launcher)!r} on the host: {error.strerror}; is its folder mounted "
            "there with noexec?"
        ) from error
