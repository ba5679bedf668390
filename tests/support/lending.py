"""node.toml of a test's node, which lends host links."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sriovbond.host import Host


def lend(host: Host, *names: str) -> None:
    """Lend the links of these names, patterns or addresses, and no others."""
    write(host.node_file, f"host_links = {json.dumps(names)}\n")


def write(file: Path, text: str) -> None:
    """Write node.toml, writable only by root."""
    file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o644)


@contextmanager
def lent_by_this_machine(*names: str) -> Iterator[None]:
    """Write the machine's own node.toml meanwhile, for an agent in its own process."""
    host = Host()
    assert not host.node_file.exists()
    lend(host, *names)
    try:
        yield
    finally:
        host.node_file.unlink()
