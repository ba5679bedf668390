"""The agent, with a thread that writes what it has in use, when FILE is removed.

`python -m tests.soak.weighed FILE agent`

RSS hides a small leak: it has malloc's free pages between blocks in use too, whose number comes to
rest only after thousands of calls.
"""

import ctypes
import gc
import json
import sys
import threading
import time
from pathlib import Path
from typing import Final

from sriovbond.__main__ import main

_EACH_S: Final = 0.1
_KIB: Final = 1024
_NAMES: Final = (
    *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
    *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
)


class _Information(ctypes.Structure):
    """struct mallinfo2 of glibc's malloc.h."""

    _fields_ = [(name, ctypes.c_size_t) for name in _NAMES]


def weigh(file: Path) -> None:
    """Write, whenever the file is missing: KiB that malloc has in use, and Python's blocks."""
    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = _Information
    beside = file.with_suffix(".new")
    while True:
        while file.exists():
            time.sleep(_EACH_S)
        gc.collect()  # garbage in cycles may wait for thousands of calls
        information = libc.mallinfo2()
        in_use = (information.uordblks + information.hblkhd) / _KIB
        beside.write_text(json.dumps([in_use, sys.getallocatedblocks()]))
        beside.replace(file)


if __name__ == "__main__":
    threading.Thread(target=weigh, args=(Path(sys.argv.pop(1)),), daemon=True).start()
    sys.exit(main())
