"""What of a document resolv.conf is to have, beside what it has."""

from typing import Final

from sriovbond import resolvconf
from sriovbond.dhcp import resolving
from sriovbond.host import Host
from sriovbond.nodenet.routing import Resolver

_WORDS: Final = ("nameserver", "search", "domain", "options")


def change(host: Host, wish: Resolver) -> None:
    """Give the resolver its servers, search domains and options; other lines stay.

    What is None stays as it is; all of them empty clears the file of them. What leases have added
    comes behind it again. Raises MachineError.
    """
    resolving.withdraw(host)
    resolvconf.write(host.root, planned(resolvconf.read(host.root), wish))
    resolving.refresh(host)


def planned(content: bytes | None, wish: Resolver) -> bytes:
    """Return the content that `change` writes, but for what leases add."""
    return _content((content or b"").decode("utf-8", "replace"), wish).encode()


def _content(before: str, wish: Resolver) -> str:
    lines = [line for line in before.splitlines() if _keeps(line, wish)]
    lines += [f"nameserver {server}" for server in wish.server or ()]
    if wish.search:
        lines.append(f"search {' '.join(wish.search)}")
    if wish.options:
        lines.append(f"options {' '.join(wish.options)}")
    return "".join(f"{line}\n" for line in lines)


def _keeps(line: str, wish: Resolver) -> bool:
    """Return whether a line stays: a comment, what is not ours, what is not mentioned."""
    word = (line.split() or [""])[0]
    if wish == Resolver():
        return word not in _WORDS
    gone = {
        "nameserver": wish.server is not None,
        "search": wish.search is not None,
        "domain": wish.search is not None,
        "options": wish.options is not None,
    }
    return not gone.get(word, False)
