"""The counts of house faults may only decrease."""

from tests import house, words
from tests.docs_tables import CHECKOUT

NOW = house.count(CHECKOUT / root for root in house.ROOTS)


def test_functions_stay_short() -> None:
    assert NOW.median_lines <= 5
    assert NOW.long_share <= 0.5


def test_names_say_no_less_than_they_did() -> None:
    assert NOW.pronoun_share <= 1.0
    assert NOW.participle_share <= 1.0


def test_a_public_name_is_of_one_class() -> None:
    assert NOW.homonyms == ()


def test_people_read_the_words_of_the_field() -> None:
    assert list(words.idioms(CHECKOUT / root for root in house.ROOTS)) == []
