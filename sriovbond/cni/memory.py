"""A bounded cache of parsed texts."""

from threading import Lock
from typing import Final, Generic, TypeVar

_BYTES: Final = 1 << 14  # so that 64 of them are a few MiB at most

_T = TypeVar("_T")


class Memory(Generic[_T]):
    """Cache of the parsed values of the last `most` texts of at most 16 KiB each."""

    def __init__(self, most: int) -> None:
        self._most: Final = most
        self._lock: Final = Lock()
        self._known: Final[dict[bytes, _T]] = {}

    def recall(self, text: bytes) -> _T | None:
        """Return the cached value of `text`, None when it is not cached."""
        return self._known.get(text)

    def learn(self, text: bytes, meaning: _T) -> None:
        """Cache the value of `text`; callers must not modify it."""
        if len(text) > _BYTES:
            return
        with self._lock:
            self._known[text] = meaning
            if len(self._known) > self._most:
                del self._known[next(iter(self._known))]
