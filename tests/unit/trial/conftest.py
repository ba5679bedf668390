"""A node below the test's folder, in the network namespace of the tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sriovbond.host import Host
from sriovbond.kernel import netns
from sriovbond.reshape.site import Site


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(root=tmp_path, state=tmp_path / "state", run=tmp_path / "run")


@pytest.fixture
def site(host: Host) -> Iterator[Site]:
    with netns.own() as own:
        yield Site(own, host.root, host.places.sysfs, host)
