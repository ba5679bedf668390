"""Scrapes an agent's metrics as Prometheus does, at a unix socket."""

import socket
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample


def sample(path: Path, name: str, **labels: str) -> float:
    """Return the value of the one series with these labels."""
    series = _series(path, name)
    values = [row.value for row in series if labels.items() <= row.labels.items()]
    assert len(values) == 1, (name, labels, series)
    return float(values[0])


def samples(path: Path, name: str) -> list[float]:
    """Return the values of all series of this name."""
    return [float(row.value) for row in _series(path, name)]


def _series(path: Path, name: str) -> list[Sample]:
    """Parse the lines of this name only: tests look again and again, and the page is long."""
    page = page_of(path, "/metrics").partition(b"\r\n\r\n")[2].decode()
    lines = "".join(line for line in page.splitlines(keepends=True) if line.startswith(name))
    families = text_string_to_metric_families(lines)
    return [row for family in families for row in family.samples if row.name == name]


def page_of(path: Path, name: str) -> bytes:
    """Return a page with its head."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(str(path))
        asking.sendall(f"GET {name} HTTP/1.0\r\n\r\n".encode())
        return b"".join(iter(lambda: asking.recv(1 << 16), b""))
