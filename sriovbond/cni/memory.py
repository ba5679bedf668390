"""What texts meant when they were last read."""

from threading import Lock
from typing import Final, Generic, TypeVar

_BYTES: Final = 1 << 14  # so 64 of them are a few MiB, whoever writes them

_T = TypeVar("_T")


class Memory(Generic[_T]):
    """The last `most` texts that are no longer than 16 KiB, and what each of them means."""

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
