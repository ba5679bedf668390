from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from sriovbond import records
from sriovbond.agent.settings import Settings
from sriovbond.agent.watch.agenda import Agenda, Task
from sriovbond.agent.watch.care import Care
from sriovbond.agent.watch.hands import Hands
from sriovbond.agent.watch.hearing import Ears
from sriovbond.agent.watch.judging import Judging
from sriovbond.agent.watch.mirror import Spaces
from sriovbond.agent.watch.tending import Tending
from sriovbond.agent.watch.watched import Watched, WatchedAttachment
from sriovbond.happenings import following
from sriovbond.happenings.following import Heard
from sriovbond.happenings.happening import Happening
from sriovbond.kernel.watch import LinkEvent
from sriovbond.records import Record
from sriovbond.release import Keeper
from sriovbond.subject import Subject
from sriovbond.upkeep.repair import Repairs
from tests.support.builders import a_plan
from tests.support.clocks import Clock

BOND, NSID = 9, 7
KEY = "c1@bond0"


@dataclass
class Scene:
    """One watched bond, its record on disk, and what is reported and planned; no kernel."""

    settings: Settings
    clock: Clock = field(default_factory=lambda: Clock(100.0))
    reported: list[Happening] = field(default_factory=list)
    overruns: list[None] = field(default_factory=list)
    leaving: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.plan = a_plan()
        self.record = Record("net", "c1", "bond0", "/run/netns/p", (0, 0, 0), "boot", self.plan)
        self.watched = Watched(Spaces())
        self.agenda = Agenda(self.clock)
        self.judging = Judging(self.settings, self.watched, self.agenda, self.hands)
        self.ears: Ears = self.judging.ears()
        self.care = Care(self.settings.host, Repairs(), lambda *_: False, 1)
        self.tending = Tending(
            self.settings, self.watched, self.agenda, self.care, self.hands, lambda call: call()
        )
        records.write(self.settings.host, self.record)

    @property
    def hands(self) -> Hands:
        return Hands(
            tell=self.reported.append,
            overrun=lambda: self.overruns.append(None),
            beat=lambda: None,
            is_leaving=lambda subject: subject.attachment.key in self.leaving,
            do_after_others=lambda *_: False,
            keeper=Keeper(lambda *_: None, lambda _: True),
        )

    @property
    def attachment(self) -> WatchedAttachment:
        return self.watched[KEY]

    @property
    def subject(self) -> Subject:
        return self.record.subject

    def links(self) -> list[Heard]:
        members = self.plan.members
        bond = Heard(BOND, "bond0", kind="bond", has_carrier=True, active=members[0].link.index)
        return [
            bond,
            *(
                Heard(
                    member.link.index,
                    member.name,
                    master=BOND,
                    has_carrier=True,
                    device=member.device,
                    mii_up=True,
                )
                for member in members
            ),
        ]

    def watch(self) -> None:
        """Watch the bond, all of whose members work."""
        links = {link.index: link for link in self.links()}
        self.watched.spaces.join(KEY, NSID, links)
        bond = following.observe(self.subject, self.plan, links)
        attachment = WatchedAttachment(self.subject, self.plan, NSID, bond, is_settled=True)
        self.watched.add(KEY, attachment, self.clock.now)

    def hear(self, link: Heard, *, is_gone: bool = False, is_moved: bool = False) -> None:
        self.ears.event(LinkEvent(NSID, link, is_gone=is_gone, is_moved=is_moved))

    def lose_first_member(self, *, is_moved: bool = False) -> Heard:
        member = self.links()[1]
        self.hear(replace(member, master=0), is_gone=True, is_moved=is_moved)
        return member

    def planned(self) -> set[Task]:
        return {task for task in Task if self.agenda.has(task, KEY)}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    settings = {name: str(tmp_path / name) for name in ("state", "run")}
    return Scene(Settings.model_validate(settings))
