#!/usr/bin/python3
"""A stand-in for flannel's CNI plugin, which hands on to its delegate exactly what that does.

Source: flannel-io/cni-plugin, flannel.go and flannel_linux.go, and the README's list of what is
added. To be put among CNI plugins as `flannel`; standard library only.
"""

import json
import os
import subprocess
import sys
from ipaddress import ip_interface
from pathlib import Path
from typing import Any


def main() -> int:
    """Do the CNI command of the environment."""
    config = json.load(sys.stdin)
    kept = Path(config["dataDir"], os.environ["CNI_CONTAINERID"])
    if os.environ["CNI_COMMAND"] == "DEL":
        if not kept.exists():
            return 0
        delegate = json.loads(kept.read_text())
        kept.unlink()
    else:
        delegate = delegated(config, subnet(Path(config["subnetFile"])))
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(delegate))
    return execute(delegate)


def subnet(file: Path) -> dict[str, str]:
    """Return what flannel's daemon has written for this node."""
    return dict(line.split("=", 1) for line in file.read_text().split())


def delegated(config: dict[str, Any], given: dict[str, str]) -> dict[str, Any]:
    """Return the delegate's configuration."""
    ipam = {
        "type": "host-local",
        "ranges": [[{"subnet": str(ip_interface(given["FLANNEL_SUBNET"]).network)}]],
        "routes": [{"dst": given["FLANNEL_NETWORK"]}],
    }
    defaults = {"type": "bridge", "mtu": int(given["FLANNEL_MTU"]), "ipMasq": False}
    fixed = {"name": config["name"], "cniVersion": config["cniVersion"], "ipam": ipam}
    return {**defaults, **config["delegate"], **fixed}


def execute(delegate: dict[str, Any]) -> int:
    """Run the delegate, whose result is this plugin's."""
    folders = (Path(folder) for folder in os.environ["CNI_PATH"].split(":"))
    program = next(p for folder in folders if (p := folder / delegate["type"]).exists())
    text = json.dumps(delegate)
    return subprocess.run([program], input=text, text=True, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
