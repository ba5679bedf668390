"""The shape of a fault, and when it may strike."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from tests.support import stages
from tests.support.gates import Spot
from tests.support.restarts import Stage
from tests.support.shims import Shim

if TYPE_CHECKING:
    from tests.faults.scene import Scene

Act = Callable[["Scene"], None]
Setting = Callable[[Shim], AbstractContextManager[object]]


class Way(StrEnum):
    """How the plugin runs: a process for each call, or shim and agent."""

    THIN = "thin"
    THICK = "thick"


class Phase(StrEnum):
    """When a fault strikes."""

    BEFORE = "before ADD"
    ADD = "during ADD"
    BONDED = "while bonded"
    DEL = "during DEL"
    DELETED = "during DEL, the bond deleted"


MID_ADD: Final = Spot("put net2")
IN_DEL: Final = {
    Phase.DEL: Spot("delete the bond"),
    Phase.DELETED: Spot("delete the bond", is_after=True),
}
WORKING: Final = (Phase.ADD, Phase.BONDED, Phase.DEL, Phase.DELETED)


def nothing(_scene: "Scene") -> None:
    """Do nothing."""


@contextmanager
def no_setting(_shim: Shim) -> Iterator[None]:
    """Set nothing up."""
    yield


def over_vfs(shim: Shim) -> AbstractContextManager[Stage]:
    """Two VFs in the pod; a route over both of them would not survive the loss of one."""
    return stages.over_vfs(shim, spanning=False)


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, what it does and when, and what must hold beyond the rules for all.

    `act` does it, `end` is what ends it before the last DEL. `setting` is made before the agent
    starts. `stage` is the attachment, `spot` the request of ADD before which it strikes.
    """

    name: str
    act: Act
    phases: tuple[Phase, ...] = WORKING
    end: Act = nothing
    setting: Setting = no_setting
    stage: Callable[[Shim], AbstractContextManager[Stage]] = over_vfs
    spot: Spot = MID_ADD
    cause: str = ""
    """What the error of an ADD that fails must match: its first cause; "" where it must succeed."""
    spared: str = r"^$"
    """A pattern of the facts that the fault alone decides, such as a new netdev's MAC."""
    blocks: str = ""
    """What a DEL may answer while the fault lasts, as a pattern; "" where it must succeed."""
    is_harmless: bool = False
    """It concerns our files, the calls or the clock only: where there is no bond it leaves nothing,
    and is not tried there."""
    settles_s: float = 0
    """How long the kernel needs for what the fault alone leaves."""
    settings: Mapping[str, float] = field(default_factory=dict)
    """The agent's settings."""
