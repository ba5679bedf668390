"""Scrapes an agent's metrics as Prometheus does, at a unix socket."""

import socket
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families


def sample(path: Path, name: str, **labels: str) -> float:
    """Return the value of the one series with these labels."""
    page = page_of(path, "/metrics").partition(b"\r\n\r\n")[2]
    found = [
        one.value
        for family in text_string_to_metric_families(page.decode())
        for one in family.samples
        if one.name == name and labels.items() <= one.labels.items()
    ]
    assert len(found) == 1, (name, labels, page.decode())
    return float(found[0])


def samples(path: Path, name: str) -> list[float]:
    """Return the values of all series of this name."""
    page = page_of(path, "/metrics").partition(b"\r\n\r\n")[2]
    return [
        float(series.value)
        for family in text_string_to_metric_families(page.decode())
        for series in family.samples
        if series.name == name
    ]


def page_of(path: Path, name: str) -> bytes:
    """Return a page with its head."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(str(path))
        asking.sendall(f"GET {name} HTTP/1.0\r\n\r\n".encode())
        return b"".join(iter(lambda: asking.recv(1 << 16), b""))
