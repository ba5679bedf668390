"""The exceptions of sriovbond, sorted by what their reader can do; they know no CNI codes."""


class SriovbondError(Exception):
    """What went wrong, in words for the operator; `details` adds what a debugger wants."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class ConfigError(SriovbondError):
    """The network configuration asks for something that has no meaning: edit it."""


class RefusedError(SriovbondError):
    """What is asked cannot work on these devices: change the request, the PF or the driver."""


class TryLaterError(SriovbondError):
    """Nothing is wrong with the request, only with the moment: try again."""


class MachineError(SriovbondError):
    """A file, a program or a namespace of this node is missing or unusable: mend the node."""


class KernelError(SriovbondError):
    """The kernel refused a request; `errno` is its reason, the message carries its own words."""

    def __init__(self, message: str, errno: int, details: str = "") -> None:
        super().__init__(message, details)
        self.errno = errno


class DriftError(SriovbondError):
    """What stands differs from what was asked for: look at who changed it."""
