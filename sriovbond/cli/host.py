"""`sriovbond host`: the node's own bonds, bridges and addresses, as a document of nmstate."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from sriovbond.cli import files, libvirt, modes, rendering
from sriovbond.cli.files import NoAnswerError
from sriovbond.container import entering
from sriovbond.errors import SriovbondError
from sriovbond.host import Host
from sriovbond.kernel import netns
from sriovbond.kernel.netns import Namespace
from sriovbond.log import visible
from sriovbond.nodenet import cautions, difference, document, steps
from sriovbond.nodenet.checks import Complaint
from sriovbond.nodenet.document import Document, DocumentError
from sriovbond.nodenet.joined import Joined, join
from sriovbond.nodenet.model import NetState
from sriovbond.nodenet.source import MOST_BYTES
from sriovbond.nodenet.writer import to_json, to_yaml
from sriovbond.reshape import limits
from sriovbond.survey import owners, shown

_STATE: Final = click.option(
    "--state",
    "state",
    type=files.CallersPath(exists=True, dir_okay=False, path_type=Path),
    help="A state, as `host show` or `nmstatectl show` prints it; the node's own without it.",
)


def _checked_name(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Return the name of a document, or refuse one that its file at boot could not have."""
    from sriovbond.trial import persisted  # noqa: PLC0415 - as in _read_node

    if value is not None and persisted.kept_name(value) != value:
        raise click.BadParameter(f"{value!r} has to have 1 to 63 letters, digits and -_. alone")
    return value


@click.group()
def host() -> None:
    """Show the node's own network, compare it with a document, or change it.

    FILE is a document of nmstate, or has NodeNetworkConfigurationPolicies (v1, v1beta1), in YAML or
    JSON; - is standard input. In the agent's container this is run on the host, from a copy of
    this program below /var/lib/sriovbond.
    """
    try:
        entering.enter_host(sys.argv[1:], Host().state)
    except SriovbondError as error:
        raise NoAnswerError(visible(error.message)) from error


@host.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "-o",
    "--output",
    type=click.Choice(("yaml", "json")),
    default="yaml",
    show_default=True,
    help="The form of the document.",
)
def show(names: tuple[str, ...], output: str) -> None:
    """Print the node's state as a document.

    With NAMEs only these interfaces and the routes over them. Interfaces of types that are not
    ours have `state: ignore`; pods' veths are left out. The status is 2 where it cannot be read.
    """
    document = shown.show(_read_node(), names)
    missing = sorted({*names} - {link.label for link in document.interfaces or ()})
    if missing:
        raise NoAnswerError(visible(f"no interface {', '.join(missing)} is on this node"))
    click.echo(to_json(document) if output == "json" else to_yaml(document), nl=output == "json")


@host.command()
@files.ARGUMENT
@_STATE
@click.option(
    "--force", "is_forced", is_flag=True, help="Plan what would cut pods or virtual machines, too."
)
def plan(file: Path, state: Path | None, *, is_forced: bool) -> None:
    """Print the steps that would bring about what FILE asks for.

    Nothing is changed. What another program manages is refused by name, with what hands it over;
    what would cut pods or virtual machines is refused unless forced. The status is 0 where there is
    nothing to do, 1 where there would be changes, 2 where it cannot be.
    """
    wish, joined = _join(file, state)
    uses = _refuse_change(file, wish, joined, is_own=state is None, is_forced=is_forced)
    for words in (*uses, *cautions.find(joined)):
        click.echo(visible(f"warning: {words}"))
    planned = steps.plan(joined)
    lines = [line for step in planned for line in step.lines]
    for number, line in enumerate(lines, start=1):
        click.echo(visible(f"{number}. {line}"))
    if planned:
        sys.exit(1)
    click.echo("nothing to do")


@host.command()
@files.ARGUMENT
@click.option(
    "--timeout",
    "timeout_s",
    type=click.IntRange(5, 86_400),
    default=60,
    show_default=True,
    help="Seconds for all of it, from the checkpoint to the commit.",
)
@click.option(
    "--no-commit",
    "is_waiting",
    is_flag=True,
    help="Leave the change to wait: it is reverted unless `host commit` keeps it in time.",
)
@click.option(
    "--memory-only",
    "is_passing",
    is_flag=True,
    help="Do not keep the document: the next boot does not apply it.",
)
@click.option(
    "--name",
    "boot_name",
    callback=_checked_name,
    help="Keep the document for the next boots by this name, rather than that of FILE.",
)
@click.option(
    "--force", "is_forced", is_flag=True, help="Change what would cut pods or virtual machines."
)
def apply(  # noqa: PLR0913 - each is an option of the command line
    file: Path,
    timeout_s: int,
    *,
    boot_name: str | None,
    is_waiting: bool,
    is_passing: bool,
    is_forced: bool,
) -> None:
    """Bring about what FILE asks for, all of it or nothing.

    The node is compared with the document, and what answered before must answer again: a default
    gateway of the main table, a DNS server, an API server. Else, and when this process dies, what
    was changed is reverted. The next boot applies it again, in place of an earlier document of that
    name. The status is 0 where it is done or there was nothing to do, 1 where it was reverted, 2
    where nothing was touched, 3 where it could not be reverted whole.
    """
    from sriovbond.cli import changing  # noqa: PLC0415 - as in _read_node

    text = _text(file)  # before the lock is taken: standard input may take its time

    def prepare() -> Joined:
        wish, joined = _join_text(file, text, _read_node())
        uses = _refuse_change(file, wish, joined, is_own=True, is_forced=is_forced)
        for words in (*uses, *cautions.find(joined)):
            click.echo(visible(f"warning: {words}"))
        return joined

    if boot_name and is_passing:
        raise click.UsageError("--name says how a document is kept: --memory-only keeps none")
    name = "" if is_passing else boot_name or ("stdin" if file == files.STDIN else file.stem)
    sys.exit(changing.apply(prepare, timeout_s, name, is_waiting=is_waiting))


@host.command()
def commit() -> None:
    """Keep the change that `host apply --no-commit` has left to wait."""
    from sriovbond.cli import changing  # noqa: PLC0415 - as in _read_node

    sys.exit(changing.commit())


@host.command()
def rollback() -> None:
    """Revert the change that waits, or that could be reverted only in part before."""
    from sriovbond.cli import changing  # noqa: PLC0415 - as in _read_node

    sys.exit(changing.rollback())


@host.command()
def remove() -> None:
    """Remove the documents that a boot would apply, the units, and the clients of DHCP.

    The network stays as it is; an address of DHCP until its lease ends.
    """
    from sriovbond.cli import changing  # noqa: PLC0415 - as in _read_node

    sys.exit(changing.remove())


@host.command(hidden=True)
def boot() -> None:
    """Apply the documents that were committed, as the unit does at boot."""
    from sriovbond.cli import changing  # noqa: PLC0415 - as in _read_node

    sys.exit(changing.boot())


@host.command(hidden=True)
@click.argument("name")
@click.option("--state", "state", type=click.Path(path_type=Path), default=Host().state)
@click.option("--root", "root", type=click.Path(path_type=Path), default=Host().root)
@click.option("--run", "run", type=click.Path(path_type=Path), default=Host().run)
@click.option("--leave-container", "is_leaving", is_flag=True)
def watchdog(name: str, state: Path, root: Path, run: Path, *, is_leaving: bool) -> None:
    """Revert the change of that id, unless it is kept in time."""
    from sriovbond.cli import changing  # noqa: PLC0415 - as in _read_node

    host = Host(state=state, root=root, run=run)
    sys.exit(changing.watch(host, name, is_leaving=is_leaving))


@host.command()
@files.ARGUMENT
@_STATE
def diff(file: Path, state: Path | None) -> None:
    """Print the document with what of FILE is missing on the node."""
    _, joined = _join(file, state)
    click.echo(to_yaml(difference.difference(joined)), nl=False)


@host.command()
@files.ARGUMENT
@_STATE
def revert(file: Path, state: Path | None) -> None:
    """Print the document that would revert FILE's changes."""
    _, joined = _join(file, state)
    click.echo(to_yaml(difference.revert(joined)), nl=False)


@host.command()
@files.ARGUMENT_OR_NONE
def check(file: Path | None) -> None:
    """Look for what is wrong with the node's own bonds and bridges.

    With FILE also for what would be wrong with it applied, and for what of it is missing or cannot
    be. The status is 0 without findings, 1 with findings, 2 where it cannot be read.
    `sriovbond rule ID` has more on an id in brackets.
    """
    from sriovbond.survey import diagnosis, lacp, node  # noqa: PLC0415 - as in _read_node

    with _own_node() as own:
        state, answers = node.read(own, Host()), lacp.read(own)
    faults = []
    wish = None
    if file:
        wish_document, joined = _read_beside(file, _text(file), state)
        complaints = joined.complaints or limits.judge(joined)
        wish, faults = joined.desired, _faults(wish_document, complaints)
    findings = diagnosis.examine(diagnosis.Patient(state, answers, wish))
    for fault in faults:
        click.echo(visible(f"Error: {files.name_of(file or files.STDIN)}: {fault}"))
    for finding in findings:
        click.echo(visible(f"warning: {finding}"))
    if faults or findings:
        sys.exit(1)
    click.echo("nothing found")


@host.command("modes")
def show_modes() -> None:
    """Print what each mode of a bond does, and what it needs of the switch and of VFs."""
    for name, *texts in modes.rows():
        click.echo(name)
        for head, text in zip(modes.HEADS[1:], texts, strict=True):
            click.echo(f"  {head + ':':<14}{text}")


@host.command()
@files.ARGUMENT
@click.option(
    "--as", "form", type=click.Choice(tuple(rendering.FORMS)), required=True, help="Whose files."
)
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Write the files below this folder, / for the node's own, rather than print them.",
)
@_STATE
def render(file: Path, form: str, root: Path | None, state: Path | None) -> None:
    """Print what FILE asks for as files of NetworkManager or systemd-networkd.

    What FILE does not mention of an interface stays in the files as it is on the node: addresses,
    routes, a bond's options. The status is 2 where the manager cannot have all of it.
    """
    wish, joined = _join(file, state)
    written = rendering.FORMS[form](joined)
    faults = [*map(str, wish.unset), *_faults(wish, written.complaints)]
    if faults:
        raise NoAnswerError(_lines(file, faults))
    rendering.put(written.profiles, root) if root else rendering.show(written.profiles)


host.add_command(libvirt.libvirt_network)


def _join(file: Path, state: Path | None) -> tuple[Document, Joined]:
    """Return what a file asks for, beside a state or the node's own."""
    return _join_text(file, _text(file), _read_state(state) if state else _read_node())


def _join_text(file: Path, text: str, current: NetState) -> tuple[Document, Joined]:
    """Return what a file's text asks for, beside a state; what cannot be is refused."""
    wish, joined = _read_beside(file, text, current)
    if joined.complaints:
        raise NoAnswerError(_lines(file, _faults(wish, joined.complaints)))
    return wish, joined


def _read_beside(file: Path, text: str, current: NetState) -> tuple[Document, Joined]:
    """Return what a file asks for beside a state, with complaints about what cannot be."""
    try:
        wish = document.unite(document.read(text, current) or [Document("", NetState(), (), {})])
    except DocumentError as error:
        raise NoAnswerError(_lines(file, error.lines)) from error
    return wish, join(wish.state, current)


def _faults(wish: Document, complaints: Iterable[Complaint]) -> list[str]:
    """Return what cannot be, each with its place in the file."""
    return [f"{wish.spot(row.path)}: {row.text}" for row in complaints]


@contextmanager
def _own_node() -> Iterator[Namespace]:
    """Open the namespace of the node, and say what cannot be read of it."""
    try:
        with netns.own() as own:
            yield own
    except SriovbondError as error:
        raise NoAnswerError(visible(error.message)) from error


def _read_node() -> NetState:
    from sriovbond.survey import node  # noqa: PLC0415 - pyroute2 takes longer than a recorded state

    with _own_node() as own:
        return node.read(own, Host())


def _refuse_change(
    file: Path, wish: Document, joined: Joined, *, is_own: bool, is_forced: bool
) -> tuple[str, ...]:
    """Refuse a change that nothing here can carry out, or that another program would undo.

    On the node's own network also what would cut others; returns who uses what it touches.
    """
    faults = [*map(str, wish.unset), *_faults(wish, limits.judge(joined))]
    known: tuple[str, ...] = ()
    if is_own:
        from sriovbond.survey import usage  # noqa: PLC0415 - records load pydantic

        with _own_node() as own:
            complaints = owners.judge(joined, own, Host().root)
            uses = usage.find(joined, own, Host())
        faults += _faults(wish, complaints if is_forced else (*complaints, *uses.refused))
        known = uses.known
    if faults:
        raise NoAnswerError(_lines(file, faults))
    return known


def _read_state(path: Path) -> NetState:
    try:
        return document.read_state(_text(path))
    except DocumentError as error:
        raise NoAnswerError(_lines(path, error.lines)) from error


def _text(path: Path) -> str:
    try:
        return files.read(path, MOST_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NoAnswerError(f"cannot read {files.name_of(path)}: it is not UTF-8") from error


def _lines(path: Path, faults: list[str]) -> str:
    """Return one line for each fault, with the file's name as compilers write it."""
    name = files.name_of(path)
    return "\n".join(visible(f"{name}: {fault}") for fault in faults)
