"""Container ids, and whose a file is when its name could be read with several of them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeVar

from deviceinfo.device import DeviceInfoError

Rest = TypeVar("Rest")

# The CNI specification, section 2, "Parameters".
_CONTAINER_ID: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.\-]*")
# containerd, CRI-O and podman draw ids of this one form, so none of theirs can start another.
_RUNTIME_ID: Final = re.compile(r"[0-9a-f]{64}")


def require_container_id(container_id: str, folder: Path) -> None:
    """Raise DeviceInfoError if CNI allows no such id; one that it allows is safe in file names."""
    if not is_container_id(container_id):
        raise DeviceInfoError(
            f"cannot look for container {container_id!r} in {folder}: a container id starts with a"
            " letter or digit and goes on with these, '_', '.' or '-'"
        )


def is_container_id(text: str) -> bool:
    """Claim what CNI allows."""
    return _CONTAINER_ID.fullmatch(text) is not None


def settle(rest_of: Mapping[str, Rest]) -> dict[str, Rest]:
    """Keep what is left of a file's name by each owner; an id of a runtime excludes all others."""
    settled = {owner: rest for owner, rest in rest_of.items() if _RUNTIME_ID.fullmatch(owner)}
    return settled or dict(rest_of)
