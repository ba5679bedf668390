"""A terminal of a chosen width, and its printed text."""

import io

from rich.console import Console


def a_console(width: int = 80) -> Console:
    return Console(file=io.StringIO(), width=width)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()
