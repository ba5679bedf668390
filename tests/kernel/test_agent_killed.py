"""An agent killed at any step of ADD or DEL, and restarted: no trace is left."""

import shutil
from collections.abc import Callable
from statistics import median

import pytest

from tests.kernel.conftest import Wires
from tests.support import ipams, restarts
from tests.support.calls import a_config
from tests.support.restarts import Stage
from tests.support.shims import Shim
from tests.support.thick import Thick

Note = Callable[[str], None]


@pytest.fixture
def stage(shim: Shim, wires: Wires) -> Stage:
    """Two veths, one of them with addresses; host-local gives the bond some."""
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
