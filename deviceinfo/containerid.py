"""Container ids, and the owner of a file whose name is ambiguous between several."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeVar

from deviceinfo.device import DeviceInfoError

Rest = TypeVar("Rest")

# The CNI specification, section 2, "Parameters".
_CONTAINER_ID: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.\-]*")
# containerd, CRI-O and podman generate ids of this form only, so none is a prefix of another.
_RUNTIME_ID: Final = re.compile(r"[0-9a-f]{64}")


def require_container_id(container_id: str, folder: Path) -> None:
    """Raise DeviceInfoError unless CNI allows the id; an allowed one is safe in file names."""
    if not is_container_id(container_id):
        raise DeviceInfoError(
            f"cannot look for container {container_id!r} in {folder}: a container id starts with a"
            " letter or digit and goes on with these, '_', '.' or '-'"
        )


def is_container_id(text: str) -> bool:
    """Return whether CNI allows the id."""
    return _CONTAINER_ID.fullmatch(text) is not None


def settle(rest_of: Mapping[str, Rest]) -> dict[str, Rest]:
    """Return the rest of a file's name by possible owner; a runtime's id excludes all others."""
    settled = {owner: rest for owner, rest in rest_of.items() if _RUNTIME_ID.fullmatch(owner)}
    return settled or dict(rest_of)
