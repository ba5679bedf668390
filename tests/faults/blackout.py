"""In the VM: judge what a power loss has left on the disk, and go to the next step to be cut."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sriovbond.shim import build
from tests.faults.fault import Way
from tests.faults.power import CUTS, NONE, Cut, ask_for_cut, say_row
from tests.faults.table import Row
from tests.support import disks, ipams, worlds
from tests.support.agents import an_agent, wait_for
from tests.support.calls import a_config
from tests.support.gates import Gate
from tests.support.pods import Pod, ip
from tests.support.shims import Shim, defines
from tests.support.thick import Called, Config, Thick
from tests.support.thin import Thin
from tests.support.worlds import World
from tests.vm import rig

DISK: Final = Path("/var/lib/sriovbond-disk")
PHASE: Final = "then DEL and GC after the next boot"


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of one way on the disk, with a shim for it."""

    way: Way
    shim: Shim

    @property
    def gate(self) -> Gate:
        return Gate(self.shim.home)

    @property
    def config(self) -> Config:
        return a_config(ipam=ipams.host_local(self.shim.home))

    def pod(self, word: str, boot: str) -> Pod:
        return Pod(f"{word}-{self.way}-{boot}", f"{word}-{self.way}-{boot}")

    def call(self, command: str, pod: Pod, config: Config) -> Called:
        thick = Thick(self.shim, pod)
        runtime = thick if self.way is Way.THICK else Thin(thick, self.gate.install)
        return runtime.call(command, config)

    def look(self) -> World:
        """Return the host, and all files but locks and logs."""
        folders = [self.shim.state, self.shim.home / "run", self.shim.home / "leases"]
        return worlds.settled(worlds.world({"host": None}, folders))

    def files(self) -> World:
        """Return what should go: all files but the agent's lock, and leases of nobody."""
        return {
            key: content
            for key, content in self.look().items()
            if key.startswith("file:")
            and not key.endswith("agent.lock")
            and not _is_lost(key, content)
        }


def _is_lost(key: str, content: object) -> bool:
    """Return whether it is a lease without its owner.

    host-local writes them without fsync, so that a power loss may leave an empty file of one. By
    that it knows no owner, and keeps the address for ever.
    """
    return "/leases/" in key and not content


def main() -> int:
    """Judge one cut by its number, and go to another; either may be none."""
    judged, cut = (
        (number, CUTS[int(number)]) if number != NONE else None for number in sys.argv[1:]
    )
    disks.mount_lasting(DISK)
    with ExitStack() as held:
        for way in Way:
            home = held.enter_context(_a_home(way))
            if judged:
                say_row(_judge(home, *judged))
            if cut:
                held.enter_context(_gone_to(home, *cut))
        if cut:
            ask_for_cut()
    return 0


@contextmanager
def _a_home(way: Way) -> Iterator[Home]:
    """Make the way's folder; its locks are in memory, as /run is. Thick has an agent."""
    folder = DISK / way
    (folder / "run").mkdir(parents=True, exist_ok=True)
    tmpfs = ["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs"]
    subprocess.run([*tmpfs, folder / "run"], check=True)
    shim = Shim(build.build(folder / "shim", "", [*build.FLAGS, *defines(folder)]), folder)
    shim.socket.unlink(missing_ok=True)
    home = Home(way, shim)
    with ExitStack() as held:
        if way is Way.THICK:
            install = home.gate.install
            agent = an_agent(shim, prepare=install, kubelet_timeout_s=60, retry_s=1)
            running = held.enter_context(agent)
            assert running.process.is_alive(), running.said
        yield home


def _judge(home: Home, boot: str, cut: Cut) -> Row:
    """Send DEL of the pod that was at work, and a GC for that which had its bond."""
    started, before, against = time.monotonic(), home.look(), []
    records = len(list((home.shim.state / "records").glob("*.json")))
    deleted = home.call("DEL", home.pod("cut", boot), home.config)
    collected = home.call(
        "GC", home.pod("cut", boot), {**home.config, "cni.dev/valid-attachments": []}
    )
    if home.way is Way.THICK:
        wait_for(lambda: home.shim.queued() == [])
    for name, called in (("DEL", deleted), ("GC", collected)):
        against += [f"{name}: {called.stdout}"] if called.status else []
    against += [f"left: {file} = {content!r}" for file, content in _left(home).items()]
    host = {key: fact for key, fact in home.look().items() if key.startswith("host")}
    was = {key: fact for key, fact in before.items() if key.startswith("host")}
    against += worlds.differences(was, host)
    lost = [key for key, content in before.items() if _is_lost(key, content)]
    for key in lost:
        Path(key.removeprefix("file: ")).unlink()
    answers = (
        f"{records} records, {len(lost)} empty leases; DEL {_word(deleted)}; GC {_word(collected)}"
    )
    took_s = round(time.monotonic() - started, 1)
    return Row(cut.name, PHASE, home.way.value, answers, against, took_s)


def _word(called: Called) -> str:
    return f"error {called.code}" if called.status else "ok"


def _left(home: Home) -> World:
    """Return files that stay; IPAM may still be at work in thick mode."""
    deadline = time.monotonic() + 30
    while home.files() and time.monotonic() < deadline:
        time.sleep(0.2)
    return home.files()


@contextmanager
def _gone_to(home: Home, boot: str, cut: Cut) -> Iterator[None]:
    """Give one pod its bond, and have the command for another halt at the place of the cut."""
    bystander, pod = home.pod("bystander", boot), home.pod("cut", boot)
    for one in (bystander, pod):
        ip(f"netns add {one.name}")
    bystander.batch("link add net1 type dummy", "link add net2 type dummy")
    for number, pf in enumerate(rig.layout().pfs[:2], 1):
        pod.give(pf.vfs[list(Way).index(home.way)].name, f"net{number}")
    links = [{"name": "net1"}, {"name": "net2"}]
    _done(home.call("ADD", bystander, {**home.config, "links": links}))
    if cut.command == "DEL" or not cut.spot:
        _done(home.call("ADD", pod, home.config))
    if not cut.spot:
        yield
        return
    with home.gate.shut(cut.spot):
        calling = threading.Thread(target=home.call, args=(cut.command, pod, home.config))
        calling.daemon = True
        calling.start()
        home.gate.await_halt(lambda: not calling.is_alive())
        yield


def _done(called: Called) -> None:
    assert called.status == 0, called.stdout


if __name__ == "__main__":
    sys.exit(main())
