"""What a text meant when it was last read: the pods of one network bring one configuration."""

from collections.abc import Callable
from functools import lru_cache
from threading import Lock
from typing import Final, Generic, TypeVar, TypeVarTuple

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


class Memory(Generic[_T]):
    """The same for who writes such texts too, and so knows what they mean: the last `most`."""

    def __init__(self, most: int) -> None:
        self._most: Final = most
        self._lock: Final = Lock()
        self._known: Final[dict[bytes, _T]] = {}

    def recall(self, text: bytes) -> _T | None:
        """Return what the text means, None where that is not known."""
        return self._known.get(text)

    def learn(self, text: bytes, meaning: _T) -> None:
        """Keep what the text means; nobody may change it."""
        if len(text) > _BYTES:
            return
        with self._lock:
            self._known[text] = meaning
            if len(self._known) > self._most:
                del self._known[next(iter(self._known))]
