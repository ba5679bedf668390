"""An agent killed at any step of ADD or DEL, and restarted: nothing is left behind."""

import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import pytest

from tests.kernel.conftest import Wires
from tests.support import ipams, restarts
from tests.support.agents import an_agent, wait_for
from tests.support.calls import a_config
from tests.support.restarts import Stage
from tests.support.shims import Shim
from tests.support.thick import Thick

pytestmark = pytest.mark.long

Note = Callable[[str], None]
LATE = """case $CNI_COMMAND in
ADD) touch {0}/called; while [ -e {0}/hold ]; do sleep 0.1; done; touch {0}/lease;;
DEL) rm -f {0}/lease;;
esac"""


@pytest.fixture
def stage(shim: Shim, wires: Wires) -> Stage:
    """Two veths, one of them with addresses; host-local assigns the bond some."""
    leases = shim.home / "ipam"
    shutil.rmtree(leases, ignore_errors=True)
    leases.mkdir()
    config = a_config(links=wires.links, failOverMac="none", ipam=ipams.host_local(leases))

    def lay_out() -> None:
        wires.pod.batch(
            "link set net1 mtu 1450 up",
            "link set net2 up",
            "addr replace 203.0.113.1/28 dev net1",
            "addr replace 2001:db8:1::1/64 dev net1 nodad",
            "route replace 198.18.1.0/24 via 203.0.113.14 dev net1",
        )

    return Stage(Thick(shim, wires.pod), config, (leases,), lay_out)


def test_an_agent_killed_at_any_step_of_an_add_leaves_no_trace(stage: Stage, note: Note) -> None:
    sweep = restarts.of(stage)

    traces = restarts.at_each_step_of_add(sweep)

    assert restarts.told(traces) == ""
    note(
        f"an agent killed at each of {len(traces)} steps of an ADD over veths: no trace; "
        f"the next one was ready after {median(sweep.restarts_s) * 1000:.0f} ms"
    )


def test_an_agent_killed_at_any_step_of_a_del_leaves_no_trace(stage: Stage, note: Note) -> None:
    traces = restarts.at_each_step_of_del(restarts.of(stage))

    assert restarts.told(traces) == ""
    note(f"an agent killed at each of {len(traces)} steps of a DEL over veths: no trace")


def test_a_lease_made_after_its_agent_was_killed_is_released(
    shim: Shim, wires: Wires, tmp_path: Path
) -> None:
    thick, path = Thick(shim, wires.pod), ipams.scripted(tmp_path, LATE.format(tmp_path))
    config = a_config(links=wires.links, ipam={"type": "scripted-ipam"})
    (tmp_path / "hold").touch()

    with ThreadPoolExecutor() as pool:
        with an_agent(shim) as agent:
            adding = pool.submit(thick.call, "ADD", config, CNI_PATH=path)
            wait_for((tmp_path / "called").exists)
            agent.kill()
        assert adding.result().code == 11
    assert thick.call("DEL", config, CNI_PATH=path) == restarts.QUEUED
    with an_agent(shim, retry_s=0.2):
        time.sleep(1.0)  # long enough for several wrong replays
        assert len(shim.queued()) == 1  # it waits for the plugin
        (tmp_path / "hold").unlink()
        wait_for(lambda: shim.queued() == [])
        # IPAM may run after the DEL is done
        wait_for(lambda: not (tmp_path / "lease").exists() and thick.record() is None)

    assert thick.pod.bond() is None
