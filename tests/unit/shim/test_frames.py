"""Frames in Python: encoded ones are decoded again, and all others are refused."""

import random
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as some

from sriovbond.shim import wire
from sriovbond.shim.wire import FrameError, Request

TEXT = some.text(some.characters(exclude_characters="\0", exclude_categories=["Cs"]))
NAMES = TEXT.map(lambda text: "CNI_" + text.replace("=", ""))
WHOLE = wire.encode_request(Request({"CNI_COMMAND": "ADD", "CNI_ARGS": "a=b"}, b"{}"))
BODY = WHOLE[wire.HEAD_BYTES :]


@given(some.dictionaries(NAMES, TEXT), some.binary())
def test_a_request_is_read_as_it_was_written(environment: dict[str, str], stdin: bytes) -> None:
    request = Request(environment, stdin)

    assert wire.decode_frame(wire.encode_request(request)) == request


def test_bytes_that_are_no_utf8_survive() -> None:
    request = Request({"CNI_ARGS": "a=\udcff"}, b"\xff")

    assert wire.decode_frame(wire.encode_request(request)) == request


@given(some.binary(), some.integers(0, 255))
def test_an_answer_is_read_as_it_was_written(stdout: bytes, status: int) -> None:
    frame = wire.encode_answer(stdout, status)
    head, body = frame[: wire.HEAD_BYTES], frame[wire.HEAD_BYTES :]

    assert wire.answer_length(head) == len(body)
    assert wire.decode_answer(body) == (stdout, status)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        WHOLE[:7],
        WHOLE[:-1],
        WHOLE + b"x",
        b"SBq2" + WHOLE[4:],
        wire.REQUEST_MAGIC + b"\0\0\0\3abc",
        wire.REQUEST_MAGIC + b"\xff\xff\xff\xff",
        wire.REQUEST_MAGIC + b"\0\0\0\4\0\0\0\1",
        wire.REQUEST_MAGIC + b"\0\0\0\6\0\0\0\2a=",
        wire.REQUEST_MAGIC + b"\0\0\0\7\0\0\0\3A=\0",
        wire.REQUEST_MAGIC + b"\0\0\0\x08\0\0\0\4CNI\0",
        wire.REQUEST_MAGIC + b"\0\0\0\x0a\0\0\0\6CNI_A\0",
    ],
)
def test_a_malformed_frame_is_reported(content: bytes) -> None:
    with pytest.raises(FrameError):
        wire.decode_frame(content)


def test_an_exit_status_that_is_none_is_reported() -> None:
    with pytest.raises(FrameError):
        wire.decode_answer(b"\0\0\1\0")


def test_ten_thousand_mutated_requests_are_parsed_or_reported() -> None:
    dice = random.Random(7)  # noqa: S311 - no secret
    read = 0
    for _ in range(10_000):
        content = bytearray(WHOLE)
        for _ in range(dice.randrange(1, 4)):
            content[dice.randrange(len(content))] = dice.randrange(256)
        del content[dice.randrange(len(content) // 2, 2 * len(content)) :]
        with suppress(FrameError):
            read += bool(wire.decode_frame(bytes(content)))

    assert read > 100


def test_of_a_variable_given_twice_the_first_counts_as_for_getenv() -> None:
    environment = b"CNI_ARGS=first\0CNI_ARGS=second\0"
    body = len(environment).to_bytes(4, "big") + environment

    assert wire.decode_request(body).environment == {"CNI_ARGS": "first"}
