"""The command line, for people: what stands, what a configuration means, and a way out."""

import json
import logging
import os
import sys
import traceback
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sriovbond import __version__
from sriovbond.errors import MachineError, SriovbondError
from sriovbond.host import Host

if TYPE_CHECKING:
    from deviceinfo import PodRef
    from sriovbond.agent.settings import Settings
    from sriovbond.bond.config import NetConf


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sriovbond")
def sriovbond() -> None:
    """SR-IOV failover bonds in pods.

    As a CNI plugin the program is called by the container runtime, with CNI_COMMAND set.
    """


@sriovbond.command()
@click.argument("ifname")
@click.option("--netns", required=True, help="The pod's namespace, such as /run/netns/NAME.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON rather than a table.")
def show(ifname: str, netns: str, *, as_json: bool) -> None:
    """Show the bond IFNAME of a pod as the kernel tells it, and what its NICs tell."""
    from sriovbond.cli import showing  # noqa: PLC0415 - each command loads only what it needs

    shown = showing.look(_host_of_agent(), ifname, netns)
    if shown is None:
        raise click.ClickException(f"{ifname!r} is not there, or is no bond, in {netns}")
    showing.print_json(shown) if as_json else showing.print_tables(shown)


@sriovbond.command()
@click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
)
def validate(file: Path) -> None:
    """Say what is wrong with the network configuration in FILE, and warn of what is doubtful.

    FILE is JSON, of one plugin or a list, or YAML with NetworkAttachmentDefinitions; - is standard
    input. The status is 1 where an ADD would be refused, 2 where there is nothing of ours to judge.
    """
    from sriovbond.cli import configurations  # noqa: PLC0415

    is_valid = True
    for found in configurations.find_ours(file):
        judgement = configurations.judge(found, Host().logs)
        for warning in judgement.warnings:
            click.echo(f"warning: {found.label}{warning}")
        for fault in judgement.faults:
            click.echo(f"Error: {found.label}{fault}", err=True)
        is_valid = is_valid and not judgement.faults
    if not is_valid:
        sys.exit(1)
    click.echo(f"{click.format_filename(file)}: valid")


@sriovbond.command()
@click.option("--pod", default="", metavar="NAMESPACE/NAME", help="As Kubernetes names it.")
@click.option("--uid", default="", metavar="UID", help="The pod's UID in Kubernetes.")
@click.option("--netns", default="", metavar="PATH", help="The pod's network namespace.")
@click.option("--container-id", default="", metavar="ID", help="The pod's sandbox.")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Judge as this network configuration would; without it, as one without `links`.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON rather than tables.")
def explain(config: Path | None, *, as_json: bool, **named: str) -> None:
    """Show a pod's devices: who says what of them, which a bond takes, and why not the others."""
    from sriovbond import cluster  # noqa: PLC0415 - each command loads only what it needs
    from sriovbond.bond.config import parse_config  # noqa: PLC0415
    from sriovbond.cli import explanation  # noqa: PLC0415

    wanted = _named_pod(**named)
    values, netconf = _only_configuration(config) if config else ({}, parse_config({}))
    host = _host_of_agent()
    told = explanation.explain(
        host,
        explanation.find_pod(host, wanted),
        netconf,
        str(values.get("type", "sriovbond")),
        cluster.asks(host),
    )
    explanation.print_json(told) if as_json else explanation.print_tables(told)


def _host_of_agent() -> Host:
    """Return this machine as the agent has it: in a container it is not that of thin mode."""
    from sriovbond.agent import settings  # noqa: PLC0415

    return settings.load().host


def _named_pod(pod: str, uid: str, netns: str, container_id: str) -> "PodRef":
    from deviceinfo import PodRef  # noqa: PLC0415 - see above

    namespace, _, name = pod.rpartition("/")
    if not (pod or uid or netns or container_id) or (pod and not (namespace and name)):
        raise click.UsageError(
            "name the pod: --pod NAMESPACE/NAME, --uid, --netns or --container-id"
        )
    return PodRef(namespace, name, uid, container_id, netns)


def _only_configuration(file: Path) -> "tuple[Mapping[str, object], NetConf]":
    from sriovbond.bond.config import parse_config  # noqa: PLC0415 - see above
    from sriovbond.cli import configurations  # noqa: PLC0415

    found = configurations.find(file)
    if len(found) != 1:
        told = ", ".join(one.place for one in found)
        raise click.ClickException(f"{file} has {len(found)} configurations, one is wanted: {told}")
    if found[0].fault:
        raise click.ClickException(f"{file}: {found[0].label}{found[0].fault}")
    return found[0].values, parse_config(found[0].values, faults=found[0].twice)


@sriovbond.command()
def schema() -> None:
    """Print the JSON schema of a network configuration."""
    from sriovbond.bond.schema import json_schema  # noqa: PLC0415

    click.echo(json.dumps(json_schema(), indent=2))


@sriovbond.command()
@click.argument(
    "part", type=click.Choice(["keys", "options", "rules", "switching", "metrics", "settings"])
)
def reference(part: str) -> None:
    """Print a part of the reference as Markdown, made from the tables that the plugin uses."""
    from sriovbond.cli.reference import PARTS  # noqa: PLC0415

    click.echo(PARTS[part]())


@sriovbond.command()
@click.argument("container_id", required=False)
@click.argument("ifname", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
@click.pass_obj
def release(
    host: Host | None, container_id: str | None, ifname: str | None, *, as_json: bool
) -> None:
    """Undo an attachment by its record, as DEL does; without arguments list the records."""
    from sriovbond import records  # noqa: PLC0415
    from sriovbond.release import release as undo  # noqa: PLC0415

    host = host or _host_of_agent()
    if container_id is None:
        _list_records(host, as_json=as_json)
        return
    if ifname is None:
        raise click.UsageError("give CONTAINER_ID IFNAME, or nothing: then the records are listed")
    if as_json:
        raise click.UsageError("--json is for the list: leave CONTAINER_ID IFNAME out")
    with records.locked(host, container_id, ifname):
        record = records.read(host, container_id, ifname)
        if record is None:
            raise click.ClickException(_no_record(host, container_id, ifname))
        undo(host, record).finish()
    click.echo(f"released {ifname} of {container_id}")


def _no_record(host: Host, container_id: str, ifname: str) -> str:
    from sriovbond import aside, records  # noqa: PLC0415

    stem = records.key(container_id, ifname)
    kept = next((path for path in aside.files(host) if path.stem == stem), None)
    told = f"there is no record of {container_id} {ifname}"
    return f"{told}: it could not be read, and is kept as {str(kept)!r}" if kept else told


def _list_records(host: Host, *, as_json: bool) -> None:
    from sriovbond import aside, records  # noqa: PLC0415
    from sriovbond.cli import tables  # noqa: PLC0415

    found, faults = records.read_all(host)
    print_all = tables.print_records_as_json if as_json else tables.print_records
    print_all(found, aside.files(host))
    for fault in faults:
        click.echo(fault, err=True)


@sriovbond.command()
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file of settings; otherwise /etc/sriovbond/agent.toml, if it is there.",
)
@click.option("--check", is_flag=True, help="Ask the running agent whether an ADD could succeed.")
@click.option("--alive", is_flag=True, help="Ask whether an agent runs, whatever its work does.")
@click.option(
    "--install",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Put the shim into this folder of CNI plugins first.",
)
def agent(config: Path | None, install: Path | None, *, check: bool, alive: bool) -> None:
    """Serve the shim on this node, until SIGTERM."""
    from sriovbond.agent import asking, settings  # noqa: PLC0415

    given = settings.load(config)
    if check or alive:
        answer, status = asking.ask_alive(given) if alive else asking.ask_status(given)
        click.echo(answer, nl=False)
        sys.exit(status)
    _serve(given, install)


def _serve(given: "Settings", install: Path | None) -> None:
    from sriovbond.agent import server  # noqa: PLC0415

    if install:
        _install_shim(install)
    has_ended = _served_with_events(given) if given.kubernetes_events else server.serve(given)
    if not has_ended:
        os._exit(1)  # a worker that hangs would hold up the interpreter's end


def _install_shim(folder: Path) -> None:
    """Put the shim into the folder; go on with the one that is there where that cannot be."""
    from sriovbond import log  # noqa: PLC0415
    from sriovbond.shim import install  # noqa: PLC0415

    try:
        if install.install(folder):
            click.echo(f"the shim is installed in {folder}", err=True)
    except MachineError as error:
        if not install.is_installed(folder):
            raise
        kept = "the shim that is there is used; mend this and restart the agent to have the new one"
        log.event(logging.ERROR, f"{error.message}; {kept}")


def _served_with_events(given: "Settings") -> bool:
    from sriovbond import cluster  # noqa: PLC0415
    from sriovbond.agent import server  # noqa: PLC0415

    with closing(cluster.sink(given.host, given.node)) as events:
        return server.serve(given, sinks=[events], events_lost=lambda: events.lost)


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
    """Tell an error of stdout from others: only these two write there."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_globals["__name__"].partition(".")[0] in {"click", "rich"}


def _leave_stdout() -> None:
    """Have what stdout did not take go nowhere: the interpreter would try again, and tell."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


if __name__ == "__main__":
    sys.exit(main())
