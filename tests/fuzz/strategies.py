"""Draws hostile input for a target: its samples with values replaced, cut or torn, any bytes."""

import json

from hypothesis import strategies as st

from tests.fuzz.targets import Target
from tests.support import garbage


def hostile(target: Target) -> st.SearchStrategy[bytes]:
    """Draw input for the target."""
    return st.one_of(*map(_changed, target.samples), st.binary(max_size=200))


def _changed(sample: bytes) -> st.SearchStrategy[bytes]:
    """Draw the sample changed: as JSON where it is JSON, perhaps behind a byte that chooses."""
    for size in (0, 1):
        head, body = sample[:size], sample[size:]
        if _is_json(body):
            return garbage.mutated_json(body).map(head.__add__)
    return garbage.torn(sample)


def _is_json(content: bytes) -> bool:
    try:
        return isinstance(json.loads(content), dict | list)
    except ValueError:
        return False
