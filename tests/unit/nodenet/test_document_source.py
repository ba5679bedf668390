"""A text becomes a tree that knows its places, and no scalar becomes something else."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sriovbond.nodenet.source import Branch, Items, Leaf, SourceError, Spot, doubles, parse


def test_a_mac_address_of_digits_stays_a_text() -> None:
    (root,) = parse("mac: 52:54:00:12:34:56\nswitch: on\nnumber: 0x30")

    assert isinstance(root, Branch)
    assert [entry.value for entry in root.entries] == [
        Leaf(Spot(1, 6), "52:54:00:12:34:56", is_plain=True),
        Leaf(Spot(2, 9), "on", is_plain=True),
        Leaf(Spot(3, 9), "0x30", is_plain=True),
    ]


def test_json_with_tabs_is_read_at_its_places() -> None:
    (root,) = parse('{\n\t"a": [1,\t"x"]\n}')

    assert isinstance(root, Branch)
    items = root.at("a")
    assert isinstance(items, Items)
    assert [node.spot for node in items.nodes] == [Spot(2, 8), Spot(2, 11)]


def test_empty_documents_are_left_out() -> None:
    assert parse("---\n---\n# nothing\n---\n~\n") == []


def test_invalid_yaml_is_reported_with_its_place() -> None:
    with pytest.raises(SourceError, match=r"^line 2, column 3: "):
        parse("a: 1\n b: 2\n")


@pytest.mark.parametrize("text", ["&a [*a]", "&a {x: *a}"])
def test_an_alias_to_its_own_anchor_is_refused(text: str) -> None:
    with pytest.raises(SourceError, match="endless"):
        parse(text)


@pytest.mark.slow
def test_aliases_that_multiply_are_refused() -> None:
    lines = ["a0: &a0 [1,1,1,1,1,1,1,1,1,1]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]

    with pytest.raises(SourceError, match="more than 100000 parts"):
        parse("\n".join(lines))


def test_a_document_that_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(SourceError, match=r"deep|depth"):
        parse("[" * 1500)


def test_keys_given_twice_are_found_at_any_depth() -> None:
    (root,) = parse("a: 1\nb:\n  - c: 1\n    c: 2\na: 3")

    assert [str(problem) for problem in doubles(root)] == [
        "line 4, column 5: 'c' is given twice",
        "line 5, column 1: 'a' is given twice",
    ]


@given(st.text(alphabet="ab:-[]{},&*'\"|># \n\t\x00\ud800", max_size=40))
def test_any_text_is_a_tree_or_refused_with_a_place(text: str) -> None:
    with suppress(SourceError):
        assert all(isinstance(node, Leaf | Branch | Items) for node in parse(text))
