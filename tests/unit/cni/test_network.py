import json

import pytest

from sriovbond.cni.network import NetworkText, read_network
from sriovbond.cni.wire import CniError


def a_text(**keys: object) -> bytes:
    return json.dumps({"name": "net", **keys}).encode()


def test_a_text_is_decoded_once_for_all_readers() -> None:
    assert read_network(a_text()) is read_network(a_text())


def test_a_long_text_is_not_kept() -> None:
    stdin = a_text(pad=" " * (1 << 14))

    assert read_network(stdin) is not read_network(stdin)
    assert read_network(stdin) == read_network(stdin)


def test_a_value_derived_from_a_text_is_computed_once_for_each_argument() -> None:
    made: list[str] = []

    def understand(text: NetworkText, mac: str) -> str:
        made.append(mac)
        return f"{text.config['name']} {mac}"

    text = read_network(a_text(made="once"))
    meanings = [text.once(understand, mac) for mac in ("a", "b", "a")]

    assert meanings == ["net a", "net b", "net a"]
    assert made == ["a", "b"]


def test_values_for_single_pods_are_kept_for_the_last_few() -> None:
    made: list[int] = []

    def understand(_: NetworkText, number: int) -> int:
        made.append(number)
        return number

    text = read_network(a_text(made="for few"))
    for number in (*range(100), *range(99, 90, -1)):
        assert text.once(understand, number) == number

    assert made == [*range(100), 91]


def test_an_exception_is_not_cached() -> None:
    faults = [ValueError("broken")]

    def understand(_: NetworkText) -> str:
        if faults:
            raise faults.pop()
        return "whole"

    text = read_network(a_text(made="at the second try"))
    with pytest.raises(ValueError, match="broken"):
        text.once(understand)

    assert text.once(understand) == "whole"


def test_a_fault_of_a_reading_has_no_other_fault_before_it() -> None:
    def understand(_: NetworkText) -> str:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken") as caught:
        read_network(a_text(made="never")).once(understand)

    assert caught.value.__context__ is None


def test_a_text_that_is_no_json_is_refused_each_time() -> None:
    for _ in range(2):
        with pytest.raises(CniError, match="cannot decode the network configuration on stdin"):
            read_network(b"{")
