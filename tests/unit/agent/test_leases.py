"""The unreleased leases: which are kept, and when their release is tried again."""

import math
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from deviceinfo import PodRef
from sriovbond import ipam, records
from sriovbond.agent.lanes import Entry, Lanes, Origin, Waiting
from sriovbond.agent.leases import Leases
from sriovbond.agent.settings import Settings
from sriovbond.cni.network import read_network
from sriovbond.commands import keeping
from sriovbond.errors import TryLaterError
from sriovbond.happenings.happening import Happening, HappeningKind
from sriovbond.records import IpamCall, Record
from tests.support.agents import wait_for
from tests.support.builders import a_plan
from tests.support.held_ipam import stdin
from tests.support.memory import traced
from tests.support.shims import variables

POD = PodRef("ns", "web-0")
HANGS = {"type": "hangs"}
NET = ipam.of_network({"name": "net", "ipam": HANGS})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    where = {name: str(tmp_path / name) for name in ("state", "run")}
    return Settings.model_validate({**where, "ipam_timeout_s": 0.5})


@pytest.fixture
def leases(settings: Settings) -> Leases:
    return Leases(settings, Lanes(8, 256, lambda work: work()), lambda _: None)


PAUSE_S = 0.5  # in which nothing must happen
RELEASES = """#!/bin/sh
cd "${0%/*}"
echo "$CNI_CONTAINERID" >>calls
until [ -e go-on ]; do sleep 0.02; done
"""


HANGS_OR_RELEASES = """#!/bin/sh
cd "${0%/*}"
echo "$CNI_CONTAINERID" >>calls
[ "$CNI_CONTAINERID" = well ] || exec sleep 60
"""


def nothing() -> None:
    """Do nothing."""


def released(settings: Settings) -> list[str]:
    """Return the containers for which RELEASES was begun."""
    calls = settings.state.parent / "calls"
    return calls.read_text().split() if calls.exists() else []


def a_kept_record(
    settings: Settings, container: str, network: str = "net", **further: object
) -> Record:
    program = settings.state.parent / "hangs"
    if not program.exists():
        program.write_text("#!/bin/sh\nexec sleep 60\n")
        program.chmod(0o755)
    variables_ = {**variables("DEL", CNI_CONTAINERID=container), "CNI_PATH": str(program.parent)}
    call = IpamCall(stdin(name=network, ipam=HANGS | further).decode(), variables_)
    record = Record(network, container, "bond0", "", keeping.NO_NAMESPACE, "", None, call, pod=POD)
    records.write(settings.host, record)
    return record


@pytest.mark.slow
def test_an_add_waits_for_one_ipam_that_hangs_however_many_sandboxes_its_pod_had(
    settings: Settings, leases: Leases
) -> None:
    for number in range(6):
        leases.keep(a_kept_record(settings, f"sandbox{number}"), None)

    started = time.monotonic()
    why_not = leases.settle(NET, POD, "new@bond0")
    took_s = time.monotonic() - started

    assert "did not end within 0.5 s" in why_not
    assert took_s < 1.5
    assert leases.counts() == {"net": 6}
    assert "did not end within 0.5 s" in leases.settle(NET, POD, "new@bond0")


def test_an_attachment_that_changes_its_network_is_kept_once(
    settings: Settings, leases: Leases
) -> None:
    record = a_kept_record(settings, "pod1", "a")
    leases.keep(record, None)

    leases.keep(replace(record, network="b"), None)

    assert leases.counts() == {"b": 1}
    records.remove(settings.host, record)
    leases.forget_if_gone(record.key)
    assert leases.counts() == {}


def test_networks_of_one_name_whose_ipam_differs_have_lines_of_their_own(
    settings: Settings, leases: Leases
) -> None:
    for number in range(settings.waiting):
        leases.keep(a_kept_record(settings, f"sandbox{number}"), None)
    leases.note_hung(NET)
    another = ipam.of_network({"name": "net", "ipam": HANGS | {"subnet": "192.0.2.0/24"}})

    leases.keep(a_kept_record(settings, "another", subnet="192.0.2.0/24"), None)

    assert "256 addresses of 'net' back" in leases.why_no_room(NET, "")
    assert leases.why_no_room(another, "") == ""
    assert (leases.has_hung(NET), leases.has_hung(another)) == (True, False)
    assert leases.counts() == {"net": settings.waiting + 1}


def test_a_namespace_with_many_networks_has_a_bound_of_its_own(settings: Settings) -> None:
    few = settings.model_copy(update={"waiting": 2})
    leases = Leases(few, Lanes(8, 256, lambda work: work()), lambda _: None)
    for number in range(8):
        leases.keep(a_kept_record(settings, f"sandbox{number}", f"net{number}"), None)
    new = ipam.of_network({"name": "new", "ipam": HANGS})

    assert "8 addresses of pods in 'ns' back" in leases.why_no_room(new, "ns")
    assert leases.why_no_room(new, "another") == ""
    assert leases.why_no_room(new, "") == ""

    records.remove(settings.host, a_kept_record(settings, "sandbox0", "net0"))
    leases.forget_if_gone("sandbox0@bond0")
    assert leases.why_no_room(new, "ns") == ""


def test_kept_leases_hold_no_configuration(settings: Settings, leases: Leases) -> None:
    long = "x" * (1 << 20)
    for number in range(16):
        a_kept_record(settings, f"sandbox{number}", more=long)

    with traced() as memory:
        leases.start()
        counts = leases.counts()
        leases.stop()

    assert counts == {"net": 16}
    assert memory.held_bytes < 6 * len(long)  # of those whose IPAM is asked


def test_an_add_has_addresses_of_its_pod_before_a_reboot_released_first(
    settings: Settings,
) -> None:
    told: list[Happening] = []
    leases = Leases(settings, Lanes(8, 256, lambda work: work()), told.append)
    record = a_kept_record(settings, "sandbox")
    earlier = replace(record, plan=a_plan(), boot_id="earlier", is_complete=True)
    records.write(settings.host, earlier)
    (settings.state.parent / "hangs").write_text(HANGS_OR_RELEASES.replace("well", "sandbox"))
    leases.start()
    assert leases

    pending: list[object] = [leases.settle(NET, PodRef("ns", "another"), "new@bond0")]
    pending += [released(settings)]
    pending += [leases.settle(NET, POD, "new@bond0"), released(settings)]
    leases.stop()

    assert pending == ["", [], "", ["sandbox"]]
    assert records.keys(settings.host) == []
    assert [happening.kind for happening in told] == [HappeningKind.RELEASED]


@pytest.mark.slow
def test_a_network_that_failed_once_is_not_behind_all_that_hang(settings: Settings) -> None:
    quick = settings.model_copy(update={"retry_s": 0.1, "retry_most_s": 0.2})
    leases = Leases(quick, Lanes(8, 256, lambda work: work()), lambda _: None)
    for number in range(12):
        leases.keep(a_kept_record(settings, f"hangs{number}", f"net{number}"), None)
    (settings.state.parent / "hangs").write_text(HANGS_OR_RELEASES)
    leases.start()
    wait_for(lambda: len(released(settings)) >= 26)  # each twice

    leases.keep(a_kept_record(settings, "well", "well"), TryLaterError("it failed once"))
    before = len(released(settings))
    wait_for(lambda: "well" in released(settings))
    leases.stop()

    assert released(settings).index("well") - before <= 4


@pytest.mark.parametrize("by_hand", [False, True])
def test_addresses_that_another_call_releases_are_reported_as_returned(
    settings: Settings, *, by_hand: bool
) -> None:
    told: list[Happening] = []
    quick = settings.model_copy(update={"retry_s": 0.1})
    leases = Leases(quick, Lanes(8, 256, lambda work: work()), told.append)
    record = a_kept_record(settings, "sandbox")
    leases.keep(record, TryLaterError("IPAM does not answer"))

    records.remove(settings.host, record)
    if by_hand:  # `sriovbond release`: another process
        leases.start()
    else:
        leases.forget_if_gone(record.key)
    wait_for(lambda: leases.counts() == {})
    leases.stop()

    kinds = [happening.kind for happening in told]
    assert kinds == [HappeningKind.ADDRESSES_KEPT, HappeningKind.ADDRESSES_RETURNED]


def nested(depth: int) -> list[object]:
    lists: list[object] = []
    for _ in range(depth):
        lists = [lists]
    return lists


def called_from(depth: int, call: Callable[[], object]) -> object:
    return called_from(depth - 1, call) if depth else call()


def test_a_lease_whose_network_is_read_at_another_depth_of_the_stack_is_forgotten_whole(
    settings: Settings, leases: Leases
) -> None:
    limit = sys.getrecursionlimit()
    record = a_kept_record(settings, "sandbox", more=nested(limit * 3 // 4))
    assert record.ipam
    read_network(record.ipam.stdin.encode())

    called_from(limit // 4, lambda: leases.keep(record, None))

    records.remove(settings.host, record)
    leases.forget_if_gone(record.key)
    assert leases.counts() == {}


def test_leases_of_an_earlier_agent_are_known_before_a_call_is_served(
    settings: Settings, leases: Leases
) -> None:
    for number in range(400):
        a_kept_record(settings, f"sandbox{number}")

    leases.start()
    counts = leases.counts()
    leases.stop()

    assert counts == {"net": 400}


def test_one_call_of_a_network_runs_at_a_time_though_its_last_lease_is_just_released(
    settings: Settings,
) -> None:
    lanes = Lanes(2, 256, lambda work: work())
    patient = settings.model_copy(update={"ipam_timeout_s": 60.0})
    leases = Leases(patient, lanes, lambda _: None)
    origin, seen = Origin("", NET), []

    def keep_one_more() -> None:
        """Run in the thread that has released the first, before it is done with the network."""
        lanes.leave(origin)
        leases.keep(a_kept_record(settings, "second"), None)
        time.sleep(PAUSE_S)
        seen.append(released(settings))

    leases.keep(a_kept_record(settings, "first"), None)
    (settings.state.parent / "hangs").write_text(RELEASES)
    leases.start()
    wait_for(lambda: released(settings) == ["first"])
    entry = lanes.enter(origin, Waiting(keep_one_more, nothing, nothing, until=math.inf))
    (settings.state.parent / "go-on").touch()
    wait_for(lambda: leases.counts() == {} and seen != [])
    leases.stop()

    assert entry is Entry.WAITS
    assert seen == [["first"]]
    assert released(settings) == ["first", "second"]
