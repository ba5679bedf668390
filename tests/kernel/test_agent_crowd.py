"""Many calls at once: 50 ADDs, 50 queued DELs, 50 calls for one attachment."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support import crowds
from tests.support.agents import an_agent, wait_for
from tests.support.crowds import AT_ONCE, DONE, Crowd
from tests.support.pods import many_pods
from tests.support.shims import Shim
from tests.support.thick import Thick

pytestmark = pytest.mark.long

Note = Callable[[str], None]


def test_fifty_adds_at_once_and_their_dels_out_of_the_queue(shim: Shim, note: Note) -> None:
    with many_pods(AT_ONCE) as pods, many_pods(1) as new:
        crowd = Crowd(shim, pods)
        with an_agent(shim) as agent:
            added = crowd.call("ADD")
            assert [one.stdout for one in added if one.status] == [], agent.said
            assert (crowd.bonds(), crowd.records(), crowd.locks()) == (AT_ONCE, AT_ONCE, 0)

        assert crowd.call("DEL") == [DONE] * AT_ONCE
        assert len(shim.queued()) == AT_ONCE
        with an_agent(shim) as agent:
            replay = crowds.replay(crowd, Crowd(shim, new))
            wait_for(lambda: agent.said.count("a queued DEL is done") >= AT_ONCE)

        assert agent.said.count("a queued DEL is done") == AT_ONCE
        assert (crowd.bonds(), crowd.records(), crowd.locks()) == (0, 0, 0)
    assert replay.waited > 0
    note(str(replay))


def test_fifty_calls_for_one_attachment_are_served_one_after_the_other(shim: Shim) -> None:
    commands = ["ADD", *["DEL"] * 9] * (AT_ONCE // 10)
    with many_pods(1) as (pod,), an_agent(shim) as agent, ThreadPoolExecutor(AT_ONCE) as pool:
        crowd, thick = Crowd(shim, [pod]), Thick(shim, pod)
        calls = [pool.submit(thick.call, command, crowd.config) for command in commands]
        statuses = [call.result().status for call in calls]
        wait_for(lambda: agent.said.count("msg=done") + agent.said.count("msg=added") == AT_ONCE)
        said = [
            line for line in agent.said.splitlines() if "msg=added" in line or "msg=done" in line
        ]
        is_there = pod.bond() is not None

        assert statuses == [0] * AT_ONCE, agent.said
        assert len(said) == AT_ONCE
        assert is_there is ("msg=added" in said[-1]) is (thick.record() is not None)
        assert crowd.call("DEL") == [DONE]
        assert (pod.bond(), crowd.records(), crowd.locks()) == (None, 0, 0)
