"""Errors that are collected: what comes behind goes on; an error of another kind does not."""

import pytest

from sriovbond import errors
from sriovbond.errors import Fault, MachineError, RefusedError


def test_all_is_tried_and_each_error_is_collected_with_its_remedy_and_rule() -> None:
    failures: list[str] = []

    for error in (MachineError("a"), None, RefusedError(Fault("b", "do c", "name-taken"))):
        with errors.collected(failures):
            if error:
                raise error

    assert failures == ["a", "b; do c [name-taken]"]


def test_an_error_of_the_program_itself_is_not_collected() -> None:
    failures: list[str] = []

    with pytest.raises(ZeroDivisionError), errors.collected(failures):
        raise ZeroDivisionError

    assert failures == []
