import pytest

from sriovbond.cni.memory import Memory, remembered


def test_a_text_is_read_once() -> None:
    read: list[tuple[bytes, str]] = []

    @remembered
    def meaning(text: bytes, mac: str) -> str:
        read.append((text, mac))
        return f"{text!r} {mac}"

    told = [meaning(b"{}", mac) for mac in ("a", "b", "a")]

    assert told == ["b'{}' a", "b'{}' b", "b'{}' a"]
    assert read == [(b"{}", "a"), (b"{}", "b")]


def test_what_was_raised_is_not_kept() -> None:
    left = [ValueError("broken")]

    @remembered
    def meaning(text: bytes) -> bytes:
        if left:
            raise left.pop()
        return text

    with pytest.raises(ValueError, match="broken"):
        meaning(b"{}")

    assert meaning(b"{}") == b"{}"


def test_a_long_text_is_not_kept() -> None:
    read = []

    @remembered
    def meaning(text: bytes) -> int:
        read.append(text)
        return len(text)

    for size in (1 << 14, 1 << 14, (1 << 14) + 1, (1 << 14) + 1):
        assert meaning(b" " * size) == size
    assert list(map(len, read)) == [1 << 14, (1 << 14) + 1, (1 << 14) + 1]


def test_a_memory_keeps_the_last_texts_and_no_long_ones() -> None:
    memory = Memory[str](2)

    for text in (b"a", b"b", b" " * ((1 << 14) + 1), b"c"):
        memory.learn(text, text.decode().upper())

    found = [memory.recall(text) for text in (b"a", b"b", b"c", b" " * ((1 << 14) + 1))]
    assert found == [None, "B", "C", None]
