"""The identity of an attachment, and the key that names its files."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MAX_CONTAINER_ID: Final = 200  # leaves room in a file name for "@" and IFNAME; longer: hashed
FNV_START: Final = 0xCBF29CE484222325  # FNV-1a of 64 bits, a few lines in C; pods do not choose ids
FNV_PRIME: Final = 0x100000001B3


@dataclass(frozen=True, slots=True)
class Attachment:
    """A container and an interface in it: created by one ADD, removed by one DEL (SPEC 3)."""

    container_id: str
    ifname: str

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Attachment":
        """Return the attachment that the CNI_* variables name, unchecked."""
        return cls(environment.get("CNI_CONTAINERID", ""), environment.get("CNI_IFNAME", ""))

    @property
    def key(self) -> str:
        """The name of its record, lock, queued DEL and lane; container ids cannot contain "@".

        The shim computes the same key in C (write_name in shim.c) with the same constants.
        """
        if len(self.container_id) <= MAX_CONTAINER_ID:
            return f"{self.container_id}@{self.ifname}"
        return f"#{_hash(self.container_id.encode('utf-8', 'surrogateescape')):016x}@{self.ifname}"


def split_key(key: str) -> tuple[str, str]:
    """Return the container's id, or the hash of a long one, and the interface of a key.

    An interface's name may contain "@".
    """
    container_id, _, ifname = key.partition("@")
    return container_id, ifname


NO_ATTACHMENT: Final = Attachment("", "")
"""The attachment of VERSION, STATUS and GC, which are called for none."""


def _hash(content: bytes) -> int:
    value = FNV_START
    for byte in content:
        value = (value ^ byte) * FNV_PRIME % (1 << 64)
    return value
