"""What Python has no name for, on this host's libc."""

import subprocess
import sys
from pathlib import Path
from typing import Final

_FREED_MIB: Final = 64
_PROGRAM: Final = """
from pathlib import Path
from sriovbond import libc

def rss_kib():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

blocks = [bytes(4000) for _ in range(16_384)]
del blocks[:-1]  # the last one is at the heap's end: free() alone returns nothing
before = rss_kib()
libc.trim_heap()
print(before - rss_kib())
"""


def test_trimming_returns_free_memory_below_a_block_in_use() -> None:
    """Half of 64 MiB at least; what else the interpreter keeps there is its own."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )

    assert int(done.stdout) > _FREED_MIB * 1024 // 2
