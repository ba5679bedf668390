"""`sriovbond host render`: the files of a document for the node's own network manager."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

import click

from sriovbond import ownfiles
from sriovbond.cli.files import NoAnswerError
from sriovbond.log import visible
from sriovbond.nodenet.joined import Joined
from sriovbond.profiles import keyfiles, netfiles
from sriovbond.profiles.settled import Profile, Written

FORMS: Final[Mapping[str, Callable[[Joined], Written]]] = {
    "nmconnection": keyfiles.write,
    "networkd": netfiles.write,
}
"""The functions that write a document, by the names of their forms."""


def show(profiles: Iterable[Profile]) -> None:
    """Print the files, each with its path before it."""
    for profile in profiles:
        click.echo(visible(f"# {profile.path}"))
        click.echo("\n".join(visible(line) for line in profile.text.splitlines()))
        click.echo()


def put(profiles: Iterable[Profile], root: Path) -> None:
    """Write the files below a root, each whole; print their paths."""
    for profile in profiles:
        path = root / profile.path.lstrip("/")
        _put(path, profile)
        click.echo(visible(str(path)))


def _put(path: Path, profile: Profile) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        ownfiles.put(path, profile.text.encode(), 0o600 if profile.is_secret else 0o644)
    except OSError as error:
        raise NoAnswerError(f"cannot write {path}: {error.strerror}") from error
