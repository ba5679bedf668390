"""`sriovbond schema`: the JSON schema of a configuration, for editors and checks of files."""

import json

import click

from sriovbond.bond.schema import json_schema


@click.command()
def schema() -> None:
    """Print the JSON schema of a network configuration."""
    click.echo(json.dumps(json_schema(), indent=2))
