"""The network configuration from stdin, decoded once and shared by all its readers.

Pods of one network send the same text, so values derived from it are cached with it.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, TypeVar, TypeVarTuple

from sriovbond.cni.decoding import MAX_ELEMENTS, decode_object
from sriovbond.cni.memory import Memory

_TEXTS: Final = 64
_MEANINGS: Final = 8  # per text; most are for the MAC or IP of a single pod, 90 KB at most
_NEVER_READ: Final = object()
_OWN_KEYS: Final = ("cniVersion", "dns", "ipam", "name", "prevResult", "runtimeConfig", "type")
_SPELT: Final = {key.lower(): key for key in _OWN_KEYS}

_Beside = TypeVarTuple("_Beside")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class NetworkText:
    """A network configuration: its bytes, its JSON, and `config` with CNI's keys in CNI's case.

    Go's JSON decoder matches keys in any case.
    """

    stdin: bytes = b""
    decoded: Mapping[str, object] = field(default_factory=dict, compare=False)
    config: Mapping[str, object] = field(default_factory=dict, compare=False)
    _meanings: dict[Hashable, object] = field(default_factory=dict, compare=False, repr=False)
    _lock: Lock = field(default_factory=Lock, compare=False, repr=False)

    def once(self, read: "Callable[[NetworkText, *_Beside], _T]", *beside: *_Beside) -> _T:
        """Return `read(self, *beside)`, from the cache where the same call was made before.

        `beside` must be hashable. Callers must not modify the returned value. Exceptions are not
        cached.
        """
        key = (read, beside)
        known = self._meanings.get(key, _NEVER_READ)
        if known is not _NEVER_READ:
            return known  # type: ignore[return-value] # what this `read` returned
        meaning = read(self, *beside)
        with self._lock:
            self._meanings[key] = meaning
            if len(self._meanings) > _MEANINGS:
                del self._meanings[next(iter(self._meanings))]
        return meaning


_KNOWN: Final = Memory[NetworkText](_TEXTS)
NO_TEXT: Final = NetworkText()


def read_network(stdin: bytes) -> NetworkText:
    """Read the network configuration. Raises CniError 6."""
    known = _KNOWN.recall(stdin)
    if known:
        return known
    decoded = decode_object(stdin, "the network configuration on stdin", MAX_ELEMENTS)
    config = {_SPELT.get(key.lower(), key): value for key, value in decoded.items()}
    text = NetworkText(stdin, decoded, config)
    _KNOWN.learn(stdin, text)
    return text
