from sriovbond.cni.memory import Memory


def test_a_memory_keeps_the_last_texts_and_no_long_ones() -> None:
    memory = Memory[str](2)

    for text in (b"a", b"b", b" " * ((1 << 14) + 1), b"c"):
        memory.learn(text, text.decode().upper())

    found = [memory.recall(text) for text in (b"a", b"b", b"c", b" " * ((1 << 14) + 1))]
    assert found == [None, "B", "C", None]
