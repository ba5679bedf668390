"""The command line, for people: a command is a module of this folder, loaded when it is called."""

import os
import sys
import traceback
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Final

import click

from sriovbond import __version__
from sriovbond.errors import SriovbondError

SUMMARIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "agent": "Run the agent of thick mode on this node, until SIGTERM.",
        "explain": "Show which of a pod's devices a bond would take, and why not the others.",
        "host": "Show the node's own network, compare it with a document, or change it.",
        "reference": "Print a table of the reference as Markdown.",
        "release": "Release an attachment, as DEL does, or list the records.",
        "rule": "Print a rule: what breaks it, why, and what to do.",
        "schema": "Print the JSON schema of a network configuration.",
        "show": "Show the bond IFNAME of a pod, as the kernel and its NICs report it.",
        "validate": "Check the network configuration in FILE.",
    }
)
"""Each command with the first paragraph of its help: the list of them loads none."""


class _Commands(click.Group):
    """The commands of `SUMMARIES`: each is the function of that name in the module of that name."""

    def list_commands(self, _context: click.Context) -> list[str]:
        return list(SUMMARIES)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in SUMMARIES:
            return None
        command: click.Command = getattr(import_module(f"{__name__}.{name}"), name)
        return command

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sriovbond")
def sriovbond() -> None:
    """SR-IOV failover bonds in pods.

    As a CNI plugin the program is called by the container runtime, with CNI_COMMAND set.
    """


def main() -> int:
    """Run the command line; return the exit status. Exits by itself on a wrong call."""
    try:
        sriovbond()
    except SriovbondError as error:
        details = f"\n{error.details}" if error.details else ""
        click.echo(f"Error: {error.message}{details}", err=True)
        return 1
    except OSError as error:
        if not _is_from_printing(error):
            raise
        _leave_stdout()
        click.echo(f"Error: cannot write to stdout: {error.strerror}", err=True)
        return 1
    return 0


def _is_from_printing(error: OSError) -> bool:
    """Return whether the error is of stdout, where only these two write."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_globals["__name__"].partition(".")[0] in {"click", "rich"}


def _leave_stdout() -> None:
    """Discard what stdout did not take: the interpreter would try again, and report it."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
