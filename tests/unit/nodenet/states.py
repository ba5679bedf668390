"""Documents and states side by side, for tests."""

from sriovbond.nodenet.difference import difference, revert
from sriovbond.nodenet.document import read, read_state
from sriovbond.nodenet.joined import Joined, join
from sriovbond.nodenet.steps import plan
from sriovbond.nodenet.writer import to_yaml


def joined(desired: str, current: str) -> Joined:
    """Return a document beside a state."""
    documents = read(desired)
    assert len(documents) == 1
    return join(documents[0].state, read_state(current))


def changes(desired: str, current: str) -> str:
    """Return what is not there yet."""
    return to_yaml(difference(joined(desired, current)))


def way_back(desired: str, current: str) -> str:
    """Return what takes the change back."""
    return to_yaml(revert(joined(desired, current)))


def steps(desired: str, current: str) -> list[str]:
    """Return the steps in words."""
    return [line for step in plan(joined(desired, current)) for line in step.lines]
