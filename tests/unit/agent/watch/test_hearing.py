"""What is read while events are not received, against a kernel whose bonds a test sets."""

import errno
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Self

import pytest

from sriovbond.agent.watch.agenda import Agenda, Task
from sriovbond.agent.watch.hearing import Ears, Hearing
from sriovbond.agent.watch.mirror import Spaces
from sriovbond.errors import KernelError
from sriovbond.happenings.following import Heard
from sriovbond.kernel import attributes, messages, polling
from sriovbond.kernel.bonding import IFLA_BOND_ACTIVE_SLAVE
from sriovbond.kernel.netlink import NetlinkRequest
from sriovbond.kernel.watch import LinkEvent, OverrunError

NSID = 7
BOND, FIRST, SECOND = 9, 2, 3
OTHER_BOND = 10


@dataclass
class Kernel:
    """Bonds of one namespace by index: name and active member; its events, and overruns."""

    bonds: dict[int, tuple[str, int]]
    events: list[LinkEvent] = field(default_factory=list)
    fails: bool = False
    overruns: int = 0

    def dump(self, request: NetlinkRequest, _most: int | None) -> list[bytes]:
        asked = attributes.by_number(request.body, messages.LINK_BYTES)
        master = messages.whole(asked.get(messages.IFLA_MASTER, b""))
        if master:
            return [_member(index, master) for index in (FIRST, SECOND)]
        return [_bond(index, *bond) for index, bond in self.bonds.items()]


def _bond(index: int, name: str, active: int) -> bytes:
    info = messages.attribute(messages.IFLA_INFO_KIND, b"bond\0") + messages.attribute(
        messages.IFLA_INFO_DATA, messages.word(IFLA_BOND_ACTIVE_SLAVE, active)
    )
    linkinfo = messages.attribute(messages.IFLA_LINKINFO, info)
    return messages.link(index, messages.name(messages.IFLA_IFNAME, name), linkinfo, flags=1)


def _member(index: int, master: int) -> bytes:
    name = messages.name(messages.IFLA_IFNAME, f"net{index}")
    return messages.link(index, name, messages.word(messages.IFLA_MASTER, master), flags=1)


@dataclass
class Scene:
    kernel: Kernel
    hearing: Hearing
    spaces: Spaces
    agenda: Agenda
    reread: list[int] = field(default_factory=list)
    unreadable: list[KernelError] = field(default_factory=list)
    take: Callable[[LinkEvent], None] = lambda _: None

    def run(self, *tasks: Task) -> None:
        """Run these tasks, and read all that has to be read."""
        for task in tasks:
            self.hearing.actions[task]("")
        self.hearing.read_some(60)

    def fall_deaf(self) -> None:
        """Have the socket overrun twice in a row."""
        for _ in range(2):
            self.kernel.overruns = 1
            self.hearing.hear()

    def active(self, index: int = BOND) -> int:
        links = self.spaces.links(NSID)
        assert links
        return links[index].active


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    kernel = Kernel({BOND: ("bond0", FIRST), OTHER_BOND: ("bond1", FIRST)})
    _play(monkeypatch, kernel)
    spaces, agenda = Spaces(), Agenda()
    scene = Scene(kernel, Hearing(spaces, agenda), spaces, agenda)
    ears = Ears(
        event=lambda event: scene.take(event),  # noqa: PLW0108 - a test replaces it
        is_host_wanted=lambda: False,
        reread=scene.reread.append,
        unreadable=lambda _, error: scene.unreadable.append(error),
        gone=lambda _: None,
        overrun=lambda: None,
        lost_ends=lambda: None,
    )
    with ExitStack() as stack:
        waiting: Any = _Selector()
        scene.hearing.open(ears, 1 << 20, stack, waiting)
        scene.hearing.read(NSID, "c1@bond0")
        yield scene


def _play(monkeypatch: pytest.MonkeyPatch, kernel: Kernel) -> None:
    """Put sockets of the test's in the place of the kernel's: its bonds need no kernel."""
    monkeypatch.setattr(polling, "Netlink", lambda: _Socket(kernel))
    monkeypatch.setattr("sriovbond.agent.watch.hearing.LinkEvents", lambda _: _Events(kernel))
    monkeypatch.setattr("sriovbond.agent.watch.hearing.Ends", lambda: _Events(kernel))


class _Socket:
    def __init__(self, kernel: Kernel) -> None:
        if kernel.fails:
            raise OSError(errno.EMFILE, "Too many open files")
        self.dump_at_most = kernel.dump

    def close(self) -> None: ...


class _Events:
    was_emptied = True

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def events(self, _wanted: Callable[..., bool], _deadline: float) -> Iterator[LinkEvent]:
        if self._kernel.overruns:
            self._kernel.overruns -= 1
            raise OverrunError
        events, self._kernel.events = self._kernel.events, []
        return iter(events)

    def receive(self) -> Iterator[int]:
        return iter(())

    def drain(self) -> None: ...


class _Selector:
    def register(self, *_: object) -> None: ...

    def unregister(self, *_: object) -> None: ...


def test_of_bonds_that_are_polled_only_changed_ones_are_judged(scene: Scene) -> None:
    scene.fall_deaf()
    scene.run()
    scene.run(Task.POLL)
    scene.reread.clear()

    scene.run(Task.POLL)
    unchanged = list(scene.reread)
    scene.kernel.bonds[BOND] = ("bond0", SECOND)
    scene.run(Task.POLL)

    assert (unchanged, scene.reread, scene.active()) == ([], [NSID], SECOND)


def test_a_bond_with_an_at_sign_in_its_name_is_read_with_its_members(scene: Scene) -> None:
    scene.kernel.bonds[OTHER_BOND] = ("nf@data", FIRST)

    scene.hearing.read(NSID, "c2@nf@data")

    links = (scene.spaces.links(NSID) or {}).values()
    assert OTHER_BOND in {link.master for link in links}
    assert scene.spaces.names(NSID) == {"bond0", "nf@data"}


def test_a_failover_that_the_adoption_of_another_bond_has_read_is_judged(scene: Scene) -> None:
    scene.fall_deaf()
    scene.run()
    scene.run(Task.POLL)
    scene.kernel.bonds[BOND] = ("bond0", SECOND)

    scene.hearing.read(NSID, "c2@bond1")
    scene.reread.clear()
    scene.run(Task.POLL)

    assert scene.reread == [NSID]


def test_a_poll_that_is_due_before_all_was_read_makes_that_no_shorter(scene: Scene) -> None:
    scene.fall_deaf()
    scene.run()
    scene.run(Task.POLL)
    scene.run(Task.HEAR)
    scene.spaces.change(
        NSID,
        LinkEvent(
            NSID, Heard(BOND, "bond0", kind="bond", active=SECOND), is_gone=False, is_moved=False
        ),
    )

    scene.fall_deaf()  # the event of its way back was lost
    scene.run(Task.POLL)

    assert scene.active() == FIRST


def test_a_namespace_that_cannot_be_read_for_want_of_descriptors_is_reported(scene: Scene) -> None:
    scene.hearing.read_all()
    scene.hearing._reader.close()  # noqa: SLF001 - as after a failed read
    scene.kernel.fails = True
    scene.run()
    scene.kernel.fails = False
    scene.hearing.read_all()
    scene.run()

    assert [error.errno for error in scene.unreadable] == [errno.EMFILE]
    assert scene.reread == [NSID]


def test_a_namespace_whose_last_bond_goes_while_it_is_read_again_is_left_alone(
    scene: Scene,
) -> None:
    scene.take = lambda _: scene.spaces.leave("c1@bond0", NSID)  # as judging does after a DEL
    gone = LinkEvent(NSID, Heard(BOND, "bond0", kind="bond"), is_gone=True, is_moved=False)

    scene.hearing.read_all()
    scene.kernel.events = [gone]
    scene.run()

    assert (scene.reread, NSID in scene.spaces) == ([], False)
