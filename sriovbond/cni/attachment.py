"""What a container's interface is known by, and the name of the files that are kept of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MAX_CONTAINER_ID: Final = 200  # with "@" and an interface's name, a file name; of more, a hash
FNV_START: Final = 0xCBF29CE484222325  # FNV-1a of 64 bits: a few lines in C, and ids are no pod's
FNV_PRIME: Final = 0x100000001B3


@dataclass(frozen=True, slots=True)
class Attachment:
    """A container and an interface in it: what one ADD makes and one DEL takes away (SPEC 3)."""

    container_id: str
    ifname: str

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Attachment":
        """Return what the CNI_* variables name, unchecked."""
        return cls(environment.get("CNI_CONTAINERID", ""), environment.get("CNI_IFNAME", ""))

    @property
    def key(self) -> str:
        """The name of its record, its lock, its queued DEL and its turn; no container id has an @.

        The shim makes the same name in C (write_name in shim.c), of these very numbers.
        """
        if len(self.container_id) <= MAX_CONTAINER_ID:
            return f"{self.container_id}@{self.ifname}"
        return f"#{_hash(self.container_id.encode('utf-8', 'surrogateescape')):016x}@{self.ifname}"


NO_ATTACHMENT: Final = Attachment("", "")
"""What VERSION, STATUS and GC are for: none."""


def _hash(content: bytes) -> int:
    value = FNV_START
    for byte in content:
        value = (value ^ byte) * FNV_PRIME % (1 << 64)
    return value
