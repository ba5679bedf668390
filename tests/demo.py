"""`make demo`: two VFs of two PFs, given to a pod, bonded, failing over, and put back.

Runs in the VM, with the programs that a node has: a mover, our plugin as an executable, IPAM.
"""

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table

from tests.support import plugins
from tests.support.calls import plugin_path
from tests.support.pods import Pod, a_pod, ip
from tests.vm import rig

PICTURE: Final = Path("build/demo.svg")
CNI_FOLDER: Final = Path("/run/sriovbond-demo/bin")
CONFIG: Final = {
    "cniVersion": "1.1.0",
    "name": "bond-net",
    "type": "sriovbond",
    "ipam": {
        "type": "static",
        "addresses": [{"address": "192.0.2.10/24"}, {"address": "2001:db8::10/64"}],
    },
}
PINGS_EVERY_S: Final = 0.05
FAILOVER_AFTER_S: Final = 2.0
PINGS_FOR_S: Final = 12.0
PINGS: Final = int(PINGS_FOR_S / PINGS_EVERY_S)
CARRIER_WITHIN_S: Final = 15.0
FAILOVER_WITHIN_S: Final = 10.0
MOST_LOST: Final = 100

console = Console(record=True, width=100, highlight=False, force_terminal=True)


class DemoError(Exception):
    """A step did not go as it should."""


@dataclass(frozen=True, slots=True)
class Vf:
    """A VF as the host sees it at rest."""

    name: str
    mac: str
    mtu: int
    is_up: bool
    alias: str


def main() -> int:
    """Run the demo; return 0 if every step succeeded."""
    try:
        _tell(rig.layout())
    except DemoError as error:
        console.print(f"\n[bold red]not as it should be:[/] {error}")
        return 1
    finally:
        PICTURE.parent.mkdir(exist_ok=True)
        console.save_svg(str(PICTURE), title="make demo")
    console.print(f"\n[bold green]all as it should be[/] (picture: {PICTURE})")
    return 0


def _tell(layout: rig.Layout) -> None:
    mover = _install()
    vfs = [pf.vfs[0] for pf in layout.pfs[:2]]
    before = [_vf(vf.name) for vf in vfs]
    _step(f"Linux {layout.kernel}, two PFs, a VF of each; remote is 192.0.2.1 on the same wire")
    with a_pod("demo") as pod:
        for number, vf in enumerate(vfs, start=1):
            _move("ADD", mover, pod, f"net{number}", vf.pci)
            console.print(f"{mover}: {vf.name} ({vf.pci}) is net{number} in the pod")
        _step("sriovbond ADD, with a configuration that names no interface and no device")
        console.print(Syntax(json.dumps(CONFIG, indent=2), "json", background_color="default"))
        result = _cni("ADD", pod, "bond0", CONFIG)
        console.print("its result:")
        console.print(Syntax(json.dumps(result, indent=2), "json", background_color="default"))
        _step("sriovbond show bond0, when the VFs have their carrier")
        _await_carrier(pod)
        console.out(_shown(pod), end="")
        _fail_over(pod, layout)
        _step("CHECK, DEL, and the mover's own DEL")
        _cni("CHECK", pod, "bond0", {**CONFIG, "prevResult": result})
        console.print("CHECK: nothing differs")
        _cni("DEL", pod, "bond0", CONFIG)
        console.print(f"DEL: the pod has {', '.join(_names(pod))}")
        for number, vf in reversed(list(enumerate(vfs, start=1))):
            _move("DEL", mover, pod, f"net{number}", vf.pci)
    _compare(before, [_vf(vf.name) for vf in vfs])


def _install() -> str:
    """Link the plugin into a CNI folder as an operator does; return the mover's name."""
    CNI_FOLDER.mkdir(parents=True, exist_ok=True)
    link = CNI_FOLDER / "sriovbond"
    link.unlink(missing_ok=True)
    link.symlink_to(Path(sys.executable).with_name("sriovbond"))
    peers = os.environ.get("SRIOVBOND_PEERS")
    return "sriov" if peers and Path(peers, "sriov").exists() else "host-device"


def _cni(command: str, pod: Pod, ifname: str, config: dict[str, Any]) -> dict[str, Any]:
    """Call a plugin as a container runtime does."""
    path = f"{CNI_FOLDER}:{plugin_path()}"
    reply = plugins.call(command, pod, ifname, config, CNI_PATH=path)
    if reply.status:
        raise DemoError(f"{config['type']} {command}: {json.dumps(reply.body)}")
    return reply.body


def _move(command: str, mover: str, pod: Pod, ifname: str, pci: str) -> None:
    device = {"deviceID": pci} if mover == "sriov" else {"pciBusID": pci}
    config = {"cniVersion": "1.0.0", "name": f"{ifname}-net", "type": mover, **device}
    _cni(command, pod, ifname, config)


def _await_carrier(pod: Pod) -> None:
    deadline = time.monotonic() + CARRIER_WITHIN_S
    while time.monotonic() < deadline:
        state = pod.bond()
        if state and state.has_carrier and all(member.mii_up for member in state.members):
            return
        time.sleep(0.1)
    raise DemoError(f"the bond has no carrier on both members after {CARRIER_WITHIN_S:.0f} s")


def _shown(pod: Pod) -> str:
    done = subprocess.run(
        [CNI_FOLDER / "sriovbond", "show", "bond0", "--netns", pod.path],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DemoError(f"sriovbond show: {done.stderr}")
    return done.stdout


def _fail_over(pod: Pod, layout: rig.Layout) -> None:
    active = _active(pod)
    pf = layout.pfs[int(active.removeprefix("net")) - 1].name
    _step(f"pings to remote every {PINGS_EVERY_S * 1000:.0f} ms; {pf}, the active one, goes down")
    with _pings(pod) as ping:
        time.sleep(FAILOVER_AFTER_S)
        started = time.monotonic()
        ip(f"link set {pf} down")
        took_s = _await_failover(pod, active) - started
        printed = ping.communicate(timeout=PINGS_FOR_S * 3)[0]
    ip(f"link set {pf} up")
    answered = {int(number) for number in re.findall(r"icmp_seq=(\d+) ttl", printed)}
    lost = PINGS - len(answered)
    # a line for each style: some viewers of the picture drop the space between two
    console.print(f"[bold]{active} -> {_active(pod)}, {took_s:.1f} s after the command[/]")
    console.print("(the VF's driver looks at its PF about once a second)")
    console.print(f"{lost} of {PINGS} pings lost")
    if lost > MOST_LOST or max(answered, default=0) < PINGS - 1:
        raise DemoError(f"more than {MOST_LOST} pings were lost, or the last ones")
    console.out(_shown(pod), end="")


def _pings(pod: Pod) -> subprocess.Popen[str]:
    command = f"ip netns exec {pod.name} ping -n -i {PINGS_EVERY_S} -c {PINGS} -W 1 192.0.2.1"
    return subprocess.Popen(command.split(), stdout=subprocess.PIPE, text=True)


def _await_failover(pod: Pod, active: str) -> float:
    """Return when another member has become the active one."""
    deadline = time.monotonic() + FAILOVER_WITHIN_S
    while time.monotonic() < deadline:
        if _active(pod) != active:
            return time.monotonic()
        time.sleep(0.01)
    raise DemoError(f"{active} is still the active member after {FAILOVER_WITHIN_S:.0f} s")


def _active(pod: Pod) -> str:
    state = pod.bond()
    active = [member.name for member in state.members if member.is_active] if state else []
    if not active:
        raise DemoError("the bond has no active member")
    return active[0]


def _names(pod: Pod) -> list[str]:
    return [link["ifname"] for link in pod.ip("-j link") if link["ifname"] != "lo"]


def _vf(name: str) -> Vf:
    (link,) = ip(f"-j link show {name}")
    return Vf(name, link["address"], link["mtu"], "UP" in link["flags"], link.get("ifalias", ""))


def _compare(before: list[Vf], after: list[Vf]) -> None:
    _step("the VFs on the host, before and after")
    table = Table("VF", "MAC", "MTU", "up", "alias", "")
    for then, now in zip(before, after, strict=True):
        is_up = "yes" if now.is_up else "no"
        same = "[green]as before[/]" if then == now else f"[red]was {then}[/]"
        table.add_row(now.name, now.mac, str(now.mtu), is_up, now.alias, same)
    console.print(table)
    if before != after:
        raise DemoError("the VFs are not as they were")


def _step(words: str) -> None:
    console.print(f"\n[bold cyan]{words}[/]")


if __name__ == "__main__":
    sys.exit(main())
