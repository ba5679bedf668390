"""A user's file, `-` for standard input: read up to a bound, named in its faults."""

import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Final

import click

from sriovbond.container import entering

STDIN: Final = Path("-")


class CallersPath(click.Path):
    """A file as its caller sees it, possibly in a container."""

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        """Return the path by which this process reaches it."""
        return super().convert(entering.path_here(str(value)), param, ctx)


TYPE: Final = CallersPath(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
"""A file to read, `-` too."""
ARGUMENT: Final = click.argument("file", type=TYPE)
"""The FILE of a command."""
ARGUMENT_OR_NONE: Final = click.argument("file", required=False, type=TYPE)
"""The FILE of a command that may do without."""


class NoAnswerError(click.ClickException):
    """A command has no result: a file cannot be read, or contains nothing to judge."""

    exit_code = 2


def name_of(file: Path) -> str:
    """Return its name in texts for people."""
    return (
        "standard input" if file == STDIN else click.format_filename(entering.path_named(str(file)))
    )


def read(file: Path, most_bytes: int) -> bytes:
    """Return its content. Raises NoAnswerError, also for more than `most_bytes`."""
    name = name_of(file)
    try:
        with nullcontext(sys.stdin.buffer) if file == STDIN else file.open("rb") as source:
            content = source.read(most_bytes + 1)
    except OSError as error:
        raise NoAnswerError(f"cannot read {name}: {error.strerror}") from error
    if len(content) > most_bytes:
        raise NoAnswerError(f"cannot read {name}: it has more than {most_bytes} bytes")
    return content
