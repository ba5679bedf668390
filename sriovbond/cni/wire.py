"""The error of the CNI specification: its codes and its JSON."""

from enum import IntEnum


class ErrorCode(IntEnum):
    """The well-known codes (SPEC section 5, Error; 8 is Go's skel's, not in the spec)."""

    INCOMPATIBLE_VERSION = 1
    UNSUPPORTED_FIELD = 2
    UNKNOWN_CONTAINER = 3
    INVALID_ENVIRONMENT = 4
    IO_FAILURE = 5
    DECODING_FAILURE = 6
    INVALID_CONFIG = 7
    INVALID_NETNS = 8
    TRY_AGAIN_LATER = 11
    NOT_AVAILABLE = 50
    LIMITED_CONNECTIVITY = 51


class CniError(Exception):
    """An error returned to the runtime; `code` is an ErrorCode, or 100 and above."""

    def __init__(self, code: int, msg: str, details: str = "") -> None:
        super().__init__(msg)
        self.code = code
        self.msg = msg
        self.details = details


def error_json(version: str, code: int, msg: str, details: str = "") -> dict[str, object]:
    """Return the JSON object of an error on stdout (SPEC section 5, Error)."""
    written: dict[str, object] = {"cniVersion": version, "code": int(code), "msg": msg}
    return {**written, "details": details} if details else written
