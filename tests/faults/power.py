"""Power loss: QEMU is killed between two steps, and the next boot sends DEL and GC.

On the host: `python -m tests.faults.power`, or with words of the names of some cuts. Each boot
first judges what the boot before has left on the disk, and then goes to the next step, at which
QEMU is killed.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from tests.faults.fault import IN_DEL, MID_ADD, Phase
from tests.faults.table import FILE, Row, Run, join, read, write
from tests.support.children import descendants
from tests.support.disks import SERIAL
from tests.support.gates import Spot

CUT, ROW, NONE = "cut the power now", "row ", "none"
DISK_BYTES: Final = 64 << 20
QEMU: Final = "qemu-system-x86"


@dataclass(frozen=True, slots=True)
class Cut:
    """A place in a command; without a spot its end."""

    words: str
    command: str
    spot: Spot | None = None

    @property
    def name(self) -> str:
        return f"power loss {self.words}"


CUTS: Final = (
    Cut("in ADD, record written", "ADD", Spot("make the bond")),
    Cut("in ADD, one member in the bond", "ADD", MID_ADD),
    Cut("in ADD, addresses leased", "ADD", Spot("put the address")),
    Cut("after ADD", "ADD"),
    Cut("in DEL", "DEL", IN_DEL[Phase.DEL]),
    Cut("in DEL, bond deleted", "DEL", IN_DEL[Phase.DELETED]),
)


def main() -> int:
    """Boot, cut the power, boot again; return 1 where something did not hold."""
    image = Path("build/faults.disk").resolve()
    image.unlink(missing_ok=True)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", image, f"{DISK_BYTES >> 10}k"], check=True)
    kept, rows, cuts = read(FILE), [], list(_find_meant(sys.argv[1:]))
    for judged, cut in pairwise([NONE, *cuts, NONE]):
        for row in _boot(judged, cut, image):
            rows.append(row)
            sys.stdout.write(f"{row}\n")
            write(FILE, join(kept, Run(kept.kernel, rows, time.strftime("%Y-%m-%d"))))
    image.unlink()
    return 1 if any(not row.holds for row in rows) or len(rows) != 2 * len(cuts) else 0


def _find_meant(words: list[str]) -> Iterator[str]:
    """Yield the numbers of the cuts whose name has one of the words, or of all."""
    for number, cut in enumerate(CUTS):
        if not words or any(word in cut.name for word in words):
            yield str(number)


def _boot(judged: str, cut: str, image: Path) -> Iterator[Row]:
    """Boot the VM for a cut; yield what it says of the one before."""
    for line in lines_until_cut(f"tests.faults.blackout {judged} {cut}", image):
        if line.startswith(ROW):
            yield Row(**json.loads(line.removeprefix(ROW)))
        else:
            sys.stdout.write(line)


def lines_until_cut(module: str, image: Path) -> Iterator[str]:
    """Boot the VM with a disk, to run a module; yield its lines, and kill it at those for a cut."""
    command = ["tests/vm/run", f"python -m {module}"]
    environment = {**os.environ, "QEMU_OPTIONS": _disk_options(image)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as vm:
        assert vm.stdout
        for line in vm.stdout:
            if line.startswith(CUT):
                _kill_qemu(vm.pid)
            else:
                yield line


def _disk_options(image: Path) -> str:
    """Return QEMU's options for the disk; the VM finds it by its serial number."""
    drive = f"file={image},if=none,id=faults,format=raw,cache=writeback"
    return f"-drive {drive} -device virtio-blk-pci,drive=faults,serial={SERIAL}"


def _kill_qemu(above: int) -> None:
    """Kill the QEMU among that process' descendants."""
    (pid,) = (pid for pid in descendants(above) if _name(pid).startswith(QEMU))
    os.kill(pid, signal.SIGKILL)


def _name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def say_row(row: Row) -> None:
    """Tell the host of a row."""
    sys.stdout.write(f"{ROW}{json.dumps(asdict(row))}\n")
    sys.stdout.flush()


def ask_for_cut() -> None:
    """Have the host kill this VM, and wait for it."""
    sys.stdout.write(f"{CUT}\n")
    sys.stdout.flush()
    time.sleep(600)


if __name__ == "__main__":
    sys.exit(main())
