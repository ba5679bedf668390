from collections.abc import Iterator

import pytest

from tests.support.shims import Shim, a_shim


@pytest.fixture(scope="session")
def built_shim() -> Iterator[Shim]:
    with a_shim() as shim:
        yield shim


@pytest.fixture
def shim(built_shim: Shim) -> Shim:
    built_shim.clear()
    return built_shim
