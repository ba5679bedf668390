"""`python -m sriovbond.dhcp INTERFACE`: what the unit executes."""

import argparse
import os
import sys
from pathlib import Path
from typing import Final

from sriovbond.container import program
from sriovbond.dhcp import client, files
from sriovbond.dhcp.client import NoWishError
from sriovbond.dhcp.files import MalformedFileError
from sriovbond.errors import SriovbondError
from sriovbond.host import Host
from sriovbond.log import visible

_FINAL: Final = (NoWishError, MalformedFileError)
"""What is the same when the client is started again."""


def main() -> int:
    """Hold the lease of the interface that the command line names; return the status.

    It is EX_CONFIG where another start would end as this one.
    """
    parser = argparse.ArgumentParser(prog="sriovbond.dhcp", description=__doc__)
    parser.add_argument("name", metavar="INTERFACE")
    for option in ("state", "root", "run"):
        parser.add_argument(f"--{option}", type=Path, default=getattr(Host(), option))
    parser.add_argument("--leave-container", dest="is_leaving", action="store_true")
    given = parser.parse_args()
    if not files.is_possible(given.name):
        parser.error(f"{given.name!r} is no name of an interface with DHCP")
    try:
        if given.is_leaving:
            program.leave_container()
        client.run(Host(root=given.root, state=given.state, run=given.run), given.name)
    except SriovbondError as error:
        sys.stderr.write(f"Error: {visible(error.message)}\n")
        return os.EX_CONFIG if isinstance(error, _FINAL) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
