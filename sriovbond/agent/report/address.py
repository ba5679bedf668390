"""A listening address as written in the settings."""

import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

_UNIX: Final = "unix:"
_IP_PORT: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[0-9.]+):([0-9]{1,5})")
_PATH_BYTES: Final = 100  # sun_path has 108 bytes, and the temporary name is 5 bytes longer
_MAX_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class Address:
    """An IP address and a port, or the path of a unix socket where `host` is empty."""

    host: str = ""
    port: int = 0
    path: Path = Path()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse IP:PORT, [IPv6]:PORT or unix:/PATH. Raises ValueError naming these forms."""
        path = text.removeprefix(_UNIX)
        if path != text and path.startswith("/") and len(os.fsencode(path)) <= _PATH_BYTES:
            return cls(path=Path(path))
        try:
            host, port = _parts(text)
        except ValueError:
            raise ValueError(
                "expected IP:PORT, such as 127.0.0.1:9750, or [IPv6]:PORT, or unix:/PATH of at "
                f"most {_PATH_BYTES} bytes, or empty to switch it off"
            ) from None
        return cls(host, port)

    def __str__(self) -> str:
        if not self.host:
            return f"{_UNIX}{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _parts(text: str) -> tuple[str, int]:
    match = _IP_PORT.fullmatch(text)
    if not match or not 0 < int(match[2]) <= _MAX_PORT:
        raise ValueError(text)
    host = ipaddress.ip_address(match[1].strip("[]"))
    if (host.version == 6) != match[1].startswith("["):  # noqa: PLR2004 - the protocol's version
        raise ValueError(text)
    return str(host), int(match[2])
