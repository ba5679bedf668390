from dataclasses import replace

import pytest

from sriovbond.agent.watch.mirror import Spaces
from sriovbond.agent.watch.watched import Watched, WatchedAttachment
from sriovbond.cni.attachment import Attachment
from sriovbond.happenings import following
from sriovbond.happenings.following import Heard
from sriovbond.subject import Subject
from tests.support.builders import a_plan


def an_attachment() -> WatchedAttachment:
    """Return one without its members."""
    plan, subject = a_plan(), Subject(Attachment("c1", "bond0"), "net")
    return WatchedAttachment(subject, plan, 7, following.observe(subject, plan, {}))


def test_a_device_that_was_taken_out_is_not_lost() -> None:
    attachment = an_attachment()
    first, second = (member.device for member in attachment.plan.members)

    assert attachment.lost == {first, second}
    attachment.note_moved(first)
    assert attachment.lost == {second}


@pytest.mark.parametrize("is_told_first", [True, False])
def test_a_device_that_a_failed_repair_sent_home_is_lost_as_before(
    is_told_first: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    attachment = an_attachment()
    first, second = (member.device for member in attachment.plan.members)

    if is_told_first:
        attachment.note_moved(first)
        attachment.note_sent_home(frozenset({first}))
    else:
        attachment.note_sent_home(frozenset({first}))
        attachment.note_moved(first)

    assert attachment.lost == {first, second}
    attachment.note_moved(first)
    assert attachment.lost == {second}


def test_a_lost_device_is_at_rest_when_nothing_has_happened_to_it_for_long_enough() -> None:
    attachment = an_attachment()
    first, second = (member.device for member in attachment.plan.members)

    attachment.note_lost(100.0)
    attachment.note_lost(105.0)
    attachment.note_stirred(first, 108.0)
    attachment.note_stirred("0000:99:00.0", 109.0)

    assert attachment.unrest_s(109.0, 10.0) == {first: 9.0, second: 1.0}
    assert attachment.unrest_s(112.0, 10.0) == {first: 6.0}
    assert attachment.unrest_s(118.0, 10.0) == {}


def test_where_the_kernel_reports_no_devices_every_missing_member_is_triggered() -> None:
    attachment = an_attachment()
    attachment.note_lost(100.0)

    attachment.note_stirred("", 108.0)

    assert set(attachment.unrest_s(109.0, 10.0)) == {
        member.device for member in attachment.plan.members
    }


def test_a_device_that_is_in_its_bond_again_is_not_waited_for() -> None:
    attachment = an_attachment()
    attachment.note_lost(100.0)
    members = tuple(replace(member, is_in_bond=True) for member in attachment.bond.members)
    attachment.bond = replace(attachment.bond, members=members)

    attachment.note_lost(101.0)

    assert attachment.unrest_s(101.0, 10.0) == {}


def test_an_examination_that_refuses_waits_longer_each_time() -> None:
    attachment = an_attachment()

    waits_s = []
    for refused in ({"x"}, {"x"}, {"x"}, set[str]()):
        attachment.note_refused(frozenset(refused), longest_s=3.0)
        waits_s.append(attachment.wait_s)

    assert waits_s == [1.0, 2.0, 3.0, 0.5]
    assert attachment.refused == frozenset()


def some_watched(*keys: str) -> Watched:
    """Watch attachments of one namespace, each without its members."""
    watched = Watched(Spaces())
    for key in keys:
        watched.spaces.join(key, 7, {})
        watched.add(key, an_attachment(), 100.0)
    return watched


def test_a_bond_with_a_missing_member_is_known_until_it_is_no_longer_watched() -> None:
    watched = some_watched("a", "b")
    for member in watched["b"].plan.members:
        watched["b"].note_moved(member.device)
    watched.note_lack("b", 101.0)

    assert watched.lacking == ("a",)
    watched.remove("a")
    assert (len(watched.lacking), list(watched), "a" in watched) == (0, ["b"], False)
    assert not watched.is_heard("a")
    assert watched.is_heard("b")


def test_a_bond_whose_namespace_is_forgotten_is_not_heard() -> None:
    watched = some_watched("a")

    watched.spaces.forget(7)

    assert ("a" in watched, watched.is_heard("a")) == (True, False)
    assert [bond.subject for bond in watched.bonds()] == [watched["a"].subject]


def test_a_device_that_is_back_on_the_host_triggers_the_bond_that_misses_it() -> None:
    watched = some_watched("a")
    first, second = (member.device for member in watched["a"].plan.members)

    assert watched.note_back(Heard(3, "eth0", device=first), 110.0) == ["a"]
    assert watched.note_back(Heard(4, "eth1", device="0000:99:00.0"), 111.0) == []
    assert watched["a"].unrest_s(111.0, 10.0) == {first: 9.0}
    assert watched["a"].unrest_s(105.0, 10.0) == {first: 15.0, second: 5.0}


def test_a_link_of_the_host_without_a_device_may_be_whatever_is_lost() -> None:
    watched = some_watched("b", "a")
    first, second = (member.device for member in watched["a"].plan.members)
    watched["a"].note_moved(first)
    watched["b"].note_moved(second)

    assert watched.note_back(Heard(3, "eth0"), 110.0) == ["a", "b"]
    assert watched.note_back(Heard(4, "br0", kind="bridge"), 110.0) == []
