"""`sriovbond validate`: checks a user's file before it is applied."""

import sys
from pathlib import Path

import click

from sriovbond.cli import configurations, files
from sriovbond.host import Host


@click.command()
@files.ARGUMENT
def validate(file: Path) -> None:
    """Check the network configuration in FILE.

    FILE is JSON, of one plugin or a list, or YAML with NetworkAttachmentDefinitions; - is standard
    input. The status is 1 where an ADD would be refused, 2 where FILE has no configuration of
    sriovbond. `sriovbond rule ID` has more on an id in brackets.
    """
    is_valid = True
    for configuration in configurations.find_ours(file):
        judgement = configurations.judge(configuration, Host().logs)
        for warning in judgement.warnings:
            click.echo(f"warning: {configuration.label}{warning}")
        for fault in judgement.faults:
            click.echo(f"Error: {configuration.label}{fault}", err=True)
        is_valid = is_valid and not judgement.faults
    if not is_valid:
        sys.exit(1)
    click.echo(f"{click.format_filename(file)}: valid")
