"""Malformed file contents: samples with a byte or a value replaced."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

over_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_VALUES = JSON | JSON.map(lambda value: base64.b64encode(json.dumps(value).encode()).decode())

Place = tuple[str | int, ...]
"""Keys and indices of a nested value."""


def mutated(sample: Path) -> st.SearchStrategy[bytes]:
    """Draw the sample with a value at any depth or bytes replaced, or truncated."""
    return mutated_json(sample.read_bytes())


def mutated_json(content: bytes) -> st.SearchStrategy[bytes]:
    """Draw the JSON with a value at any depth or bytes replaced, or truncated."""
    places = list(_places(json.loads(content)))
    replaced = st.builds(
        lambda place, value: _with(content, place, value), st.sampled_from(places), _VALUES
    )
    return replaced | torn(content)


def torn(content: bytes) -> st.SearchStrategy[bytes]:
    """Draw the content truncated, or with some bytes replaced."""
    return st.one_of(
        st.integers(0, len(content)).map(lambda size: content[:size]),
        st.builds(
            lambda at, junk: content[:at] + junk + content[at + len(junk) :],
            st.integers(0, len(content)),
            st.binary(min_size=1, max_size=4),
        ),
    )


def _places(value: object, place: Place = ()) -> Iterator[Place]:
    yield place
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    for key in keys:
        yield from _places(cast("dict[str | int, object]", value)[key], (*place, key))


def _with(content: bytes, place: Place, value: object) -> bytes:
    whole = {"": json.loads(content)}
    inner = whole
    for key in ("", *place)[:-1]:
        inner = inner[key]  # type: ignore[index]
    inner[("", *place)[-1]] = value  # type: ignore[index]
    return json.dumps(whole[""]).encode()
