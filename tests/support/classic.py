"""Configurations and links for bond-cni and ours alike."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.calls import Reply
from tests.support.pods import Pod

bond_cni = pytest.mark.peer("bond")
MACS = ("02:00:00:00:01:01", "02:00:00:00:01:02")
Call = Callable[..., Reply]
Config = dict[str, object]
IPAM: Config = {"ipam": {"type": "scripted"}}  # see scripted()


def a_classic(**keys: object) -> Config:
    """Return a configuration in bond-cni's form, over net1 and net2 of the pod."""
    classic: Config = {
        "cniVersion": "0.3.1",
        "name": "bond-net1",
        "type": "bond",
        "mode": "active-backup",
        "failOverMac": 1,
        "linksInContainer": True,
        "miimon": "100",
        "links": [{"name": "net1"}, {"name": "net2"}],
        **keys,
    }
    return {key: value for key, value in classic.items() if value is not None}


def of_host(*names: str) -> Config:
    return a_classic(linksInContainer=False, links=[{"name": name} for name in names])


def scripted(folder: Path, body: str) -> dict[str, str]:
    """Create an IPAM plugin of these shell lines; return the variables to find it."""
    program = folder / "scripted"
    program.write_text(f"#!/bin/sh\ncat >/dev/null\n{body}\n")
    program.chmod(0o755)
    return {"CNI_PATH": f"{folder}"}


def macs(pod: Pod) -> list[str]:
    return [link.mac if (link := pod.link(name)) else "gone" for name in ("net1", "net2")]


def ups(pod: Pod) -> list[bool]:
    return [bool((link := pod.link(name)) and link.is_up) for name in ("net1", "net2")]


def stands_on_host(name: str) -> bool:
    return Path("/sys/class/net", name).exists()
