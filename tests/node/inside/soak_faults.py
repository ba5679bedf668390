"""What befalls the pods of the soak: one fault each, at a moment that a seed chooses."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Final

from tests.node.cluster import AGENT, Cluster
from tests.node.inside import kills
from tests.node.sandbox import Sandbox, finish
from tests.support.spoilt import SPOILT, Spoil
from tests.vm.rig import Vf

FULL: Final = "soak-full"
"""A network whose one address is leased to another pod."""
NETWORK: Final = "soak-bond"
_LATEST_S: Final = 4.0
_LATEST_IN_PLUGIN_S: Final = 1.5
_IGBVF: Final = Path("/sys/bus/pci/drivers/igbvf")


class When(StrEnum):
    """Of which part of a pod's life a fault is."""

    ADD = "during ADD"
    BONDED = "while bonded"
    DEL = "during DEL"


@dataclass(slots=True)
class Victim:
    """A pod that a fault strikes; `calling` is the shim that runs at the moment."""

    sandbox: Sandbox
    vfs: tuple[Vf, Vf]
    random: Random
    cluster: Cluster
    calling: "subprocess.Popen[str] | None" = None
    restarts: int = 0
    member: int = field(init=False)

    def __post_init__(self) -> None:
        self.member = self.random.randrange(2)

    @property
    def vf(self) -> Vf:
        """One of its VFs, whose name in the pod is `member_name`."""
        return self.vfs[self.member]

    @property
    def member_name(self) -> str:
        return f"net{self.member + 1}"

    def wait(self, most_s: float) -> None:
        """Wait until a moment that the seed chooses."""
        time.sleep(self.random.uniform(0, most_s))

    def is_called(self) -> bool:
        """Return whether the shim runs."""
        return self.calling is not None and self.calling.poll() is None


Act = Callable[[Victim], bool]
"""Returns whether it struck: what is to be killed may have ended before."""


def _nothing(_victim: Victim) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Fault:
    """`mend` follows the first DEL; `cause` is what an ADD that fails by it says."""

    name: str
    when: When
    act: Act
    mend: Callable[[Victim], None] = _nothing
    cause: str = ""
    network: str = NETWORK
    stops: str = ""
    """The program without which no pod is made: other pods' ADDs may fail meanwhile."""
    renews: bool = False
    """Whether the VF is another netdev afterwards."""

    @property
    def title(self) -> str:
        return self.name if self == NONE else f"{self.name} {self.when}"


def no_fault(_victim: Victim) -> bool:
    """Do nothing."""
    return True


# calls


def kill_shim(victim: Victim) -> bool:
    """Kill Multus' shim; its daemon goes on."""
    victim.wait(_LATEST_S)
    was_called = victim.is_called()
    assert victim.calling
    victim.calling.kill()
    return was_called


def kill_plugin(victim: Victim) -> bool:
    """Kill our plugin, which Multus' daemon has started; our agent goes on."""
    while victim.is_called():
        for process in _plugins_for(victim.sandbox):
            victim.wait(_LATEST_IN_PLUGIN_S)
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
                return True
    return False


def _plugins_for(sandbox: Sandbox) -> list[int]:
    variable = f"CNI_CONTAINERID={sandbox.container_id}".encode()
    plugins = []
    for file in Path("/proc").glob("[0-9]*/comm"):
        with suppress(FileNotFoundError, ProcessLookupError):
            if file.read_text() == "sriovbond\n":
                is_its = variable in (file.parent / "environ").read_bytes().split(b"\0")
                plugins += [int(file.parent.name)] if is_its else []
    return plugins


def delete_again(victim: Victim) -> bool:
    """Send the DEL a second time when it has been answered."""
    assert victim.calling
    victim.calling.wait()
    assert victim.sandbox.call("DEL").status == 0
    return True


def delete_at_once(victim: Victim) -> bool:
    """Send the same DEL a second time while the first is at work, as another runtime."""
    assert finish(victim.sandbox.begin("DEL")).status == 0
    return True


# VFs and namespaces


def send_home(victim: Victim) -> bool:
    """Move a member back to the node, which may have one of its name by another pod's."""
    victim.sandbox.ip(f"link set {victim.member_name} netns 1 name {victim.sandbox.name}-home")
    return True


def unbind(victim: Victim) -> bool:
    """Take the driver from a VF: its netdev is gone."""
    (_IGBVF / "unbind").write_text(victim.vf.pci)
    return True


def bind(victim: Victim) -> None:
    """Give the driver back: the VF is a new netdev of the node."""
    (_IGBVF / "bind").write_text(victim.vf.pci)


def rebind(victim: Victim) -> bool:
    """Take the driver from a VF and give it back."""
    unbind(victim)
    bind(victim)
    return True


def rename(victim: Victim) -> bool:
    """Rename a member, as the pod's root."""
    name = victim.member_name
    victim.sandbox.ip(f"link set {name} down", f"link set {name} name renamed")
    return True


def delete_bond(victim: Victim) -> bool:
    """Delete the bond, as the pod's root."""
    victim.sandbox.ip("link del bond0")
    return True


def end_namespace(victim: Victim) -> bool:
    """Delete the namespace: the kernel moves the VFs to the node."""
    subprocess.run(["ip", "netns", "del", victim.sandbox.name], check=True, capture_output=True)
    return True


# files


def spoiling(spoil: Spoil) -> Act:
    """Return what puts something else in the record's place."""

    def act(victim: Victim) -> bool:
        spoil(victim.sandbox.record)
        return True

    return act


def take_away(victim: Victim) -> None:
    """Do as an administrator who has read of a record that was set aside."""
    record = victim.sandbox.record
    for path in record.parent.glob(f"{record.stem}.*"):
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)


# programs


def kill_agent(victim: Victim) -> bool:
    """Kill our agent."""
    victim.restarts = kills.restarts(victim.cluster, AGENT)
    victim.wait(_LATEST_S)
    kills.kill(kills.agents())
    return True


def await_agent(victim: Victim) -> None:
    """Wait until kubelet has started it anew."""
    kills.await_restart(victim.cluster, AGENT, victim.restarts)


def kill_multus(victim: Victim) -> bool:
    """Kill Multus' daemon."""
    victim.restarts = kills.restarts(victim.cluster, kills.MULTUS)
    victim.wait(_LATEST_S)
    kills.kill(kills.daemons())
    return True


def await_multus(victim: Victim) -> None:
    """Wait until kubelet has started it anew."""
    kills.await_restart(victim.cluster, kills.MULTUS, victim.restarts)


NONE: Final = Fault("none", When.BONDED, no_fault)
_KILLED: Final = "killed"
FAULTS: Final = (
    Fault("Multus' shim is killed", When.ADD, kill_shim),
    Fault("Multus' shim is killed", When.DEL, kill_shim),
    Fault("our plugin is killed", When.ADD, kill_plugin, cause=_KILLED),
    Fault("our plugin is killed", When.DEL, kill_plugin),
    Fault("no address is free", When.ADD, no_fault, cause="no IP addresses", network=FULL),
    Fault("a VF is sent home", When.BONDED, send_home),
    Fault("a VF's driver is unbound", When.BONDED, unbind, bind, renews=True),
    Fault("a VF's driver is unbound and bound", When.BONDED, rebind, renews=True),
    Fault("a member is renamed by the pod", When.BONDED, rename),
    Fault("the bond is deleted by the pod", When.BONDED, delete_bond),
    Fault("the namespace is deleted", When.BONDED, end_namespace),
    Fault("the DEL is sent twice", When.DEL, delete_again),
    Fault("two runtimes send the DEL at once", When.DEL, delete_at_once),
)
SPOILING: Final = tuple(
    Fault(f"the record {words}", When.BONDED, spoiling(spoil), take_away)
    for words, spoil in SPOILT.items()
)
AGENT_KILLED: Final = tuple(
    Fault("our agent is killed", when, kill_agent, await_agent, stops="our agent") for when in When
)
MULTUS_KILLED: Final = tuple(
    Fault("Multus' daemon is killed", when, kill_multus, await_multus, stops="Multus' daemon")
    for when in When
)
_DECK: Final = (*[NONE] * 4, *FAULTS, *FAULTS, *SPOILING)
_PERIOD: Final = 100


def draw(seed: int, number: int) -> tuple[Fault, Random]:
    """Return a pod's fault, and what chooses its moments: the same for the same seed.

    Each deck of pods has every fault in another order. Of a hundred pods one has the agent killed,
    and one Multus' daemon: kubelet starts a container that ends more often only minutes later.
    """
    random = Random(f"{seed} {number}")  # noqa: S311 - nothing is kept secret by it
    turn, place = divmod(number, _PERIOD)
    if place in {5, 15}:
        programs = AGENT_KILLED if place == 5 else MULTUS_KILLED
        return programs[turn % len(programs)], random
    turn, place = divmod(number, len(_DECK))
    deck = list(_DECK)
    Random(f"{seed} deck {turn}").shuffle(deck)  # noqa: S311 - likewise
    return deck[place], random
