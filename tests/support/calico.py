#!/usr/bin/python3
"""A stand-in for calico-ipam: it asks no datastore, and always gives the same address of a pool.

Source: projectcalico/calico, cni-plugin/pkg/ipamplugin: an address of its pool with the prefix /32,
and success for a DEL of what it does not know. It reads the keys beside `ipam` that calico-ipam
reads. Standard library only.
"""

import json
import os
import shutil
import sys
from pathlib import Path

NAME = "calico-ipam"
ADDRESS = "10.10.20.7"
NOTES = Path("/run/calico-ipam.notes")
"""A line for each call: the command, the pools and the datastore."""


def install(plugins: Path) -> Path:
    """Put it among CNI plugins; return the file of its notes."""
    NOTES.unlink(missing_ok=True)
    shutil.copy(__file__, plugins / NAME)
    (plugins / NAME).chmod(0o755)
    return NOTES


def main() -> int:
    """Do the CNI command of the environment."""
    config = json.load(sys.stdin)
    command = os.environ["CNI_COMMAND"]
    kubeconfig = config["kubernetes"]["kubeconfig"]
    words = [command, *config["ipam"]["ipv4_pools"], config["datastore_type"], kubeconfig]
    with NOTES.open("a") as notes:
        notes.write(" ".join(words) + "\n")
    if command == "ADD":
        ips = [{"version": "4", "address": f"{ADDRESS}/32"}]
        json.dump({"cniVersion": config["cniVersion"], "ips": ips}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
