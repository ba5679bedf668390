"""Shared by the unit tests: profiles of generated examples."""

from tests.support import examples

examples.load_profiles()
