"""What a text meant when it was last read: the pods of one network bring one configuration."""

from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeVar, TypeVarTuple

_TEXTS: Final = 64
_BYTES: Final = 1 << 14  # so all of them are a few MiB, whoever writes them

_Beside = TypeVarTuple("_Beside")
_T = TypeVar("_T")


def remembered(read: Callable[[bytes, *_Beside], _T]) -> Callable[[bytes, *_Beside], _T]:
    """Have a text be read once, of the last 64 that are no longer than 16 KiB.

    What else `read` is given must be hashable. Nobody may change what it returns; what it raises
    is not kept.
    """
    known = lru_cache(_TEXTS)(read)

    def reading(text: bytes, *beside: *_Beside) -> _T:
        return (known if len(text) <= _BYTES else read)(text, *beside)

    return reading
