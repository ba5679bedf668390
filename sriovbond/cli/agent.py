"""`sriovbond agent`: thick mode's process, and the two queries of its probes."""

import logging
import os
import sys
from contextlib import closing
from pathlib import Path

import click

from sriovbond import log
from sriovbond.agent import asking, settings
from sriovbond.agent.settings import Settings
from sriovbond.errors import MachineError


@click.command()
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file of settings; otherwise /etc/sriovbond/agent.toml, if it exists.",
)
@click.option("--check", is_flag=True, help="Ask the running agent whether an ADD could succeed.")
@click.option("--alive", is_flag=True, help="Ask the running agent only whether it works.")
@click.option(
    "--install",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Put the shim into this folder of CNI plugins first.",
)
def agent(config: Path | None, install: Path | None, *, check: bool, alive: bool) -> None:
    """Run the agent of thick mode on this node, until SIGTERM.

    It serves the shim, which the container runtime executes. With --check or --alive the status is
    0 where the running agent says yes.
    """
    loaded = settings.load(config)
    if check or alive:
        answer, status = asking.ask_alive(loaded) if alive else asking.ask_status(loaded)
        click.echo(answer, nl=False)
        sys.exit(status)
    if install:
        _install_shim(install)
    if not _serve(loaded):
        os._exit(1)  # a hanging worker would delay the interpreter's end


def _install_shim(folder: Path) -> None:
    """Install the shim in the folder; on failure continue with the existing one."""
    from sriovbond.shim import install  # noqa: PLC0415 - a probe loads none of what serves

    try:
        if install.install(folder):
            click.echo(f"the shim is installed in {folder}", err=True)
    except MachineError as error:
        if not install.is_installed(folder):
            raise
        kept = (
            "the shim that is there is used; correct this and restart the agent to have the new one"
        )
        log.event(logging.ERROR, f"{error.message}; {kept}")


def _serve(loaded: Settings) -> bool:
    """Serve until SIGTERM; return whether all work has ended by then."""
    from sriovbond import cluster  # noqa: PLC0415 - see above
    from sriovbond.agent import server  # noqa: PLC0415

    if not loaded.kubernetes_events:
        return server.serve(loaded)
    with closing(cluster.sink(loaded.host, loaded.node)) as events:
        return server.serve(loaded, sinks=[events], events_lost=lambda: events.lost)
