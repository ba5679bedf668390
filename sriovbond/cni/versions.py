"""The commands of the CNI specification, and the versions that define them."""

from enum import StrEnum

from sriovbond.cni.wire import CniError, ErrorCode

SUPPORTED_VERSIONS = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
CURRENT_VERSION = SUPPORTED_VERSIONS[-1]
ASSUMED_VERSION = SUPPORTED_VERSIONS[0]
"""The version of a configuration without cniVersion (libcni, pkg/types/create DecodeVersion)."""


class Command(StrEnum):
    """The values of CNI_COMMAND (SPEC section 2, CNI operations)."""

    ADD = "ADD"
    DEL = "DEL"
    CHECK = "CHECK"
    GC = "GC"
    STATUS = "STATUS"
    VERSION = "VERSION"


_FIRST_VERSIONS = {
    Command.CHECK: "0.4.0",
    Command.GC: "1.1.0",
    Command.STATUS: "1.1.0",
}


def is_at_least(version: str, first: str) -> bool:
    """Return whether the supported `version` is `first` or later."""
    return SUPPORTED_VERSIONS.index(version) >= SUPPORTED_VERSIONS.index(first)


def check_version(version: str) -> str:
    """Return `version`; raises CniError 1 listing the supported ones."""
    if version not in SUPPORTED_VERSIONS:
        raise CniError(
            ErrorCode.INCOMPATIBLE_VERSION,
            f"cannot speak cniVersion {version!r}: this plugin supports "
            f"{', '.join(SUPPORTED_VERSIONS)}; set one of them in the network configuration",
        )
    return version


def check_command(command: Command, version: str) -> None:
    """Raise CniError 1 when the supported `version` does not define `command` yet."""
    first = _FIRST_VERSIONS.get(command, ASSUMED_VERSION)
    if not is_at_least(version, first):
        raise CniError(
            ErrorCode.INCOMPATIBLE_VERSION,
            f"cannot run {command} in cniVersion {version!r}: {command} came with {first}; "
            "raise cniVersion in the network configuration",
        )


def version_report(requested: str = CURRENT_VERSION) -> dict[str, object]:
    """Return the result of VERSION; `requested` is the cniVersion on stdin (SPEC section 5)."""
    return {
        "cniVersion": requested if requested in SUPPORTED_VERSIONS else CURRENT_VERSION,
        "supportedVersions": list(SUPPORTED_VERSIONS),
    }
