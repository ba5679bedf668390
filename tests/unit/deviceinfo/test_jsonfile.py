import base64
import json
from collections.abc import Callable

import pytest

from deviceinfo.jsonfile import ELEMENTS, Fields, parse_list, parse_object, some_of
from deviceinfo.plainfile import UnreadableError


def packed(value: object) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


def test_a_list_is_stepped_into_object_by_object() -> None:
    numbers = parse_list(b'[{"a": 1}, {"a": -1}, 7]', "numbers").objects("numbers")

    assert [fields.number("a") for fields in numbers] == [1, None, None]
    assert [fields.faults for fields in numbers] == [
        [],
        ["numbers[1].a is -1 instead of a whole number from 0 on"],
        ["numbers[2] is 7 instead of an object"],
    ]


def test_a_value_that_is_no_list_or_too_long_has_no_objects() -> None:
    fields = Fields({"a": {}, "c": [{}] * 20_001})

    assert fields.objects("a") == fields.objects("b") == fields.objects("c") == []
    assert [fault.partition(" instead of ")[2] for fault in fields.faults] == [
        "a list of at most 20000"
    ] * 2
    with pytest.raises(UnreadableError, match="dict instead of a list"):
        parse_list(b"{}", "numbers")


def test_an_object_packed_in_base64_is_stepped_into() -> None:
    fields = Fields({"Bytes": packed({"type": 7}), "empty": ""})

    assert fields.packed("Bytes").text("type") is None
    assert fields.packed("empty").members == {}
    assert fields.faults == ["Bytes.type is 7 instead of a text"]


@pytest.mark.parametrize("value", ["é", "!", "e30", packed([]), packed(1)])
def test_a_value_that_is_no_packed_object_is_a_fault(value: str) -> None:
    fields = Fields({"Bytes": value})

    assert fields.packed("Bytes").members == {}
    assert len(fields.faults) == 1


@pytest.mark.parametrize("text", ["\x1b[2J", "a\nb", "\ud800"])
def test_a_text_for_people_has_no_control_characters(text: str) -> None:
    fields = parse_object(json.dumps({"name": text}).encode())

    assert fields.plain("name") is None
    assert fields.faults[0].isprintable()


def test_the_first_of_many_faults_are_reported() -> None:
    assert some_of(["a", "b"]) == "a; b"
    assert some_of([str(number) for number in range(100)]) == "0; 1; 2; 3; 4; and 95 more"


@pytest.mark.parametrize("parse", [parse_object, lambda content: parse_list(content, "a")])
def test_a_text_of_too_many_elements_is_unreadable(parse: Callable[[bytes], Fields]) -> None:
    with pytest.raises(UnreadableError, match="more than 50000 elements"):
        parse(f"[{', '.join(['[]'] * ELEMENTS)}]".encode())
