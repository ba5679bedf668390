"""What of a document resolv.conf is to have, beside what it has."""

from pathlib import Path
from typing import Final

from sriovbond import resolvconf
from sriovbond.nodenet.routing import Resolver

_WORDS: Final = ("nameserver", "search", "domain", "options")


def change(root: Path, wish: Resolver) -> None:
    """Give the resolver its servers, search domains and options; other lines stay.

    What is None stays as it is; all of them empty clears the file of them. Raises MachineError.
    """
    resolvconf.write(root, planned(root, wish))


def planned(root: Path, wish: Resolver) -> bytes:
    """Return the content that `change` writes. Raises MachineError."""
    return _content((resolvconf.read(root) or b"").decode("utf-8", "replace"), wish).encode()


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
