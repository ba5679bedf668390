"""What unit tests and kernel tests share."""

from collections.abc import Iterator

import pytest

from tests.support.shims import Shim, a_shim


@pytest.fixture(scope="session")
def built_shim() -> Iterator[Shim]:
    """A shim, compiled once."""
    with a_shim() as shim:
        yield shim


@pytest.fixture
def shim(built_shim: Shim) -> Shim:
    """The shim, and nothing that an earlier test left."""
    built_shim.clear()
    return built_shim
