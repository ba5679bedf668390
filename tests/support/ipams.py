"""IPAM plugins for tests: the real host-local, and scripted ones."""

from pathlib import Path

NETWORK = "test-bond"


def host_local(folder: Path, subnets: tuple[str, ...] = ("198.51.100.0/24",)) -> dict[str, object]:
    """Return an `ipam` section of host-local that keeps its leases in `folder`."""
    return {
        "type": "host-local",
        "dataDir": str(folder / "leases"),
        "ranges": [[{"subnet": subnet}] for subnet in (*subnets, "2001:db8:51::/64")],
        "routes": [{"dst": "203.0.113.0/24"}, {"dst": "2001:db8:52::/64"}],
    }


def leases(folder: Path) -> list[str]:
    """Return the addresses that host-local has leased in `folder`."""
    names = [file.name for file in (folder / "leases" / NETWORK).glob("*")]
    return sorted(name for name in names if name[0].isdigit())


def scripted(folder: Path, body: str, name: str = "scripted-ipam") -> str:
    """Create an IPAM plugin from a shell script; return a CNI_PATH with only that."""
    home = folder / "plugins"
    home.mkdir(exist_ok=True)
    program = home / name
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return str(home)
