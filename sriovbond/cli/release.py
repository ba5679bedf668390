"""`sriovbond release`: release an attachment by hand, and list the records."""

from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from sriovbond import aside, records
from sriovbond.agent import settings
from sriovbond.cli import tables
from sriovbond.cni.attachment import Attachment, split_key
from sriovbond.host import Host
from sriovbond.records import Record
from sriovbond.release import release as undo


@click.command()
@click.argument("container_id", required=False)
@click.argument("ifname", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
@click.pass_obj
def release(
    host: Host | None, container_id: str | None, ifname: str | None, *, as_json: bool
) -> None:
    """Release an attachment, as DEL does, or list the records.

    With CONTAINER_ID and IFNAME it puts back what the record of this attachment says; without them
    it lists the records and changes nothing.
    """
    host = host or settings.load().host
    if container_id is None:
        _list(host, as_json=as_json)
        return
    if ifname is None:
        raise click.UsageError("give CONTAINER_ID IFNAME, or nothing: then the records are listed")
    if as_json:
        raise click.UsageError("--json is for the list: leave CONTAINER_ID IFNAME out")
    _release(host, container_id, ifname)
    click.echo(f"released {ifname} of {container_id}")


def _release(host: Host, container_id: str, ifname: str) -> None:
    attachment = Attachment(container_id, ifname)
    with records.locked(host, attachment.key):
        record = records.read(host, attachment.key)
        if record is None:
            raise click.ClickException(_explain_missing(host, attachment))
        undo(host, record).finish()


def _explain_missing(host: Host, attachment: Attachment) -> str:
    kept = next((path for path in aside.files(host) if path.stem == attachment.key), None)
    fault = f"there is no record of {attachment.container_id} {attachment.ifname}"
    return f"{fault}: it could not be read, and is kept as {str(kept)!r}" if kept else fault


def _list(host: Host, *, as_json: bool) -> None:
    readable, faults = records.read_all(host)
    print_all = print_json if as_json else print_table
    print_all(readable, aside.files(host))
    for fault in faults:
        click.echo(fault, err=True)


def print_table(readable: Sequence[Record], kept: Sequence[Path]) -> None:
    """Print a row for each record, and for each file that was moved aside as damaged."""
    table = Table("pod", "container", "interface", "network", "members", "namespace")
    for record in readable:
        plan = record.plan
        members = ", ".join(map(str, plan.members)) if plan else "released, but for IPAM"
        whose = (record.pod.full_name, record.container_id, record.ifname)
        tables.add_row(table, *whose, record.network, members, record.netns)
    for path in kept:
        container_id, ifname = split_key(path.stem)
        whose = ("", container_id, ifname)
        tables.add_row(table, *whose, "", f"cannot be read, kept as {path}", "")
    tables.print_table(table, Console())


def print_json(readable: Sequence[Record], kept: Sequence[Path]) -> None:
    """Print the same as a JSON list."""
    tables.print_json([*map(_as_object, readable), *map(_as_kept, kept)])


def _as_object(record: Record) -> dict[str, object]:
    members = record.plan.members if record.plan else ()
    return {
        "container_id": record.container_id,
        "ifname": record.ifname,
        "network": record.network,
        "netns": record.netns,
        "pod": record.pod.full_name,
        "members": [{"name": member.name, "device": member.device} for member in members],
        "state": _state_of(record),
    }


def _state_of(record: Record) -> str:
    if record.plan is None:
        return "ipam-left"
    return "complete" if record.is_complete else "incomplete"


def _as_kept(path: Path) -> dict[str, object]:
    container_id, ifname = split_key(path.stem)
    state = path.suffix.removeprefix(".")
    return {"container_id": container_id, "ifname": ifname, "state": state, "file": str(path)}
