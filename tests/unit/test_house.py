"""The counts of house faults may only decrease."""

from pathlib import Path

import pytest

from tests import house, words
from tests.docs_tables import CHECKOUT


@pytest.fixture(scope="module")
def counts() -> house.House:
    """Return the counts of today."""
    return house.count(CHECKOUT / root for root in house.ROOTS)


def test_functions_stay_short(counts: house.House) -> None:
    assert counts.median_lines <= 5
    assert counts.long_share <= 0.5


def test_names_say_no_less_than_they_did(counts: house.House) -> None:
    assert counts.pronoun_share <= 1.0
    assert counts.pronoun_attributes <= 1
    assert counts.participle_share <= 1.0


def test_a_public_name_is_of_one_class(counts: house.House) -> None:
    assert counts.homonyms == ()


def test_people_read_the_words_of_the_field() -> None:
    assert list(words.idioms(CHECKOUT / root for root in house.ROOTS)) == []


def test_docstrings_and_comments_use_the_words_of_the_field() -> None:
    assert list(words.source_idioms(CHECKOUT / root for root in house.ROOTS)) == []


def test_tests_are_named_in_the_words_of_the_field() -> None:
    assert list(words.names_of_tests([CHECKOUT / "tests"])) == []


SOURCE = '''"""Who has a lane is told."""

LANES = 2  # whoever asks for one
# `tell` reports it
TEXT = "it stands"
LIMIT: int
"""Given back at the end."""
'''


def test_an_idiom_is_found_in_docstrings_and_comments_with_its_line(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(SOURCE)

    places = [line.removeprefix(f"{module}:") for line in words.source_idioms([tmp_path])]

    assert [line.partition(" in ")[0] for line in places] == [
        "1: 'Who has'",
        "7: 'Given back'",
        "3: 'whoever'",
    ]


def test_an_idiom_is_found_in_a_tests_name(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("def test_a_link_is_told() -> None: ...\ndef test_add() -> None: ...\n")

    (line,) = words.names_of_tests([tmp_path])

    assert line == f"{module}:1: 'told' in test_a_link_is_told"
