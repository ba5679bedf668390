"""Start virtme-ng's runner with an init of ours in front of its own."""

import importlib
import sys
from pathlib import Path
from typing import Any

INIT = Path(__file__).resolve().parent / "init"


def main() -> int:
    """Do as the program `virtme-run` does with these arguments."""
    resources: Any = importlib.import_module("virtme.resources")
    own = Path(resources.find_guest_tools()) / "bin" / "virtme-ng-init"
    # There is no option for the init, but it is looked for in the folder of guest tools.
    resources.find_guest_tools = lambda: str(INIT)
    sys.argv.insert(1, f"--kopt=rig_init={own}")
    return int(importlib.import_module("virtme.commands.run").main())


if __name__ == "__main__":
    sys.exit(main())
