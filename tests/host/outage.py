"""In the VM: judge what a power loss has left of a change, and go to the next cut.

Bond, VLAN and bridge over the rig's PFs, in the VM's own network; systemd boots on the disk.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.docs_tables import CHECKOUT
from tests.faults.power import ask_for_cut
from tests.host.power import KEPT, VERDICT, Place
from tests.support import disks
from tests.support.agents import wait_for
from tests.support.booted import BootedNode, booted, look, make_disk
from tests.support.uplinks import DEFAULT_ROUTE, STACK, UPLINK
from tests.support.worlds import World, differences
from tests.vm import rig

DISK: Final = Path("/var/lib/sriovbond-disk")
NODE: Final = DISK / "node"
EXPECTED: Final = DISK / "expected"
HALTED: Final = "etc/halted"
DOCUMENT: Final = "etc/uplink.yml"
HALTED_S: Final = 300.0
FORMER: Final = (UPLINK + DEFAULT_ROUTE).replace("eth1", "pf0")
NEW: Final = STACK.replace("eth1", "pf0").replace("eth2", "pf1")
NEWER: Final = NEW.replace("mtu: 1450", "mtu: 1440")


def main() -> int:
    """Judge the cut before that of the number, and go to that one; the last boot only judges."""
    number = int(sys.argv[1])
    disks.mount_lasting(DISK)
    if not number:
        make_disk(NODE)
    places = list(Place)
    with booted(NODE, None) as node:
        if number:
            _judge(node, places[number - 1])
        if number < len(places):
            with _gone_to(node, places[number]):
                ask_for_cut()
    return 0


def _judge(node: BootedNode, place: Place) -> None:
    against = differences(json.loads(EXPECTED.read_text()), _look(node))
    if node.change.exists():
        against.append("a change is left")
    if "192.0.2.9/24" not in node.at_kubelets_start:
        against.append("kubelet began without the network")
    line = json.dumps({"place": place, "against": against})
    sys.stdout.write(f"{VERDICT}{line}\n")
    sys.stdout.flush()


def _look(node: BootedNode) -> World:
    """Return the network in words, but for VFs, whose MACs are chosen by chance at each boot."""
    vfs = {vf.name for vf in rig.layout().vfs}
    facts = look(node)
    return {key: repr(value) for key, value in facts.items() if vfs.isdisjoint(key.split())}


@contextmanager
def _gone_to(node: BootedNode, place: Place) -> Iterator[None]:
    """Have a change come as far as the cut; write down what must be there after the next boot."""
    if place is not Place.COMMITTED:
        _apply(node, FORMER)
    before = _look(node)
    (NODE / DOCUMENT).write_text(NEWER if place is Place.COMMITTED else NEW)
    (NODE / HALTED).unlink(missing_ok=True)
    program = ["env", f"PYTHONPATH={CHECKOUT}", sys.executable, "-m", "tests.host.halted"]
    with subprocess.Popen(node.words(*program, place.name)) as process:
        wait_for((NODE / HALTED).exists, HALTED_S)
        EXPECTED.write_text(json.dumps(_look(node) if place in KEPT else before))
        subprocess.run(["sync", EXPECTED, DISK], check=True)  # no file of the node's
        yield
        process.kill()


def _apply(node: BootedNode, text: str) -> None:
    (NODE / DOCUMENT).write_text(text)
    done = node.host("apply", f"/{DOCUMENT}")
    assert done.returncode == 0, done.stdout + done.stderr


if __name__ == "__main__":
    sys.exit(main())
