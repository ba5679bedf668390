"""Shared by the unit tests: profiles of generated examples, and a marker for slow tests."""

import pytest

from tests.support import examples

examples.load_profiles()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: waits for a second or more; left out by `make unit`")
