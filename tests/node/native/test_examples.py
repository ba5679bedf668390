"""The examples that we ship, at a real API server that refuses fields that it does not know."""

from pathlib import Path

import pytest
import yaml

from tests.docs_tables import CHECKOUT
from tests.node.control_plane import ControlPlane

KINDS = {"NetworkAttachmentDefinition", "Pod", "ResourceClaimTemplate"}


def examples() -> list[Path]:
    """Return the manifests of networks and pods."""
    files = sorted((CHECKOUT / "manifests").glob("*.yaml"))
    return [file for file in files if {*kinds(file)} & KINDS]


def kinds(file: Path) -> list[str]:
    return [each["kind"] for each in yaml.safe_load_all(file.read_text()) if "kind" in each]


@pytest.mark.parametrize("file", examples(), ids=lambda file: file.stem)
def test_the_api_server_accepts_the_example(networking: ControlPlane, file: Path) -> None:
    strict = ("apply", "--dry-run=server", "--validate=strict", "--warnings-as-errors")
    accepted = networking.kubectl(*strict, f"--filename={file}")

    assert len(accepted.splitlines()) == len(kinds(file))
