"""What resolv.conf has, and which program writes it."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deviceinfo import plainfile
from deviceinfo.plainfile import UnreadableError
from sriovbond import resolvconf
from sriovbond.nodenet.routing import NodeDns, Resolver
from sriovbond.nodenet.values import NameServer, ResolverOption, Scalar, Text

_UPLINKS_OF_RESOLVED: Final = "/run/systemd/resolve/resolv.conf"
_STUBS: Final = ("127.0.0.53", "127.0.0.54")  # systemd-resolved.service(8)


@dataclass(frozen=True, slots=True)
class ResolvConf:
    """The resolver's file: what it says, and who writes it; empty for a plain file of a person."""

    dns: NodeDns
    owner: str


def read(root: Path) -> ResolvConf:
    """Return what the file of a root says; a local stub's servers are those that it asks."""
    content = _content(root, resolvconf.target(root))
    resolver = _parse(content)
    if set(resolver.server or ()) & {*_STUBS}:
        uplinks = _parse(_content(root, _UPLINKS_OF_RESOLVED))
        resolver = uplinks if uplinks.server else resolver
    return ResolvConf(NodeDns(running=resolver, config=resolver), resolvconf.owner(root, content))


def _content(root: Path, path: str) -> bytes:
    with suppress(OSError, UnreadableError):
        return plainfile.read(f"{root}{path}", resolvconf.MOST_BYTES)
    return b""


def _parse(content: bytes) -> Resolver:
    """Return what resolv.conf(5) makes of it: all servers, the last search list, all options."""
    servers, options, search = [], [], []
    for line in content.decode("utf-8", "replace").splitlines():
        word, *rest = line.split() if line and not line[0].isspace() else [""]
        match word:
            case "nameserver":
                servers += rest[:1]
            case "search" | "domain":
                search = rest
            case "options":
                options += rest
    return Resolver(
        server=_sayable(NameServer(), servers),
        search=_sayable(Text(), search),
        options=_sayable(ResolverOption(), options),
    )


def _sayable(kind: Scalar, words: list[str]) -> tuple[str, ...]:
    """Return those that a document may have, each once."""
    values = []
    for word in words:
        with suppress(ValueError):
            values.append(str(kind.read(word)))
    return tuple(dict.fromkeys(values))
