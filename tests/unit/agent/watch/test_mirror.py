from dataclasses import replace

import pytest

from sriovbond.agent.watch.mirror import Spaces, WatchedAttachment
from sriovbond.cni.attachment import Attachment
from sriovbond.happenings import following
from sriovbond.happenings.following import Heard
from sriovbond.kernel.watch import LinkEvent
from sriovbond.subject import Subject
from tests.support.builders import a_plan


def event(nsid: int, link: Heard, *, is_gone: bool = False) -> LinkEvent:
    return LinkEvent(nsid, link, is_gone=is_gone, is_moved=False)


def an_attachment() -> WatchedAttachment:
    """Return one without its members."""
    plan, subject = a_plan(), Subject(Attachment("c1", "bond0"), "net")
    return WatchedAttachment(subject, plan, 7, following.observe(subject, plan, {}))


def test_a_mirror_follows_events_and_tells_whose_they_are() -> None:
    spaces, net1 = Spaces(), Heard(1, "net1", master=9)
    spaces.join("a", 7, {1: net1})
    spaces.join("b", 7, {1: net1})

    keys = spaces.change(7, event(7, replace(net1, has_carrier=True)))
    links = dict(spaces.links(7) or {})
    gone = spaces.change(7, event(7, net1, is_gone=True))

    assert set(keys) == set(gone) == {"a", "b"}
    assert (links[1].has_carrier, spaces.links(7)) == (True, {})
    assert spaces.change(8, event(8, net1)) == ()


def test_a_namespace_is_forgotten_with_its_last_attachment() -> None:
    spaces = Spaces()
    spaces.join("a", 7, {})
    spaces.join("b", 7, {})

    spaces.leave("a", 7)
    assert (spaces.has("a", 7), spaces.has("b", 7), 7 in spaces) == (False, True, True)
    spaces.leave("b", 7)
    assert (7 in spaces, spaces.links(7)) == (False, None)


def test_a_namespace_that_is_gone_names_who_was_in_it() -> None:
    spaces = Spaces()
    spaces.join("a", 7, {})

    assert (spaces.forget(7), spaces.forget(7)) == ({"a"}, set())


def test_a_namespace_that_is_read_again_has_what_was_read_and_no_more() -> None:
    spaces = Spaces()
    spaces.join("c1@bond0", 7, {1: Heard(1, "net1", master=9)})
    spaces.join("c1@bond1", 7, {2: Heard(2, "net2", master=9)})

    spaces.replace(7, {3: Heard(3, "bond0", kind="bond"), 4: Heard(4, "dummy0", kind="dummy")})

    assert list(spaces) == [7]
    assert set(spaces.links(7) or {}) == {3}
    assert spaces.size(7) == 1
    assert set(spaces.keys(7)) == {"c1@bond0", "c1@bond1"}
    assert spaces.names(7) == {"bond0", "bond1"}
    assert (spaces.size(8), spaces.keys(8)) == (0, ())


def test_a_device_that_somebody_took_out_is_not_lost() -> None:
    one = an_attachment()
    first, second = (member.device for member in one.plan.members)

    assert one.lost == {first, second}
    one.note_moved(first)
    assert one.lost == {second}


@pytest.mark.parametrize("is_told_first", [True, False])
def test_a_device_that_a_failed_repair_sent_home_is_lost_as_before(
    is_told_first: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    one = an_attachment()
    first, second = (member.device for member in one.plan.members)

    if is_told_first:
        one.note_moved(first)
        one.note_sent_home(frozenset({first}))
    else:
        one.note_sent_home(frozenset({first}))
        one.note_moved(first)

    assert one.lost == {first, second}
    one.note_moved(first)
    assert one.lost == {second}


def test_what_has_to_do_with_no_bond_is_not_kept() -> None:
    spaces, other = Spaces(), Heard(1, "dummy1", kind="dummy")
    spaces.join("a", 7, {1: other})

    assert spaces.change(7, event(7, other)) == ()
    assert spaces.links(7) == {}


def test_a_member_that_left_its_bond_concerns_it_once_more() -> None:
    spaces, member = Spaces(), Heard(1, "veth1", master=9)
    spaces.join("a", 7, {1: member})

    assert spaces.change(7, event(7, replace(member, master=0))) == ("a",)
    assert spaces.change(7, event(7, replace(member, master=0))) == ()


def test_a_lost_device_is_at_rest_when_nothing_has_happened_to_it_for_long_enough() -> None:
    one = an_attachment()
    first, second = (member.device for member in one.plan.members)

    one.note_lost(100.0)
    one.note_lost(105.0)
    one.note_stirred(first, 108.0)
    one.note_stirred("0000:99:00.0", 109.0)

    assert one.unrest_s(109.0, 10.0) == {first: 9.0, second: 1.0}
    assert one.unrest_s(112.0, 10.0) == {first: 6.0}
    assert one.unrest_s(118.0, 10.0) == {}


def test_where_the_kernel_tells_no_devices_all_that_is_lost_has_stirred() -> None:
    one = an_attachment()
    one.note_lost(100.0)

    one.note_stirred("", 108.0)

    assert set(one.unrest_s(109.0, 10.0)) == {member.device for member in one.plan.members}


def test_a_device_that_is_in_its_bond_again_is_not_waited_for() -> None:
    one = an_attachment()
    one.note_lost(100.0)
    members = tuple(replace(member, is_in_bond=True) for member in one.bond.members)
    one.bond = replace(one.bond, members=members)

    one.note_lost(101.0)

    assert one.unrest_s(101.0, 10.0) == {}
