from dataclasses import replace

from sriovbond.agent.watch.mirror import Spaces
from sriovbond.happenings.following import Heard
from sriovbond.kernel.watch import LinkEvent


def event(nsid: int, link: Heard, *, is_gone: bool = False) -> LinkEvent:
    return LinkEvent(nsid, link, is_gone=is_gone, is_moved=False)


def test_a_mirror_follows_events_and_names_their_namespace() -> None:
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


def test_a_namespace_that_is_read_again_has_no_former_links() -> None:
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


def test_links_of_no_bond_are_not_kept() -> None:
    spaces, other = Spaces(), Heard(1, "dummy1", kind="dummy")
    spaces.join("a", 7, {1: other})

    assert spaces.change(7, event(7, other)) == ()
    assert spaces.links(7) == {}


def test_a_member_that_left_its_bond_concerns_it_once_more() -> None:
    spaces, member = Spaces(), Heard(1, "veth1", master=9)
    spaces.join("a", 7, {1: member})

    assert spaces.change(7, event(7, replace(member, master=0))) == ("a",)
    assert spaces.change(7, event(7, replace(member, master=0))) == ()
