"""A virtual machine in a pod: a bridge over the pod's bond, by the reference bridge plugin."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.kernel.conftest import Wires
from tests.support import traffic
from tests.support.agents import wait_for
from tests.support.calls import Runtime, a_config, plugin_path
from tests.support.pods import Pod, a_pod
from tests.support.watching import active

FAR = "192.0.2.1"
OWN_MAC = "52:54:00:00:00:01"
BRIDGE = {"cniVersion": "1.0.0", "name": "guests", "type": "bridge", "bridge": "k6t-bond0"}


@dataclass(frozen=True, slots=True)
class Guest:
    """A namespace in the role of a virtual machine, behind the bridge of a pod."""

    pod: Pod
    inside: Pod

    def call(self, command: str) -> None:
        """Run the bridge plugin in the pod, as the launcher of a virtual machine does."""
        values = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": self.inside.container_id,
            "CNI_NETNS": self.inside.path,
            "CNI_IFNAME": "eth0",
            "CNI_PATH": plugin_path(),
            "CNI_ARGS": f"MAC={OWN_MAC}",
        }
        program = shutil.which("bridge", path=plugin_path())
        assert program, f"no plugin bridge in {plugin_path()}"
        done = subprocess.run(
            ["ip", "netns", "exec", self.pod.name, program],
            input=json.dumps(BRIDGE),
            env={**os.environ, **values},
            text=True,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def a_guest(pod: Pod) -> Iterator[Guest]:
    """Put a guest behind the pod's bond, with an address of its own and a MAC of its own."""
    with a_pod("guest") as inside:
        guest = Guest(pod, inside)
        guest.call("ADD")
        pod.batch("link set bond0 master k6t-bond0")
        inside.batch("address add 192.0.2.30/24 dev eth0")
        try:
            yield guest
        finally:
            guest.call("DEL")


def put_on_a_switch(wires: Wires) -> None:
    """Have both ports of the far side on one switch, which has an address."""
    wires.far.batch(
        "link add switch type bridge",
        "link set far1 master switch",
        "link set far2 master switch",
        "link set switch up",
        f"address add {FAR}/24 dev switch",
    )


@pytest.mark.parametrize("fail_over_mac", ["active", "none"])
def test_a_guest_on_a_bridge_over_the_bond_is_reached_through_a_failover(
    runtime: Runtime, wires: Wires, fail_over_mac: str
) -> None:
    config = a_config(links=wires.links, failOverMac=fail_over_mac)
    result = runtime.add(config).ok()
    put_on_a_switch(wires)
    with a_guest(wires.pod) as guest:
        before = wires.pod.the_bond().mac
        with traffic.pings(guest.inside, FAR) as running:
            running.await_answer()
            first = active(wires.pod)
            wires.far.batch(f"link set far{first.removeprefix('net')} down")
            wait_for(lambda: active(wires.pod) not in ("", first))
            running.await_answer(running.last_s)
        neighbours = wires.far.ip("-j neigh show to 192.0.2.30")
        after = wires.pod.the_bond().mac
        checked = runtime.check(config, result)

    assert {row["lladdr"] for row in neighbours} == {OWN_MAC}
    assert (before == after) is (fail_over_mac == "none")
    checked.ok()
    runtime.delete(config).ok()
    assert wires.pod.bond() is None
