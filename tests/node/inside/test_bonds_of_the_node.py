"""`sriovbond host` in the agent's container, as the runtime made it: it changes the node itself."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.node.cluster import AGENT, Cluster
from tests.node.inside.kills import agents, await_restart, restarts
from tests.support.agents import wait_for
from tests.support.pods import ip
from tests.support.worlds import World, differences, settled, world

pytestmark = pytest.mark.agent

STATE: Final = Path("/var/lib/sriovbond")
CHANGE: Final = STATE / "host/change.json"
WITHIN_S: Final = 900.0
REVERTED_S: Final = 120
VLANS: Final = range(100, 140)
BOND: Final = {
    "name": "uplink",
    "type": "bond",
    "state": "up",
    "ipv4": {
        "enabled": True,
        "dhcp": False,
        "address": [{"ip": "203.0.113.9", "prefix-length": 24}],
    },
    "link-aggregation": {
        "mode": "active-backup",
        "options": {"miimon": 100},
        "port": ["nic0", "nic1"],
    },
}
ABSENT: Final = {"interfaces": [{"name": "uplink", "type": "bond", "state": "absent"}]}


@pytest.fixture
def node(clean: Cluster) -> Iterator[Cluster]:
    """The node with two free NICs."""
    for name in ("nic0", "nic1"):
        ip(f"link add {name} type dummy")
        ip(f"link set {name} up")
    yield clean
    for name in ("uplink", "nic0", "nic1"):
        ip(f"link delete {name}", check=False)


def container() -> str:
    """Return the runtime's id of the agent's container."""
    (process,) = agents()
    return Path(f"/proc/{process}/cgroup").read_text().strip().rpartition("/")[2]


def command(cluster: Cluster, *arguments: str) -> list[str]:
    """Return the words that run `sriovbond host` in the agent's container, as kubectl exec does."""
    client = [str(cluster.node.programs / "ctr"), "--namespace=k8s.io", "tasks", "exec"]
    return [*client, "--exec-id=person", container(), "sriovbond", "host", *arguments]


def call(
    cluster: Cluster, *arguments: str, document: object = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(cluster, *arguments),
        input=json.dumps(document),
        capture_output=True,
        text=True,
        check=False,
        timeout=WITHIN_S,
    )


def look() -> World:
    return settled(world({"node": "/proc/self/ns/net"}))


def test_it_makes_a_bond_of_the_node_and_removes_it(node: Cluster) -> None:
    starts = restarts(node, AGENT)

    made = call(node, "apply", "-", "--timeout", "600", document={"interfaces": [BOND]})
    assert made.returncode == 0, made.stderr
    (bond,) = ip("-j -d address show uplink")
    assert bond["linkinfo"]["info_data"]["miimon"] == 100
    assert "203.0.113.9" in [address["local"] for address in bond["addr_info"]]
    again = call(node, "apply", "-", document={"interfaces": [BOND]})
    assert again.stdout.startswith("nothing to do\n"), again.stderr

    removed = call(node, "apply", "-", "--timeout", "600", document=ABSENT)
    assert removed.returncode == 0, removed.stderr
    assert not Path("/sys/class/net/uplink").exists()
    assert restarts(node, AGENT) == starts, "the agent was ended, by its memory limit perhaps"

    assert call(node, "remove").returncode == 0
    assert not (STATE / "program").exists()


def test_a_change_is_reverted_when_its_container_is_killed(node: Cluster) -> None:
    before, starts = look(), restarts(node, AGENT)
    vlans = [
        {"name": f"uplink.{tag}", "type": "vlan", "vlan": {"base-iface": "uplink", "id": tag}}
        for tag in VLANS
    ]
    document = json.dumps({"interfaces": [BOND, *vlans]})
    words = command(node, "apply", "-", "--timeout", str(REVERTED_S))

    with subprocess.Popen(words, stdin=subprocess.PIPE, text=True) as person:
        assert person.stdin
        person.stdin.write(document)
        person.stdin.close()
        wait_for(Path("/sys/class/net/uplink").exists, WITHIN_S)
        (agent,) = agents()
        os.kill(agent, signal.SIGKILL)
        assert person.wait(WITHIN_S) == 128 + signal.SIGKILL

    assert CHANGE.exists()
    wait_for(lambda: not CHANGE.exists(), WITHIN_S)
    assert differences(before, look()) == []
    await_restart(node, AGENT, starts)
