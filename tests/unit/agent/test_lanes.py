from collections.abc import Callable

from sriovbond.agent.lanes import ROOM_BYTES, Entry, Lanes, Origin, Waiting


def origin(name: str) -> Origin:
    """Return the origin of calls: NAMESPACE/NETWORK, or NETWORK where there is no Kubernetes."""
    namespace, _, network = name.rpartition("/")
    return Origin(namespace, network)


class Scene:
    """Lanes, a clock set by the test, and the calls made."""

    def __init__(self, total: int = 8, most: int = 4) -> None:
        self.now = 0.0
        self.called: list[str] = []
        self.lanes = Lanes(total, most, lambda work: work(), lambda: self.now)

    def enter(self, network: str, count: int) -> list[Entry]:
        return [self.lanes.enter(origin(network)) for _ in range(count)]

    def leave(self, network: str) -> None:
        self.lanes.leave(origin(network))

    def wait(self, network: str, name: str, until: float = 10.0, size: int = 0) -> Entry:
        def call(what: str) -> Callable[[], None]:
            return lambda: self.called.append(f"{name} {what}")

        waiting = Waiting(call("goes on"), call("gives up"), call("is hung up on"), until, size)
        return self.lanes.enter(origin(network), waiting)


IN, WAITS, FULL = Entry.ENTERED, Entry.WAITS, Entry.FULL


def test_a_network_has_half_of_the_free_workers_and_at_least_one() -> None:
    scene = Scene()

    entered = [scene.enter(name, 8).count(IN) for name in ("a", "b", "c", "d", "e")]

    assert entered == [4, 2, 1, 1, 0]


def test_a_namespace_with_many_networks_leaves_lanes_to_the_others() -> None:
    scene = Scene()

    hung = [scene.enter(f"tenant/{name}", 8).count(IN) for name in "abcd"]

    assert hung == [4, 2, 0, 0]
    assert scene.enter("other/net", 1) == [IN]


def test_a_network_of_many_namespaces_has_half_of_the_free_lanes() -> None:
    scene = Scene()

    entered = [scene.enter(f"tenant{number}/shared", 2).count(IN) for number in range(4)]

    assert entered == [2, 2, 0, 0]
    assert scene.enter("tenant0/another", 1) == [IN]


def test_the_line_of_a_namespace_has_a_bound_so_that_others_queue_calls_too() -> None:
    scene = Scene(most=2)
    for name in ("tenant/a", "tenant/b"):
        scene.enter(name, 4)

    rest = [scene.wait(f"tenant/{name}", name) for name in "aabbaccdd"]
    neighbours = [scene.wait("other/net", str(number)) for number in range(3)]

    assert rest == [WAITS] * 4 + [FULL, WAITS, FULL, WAITS, FULL]
    assert neighbours == [IN, WAITS, WAITS]


def test_one_lane_is_there_in_any_case() -> None:
    scene = Scene(total=1)

    assert scene.enter("a", 2) == [IN, FULL]


def test_leaving_a_lane_calls_the_next_in_line_in_order() -> None:
    scene = Scene()
    scene.enter("a", 4)
    assert [scene.wait("a", name) for name in ("first", "second")] == [WAITS, WAITS]

    scene.leave("a")

    assert scene.called == ["first goes on"]
    scene.leave("a")
    assert scene.called == ["first goes on", "second goes on"]


def test_a_new_call_is_queued_behind_the_waiting_ones() -> None:
    scene = Scene()
    scene.enter("a", 4)
    scene.enter("b", 2)
    scene.wait("b", "first")
    for _ in range(4):
        scene.leave("a")

    assert scene.called == ["first goes on"]
    assert scene.enter("b", 1) == [IN]


def test_a_network_without_a_lane_is_called_first() -> None:
    scene = Scene(total=2)
    scene.enter("a", 1)
    scene.enter("b", 1)
    scene.wait("a", "a's")
    scene.wait("c", "c's")

    scene.leave("b")

    assert scene.called == ["c's goes on"]


def test_networks_that_hold_as_many_are_called_in_turn() -> None:
    scene = Scene(total=2)
    scene.enter("a", 1)
    scene.enter("b", 1)
    for network, name in (("a", "a1"), ("a", "a2"), ("a", "a3"), ("c", "c1")):
        scene.wait(network, name)

    for network in ("a", "a", "c"):
        scene.leave(network)

    assert scene.called == ["a1 goes on", "c1 goes on", "a2 goes on"]


def test_a_line_has_a_bound_and_so_have_all() -> None:
    scene = Scene(total=2, most=2)
    scene.enter("a", 1)
    scene.enter("b", 1)

    a_s = [scene.wait("a", "a") for _ in range(3)]
    rest = [scene.wait(name, name) for name in "bbccdd"]
    late = [scene.wait("e", "e") for _ in range(2)]

    assert a_s == [WAITS, WAITS, FULL]
    assert rest == [WAITS] * 6
    assert late == [WAITS, FULL]


def test_large_calls_take_more_of_the_room_of_their_own_network() -> None:
    scene = Scene(most=4)
    scene.enter("a", 4)
    scene.enter("b", 2)

    a_s = [scene.wait("a", str(number), size=3 * ROOM_BYTES) for number in range(2)]

    assert a_s == [WAITS, FULL]
    assert scene.wait("a", "small") is FULL
    assert scene.wait("b", "large", size=3 * ROOM_BYTES) is WAITS


def test_a_call_that_has_waited_long_enough_gives_up_and_the_others_stay() -> None:
    scene = Scene()
    scene.enter("a", 4)
    scene.wait("a", "first", until=5.0)
    scene.wait("a", "second", until=3.0)
    assert scene.lanes.pause_s() == 3.0

    scene.now = 4.0
    scene.lanes.give_up_late()

    assert scene.called == ["second gives up"]
    assert scene.lanes.pause_s() == 1.0
    scene.leave("a")
    assert scene.called[1:] == ["first goes on"]
    assert scene.lanes.pause_s() is None


def test_all_in_line_are_hung_up_on_at_the_end() -> None:
    scene = Scene()
    scene.enter("a", 4)
    scene.wait("a", "first")

    scene.lanes.close()

    assert scene.called == ["first is hung up on"]


def test_closed_lanes_admit_no_more() -> None:
    scene = Scene()
    scene.lanes.close()

    assert scene.enter("a", 1) == [FULL]
    assert scene.wait("a", "late") is FULL


def test_late_calls_are_taken_out_without_a_lane() -> None:
    scene = Scene()
    scene.enter("a", 4)
    scene.wait("a", "first", until=3.0)
    scene.wait("a", "second", until=5.0)
    scene.now = 4.0

    late = scene.lanes.take_late()
    scene.leave("a")

    assert [waiting.until for waiting in late] == [3.0]
    assert scene.called == ["second goes on"]


def test_a_lane_is_left_when_its_block_ends() -> None:
    scene = Scene(total=1)

    with scene.lanes.entered(origin("a")) as first, scene.lanes.entered(origin("a")) as second:
        inside = (first, second)

    assert inside == (True, False)
    assert scene.enter("a", 1) == [IN]


def test_the_size_of_waiting_calls_is_bounded_however_many_networks_they_are_of() -> None:
    scene = Scene(total=1, most=4)
    scene.enter("tenant/busy", 1)

    large = [scene.wait(f"tenant/{name}", name, size=3 * ROOM_BYTES) for name in "abcdefgh"]

    assert large == [WAITS, WAITS, FULL, FULL, FULL, FULL, FULL, FULL]
    assert scene.wait("tenant/new", "new") == WAITS
    assert scene.wait("other/net", "other", size=3 * ROOM_BYTES) == WAITS


def test_a_network_outside_kubernetes_that_has_the_name_of_a_namespace_is_not_its() -> None:
    scene = Scene(total=1, most=1)
    scene.enter("tenant/busy", 1)
    for name in "ab":
        scene.wait(f"tenant/{name}", name)

    assert scene.wait("tenant", "outside", size=ROOM_BYTES) == WAITS
