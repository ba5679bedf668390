"""A full disk: ADD is refused with nothing changed, STATUS says why, DEL succeeds."""

from collections.abc import Iterator

import pytest

from sriovbond.host import Host
from tests.kernel.conftest import Wires
from tests.support import ipams
from tests.support.agents import an_agent
from tests.support.calls import Runtime, a_config
from tests.support.disks import a_small_disk, empty, fill, make_read_only, make_writable
from tests.support.shims import Shim, a_shim
from tests.support.thick import Thick
from tests.support.worlds import world

CONFIG = a_config(links=[{"name": "net1"}, {"name": "net2"}])


@pytest.mark.parametrize("of", ["bytes", "files"])
def test_a_full_disk_refuses_add_untouched_and_lets_del_succeed(
    host: Host, runtime: Runtime, wires: Wires, of: str
) -> None:
    namespaces = {"pod": wires.pod.path, "host": None}
    with a_small_disk(host.state):
        assert runtime.call("STATUS", CONFIG).status == 0
        runtime.add(CONFIG).ok()
        fill(host.state, of)

        status = runtime.call("STATUS", CONFIG)
        deleted = runtime.delete(CONFIG)
        fill(host.state, of)  # the space of the record
        before = world(namespaces)
        refused = runtime.add(CONFIG)
        after = world(namespaces)
        empty(host.state)

        assert (status.code, "[state-folder]" in status.msg) == (50, True)
        deleted.ok()
        assert (refused.code, "No space left on device" in refused.msg) == (5, True)
        assert before == after
        runtime.add(CONFIG).ok()
        runtime.delete(CONFIG).ok()


@pytest.mark.parametrize("ipam", [{}, {"type": "host-local"}], ids=["none", "host-local"])
def test_a_read_only_state_folder_blocks_no_del_of_a_bond_never_added(
    shim: Shim, wires: Wires, ipam: dict[str, object]
) -> None:
    config = {**CONFIG, "ipam": ipam and ipams.host_local(shim.home)}
    with a_small_disk(shim.state), an_agent(shim, watch=True):
        thick = Thick(shim, wires.pod)
        make_read_only(shim.state)

        refused, deleted = thick.call("ADD", config), thick.call("DEL", config)
        make_writable(shim.state)

        assert refused.code == 5, refused.stdout
        assert "Read-only file system" in refused.stdout
        assert (deleted.stdout, deleted.status) == ("", 0)


@pytest.fixture
def full() -> Iterator[Shim]:
    """A shim whose state and run are each on a disk that is soon full."""
    with a_shim() as shim, a_small_disk(shim.state), a_small_disk(shim.home / "run"):
        yield shim


def test_a_full_disk_and_a_full_run_let_an_agent_do_a_del(full: Shim, wires: Wires) -> None:
    with an_agent(full, watch=True) as agent:
        thick = Thick(full, wires.pod)
        assert thick.call("ADD", CONFIG).status == 0
        fill(full.state, "bytes")
        fill(full.home / "run", "bytes")

        status, deleted = thick.call("STATUS", CONFIG), thick.call("DEL", CONFIG)
        refused = thick.call("ADD", CONFIG)

        assert status.code == 50
        assert (deleted.stdout, deleted.status) == ("", 0)
        assert refused.code == 5
        assert wires.pod.bond() is None
        empty(full.state)
        assert thick.call("ADD", CONFIG).status == 0
        assert thick.call("DEL", CONFIG).status == 0
        assert agent.stop() == 0
