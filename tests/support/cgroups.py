"""Cgroups that a test made."""

import subprocess
from pathlib import Path

from tests.support.agents import wait_for


def remove(folder: Path) -> None:
    """Remove the cgroups, the inner ones first; a killed process leaves its own with a delay."""

    def is_gone() -> bool:
        for path in sorted(folder.rglob("*"), reverse=True):
            if path.is_dir():
                subprocess.run(["rmdir", path], check=False, capture_output=True)
        return not subprocess.run(["rmdir", folder], check=False, capture_output=True).returncode

    wait_for(is_gone)
