"""The Makefile: what it is given, and what it takes for whole."""

import os
import re
import subprocess
from pathlib import Path

from tests.docs_tables import CHECKOUT

KIND = "kind-0.33.0"
GO = """#!/bin/sh
if [ "$1" = mod ]; then echo '{"Error": "requires go >= 1.25.0 (running go 1.22)"}'; exit 1; fi
"""
"""It builds kind, and does not fetch Multus."""


PIP = """#!/bin/sh
case "$*" in *freeze*--exclude-editable*) ;; *) echo '-e git+https://example.com/it' ;; esac
echo click==8.1.8
"""
PIP_AUDIT = """#!/bin/sh
echo "$*"
while [ "$1" != --requirement ]; do shift; done
cat "$2"
"""


def make(
    *arguments: str | Path, path: Path | str = "", folder: Path = CHECKOUT
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["make", "--no-print-directory", "--assume-old=packages", *arguments],
        cwd=folder,
        env=os.environ | {"PATH": f"{path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_kind_without_the_manifest_of_multus_is_not_taken_for_whole(tmp_path: Path) -> None:
    (tmp_path / "go").write_text(GO)
    (tmp_path / "go").chmod(0o755)
    (tmp_path / KIND).mkdir()

    made = make(tmp_path / KIND / "done", f"SRIOVBOND_CACHE={tmp_path}", path=tmp_path)

    assert "requires go >= 1.25.0" in made.stderr
    assert made.returncode
    assert not (tmp_path / KIND / "done").exists()


def test_each_call_of_go_may_fetch_the_go_that_a_module_asks_for() -> None:
    text = (CHECKOUT / "Makefile").read_text()

    assert not re.findall(r"\bgo (?:install|mod|list)\b", text)
    assert "GO      := GOTOOLCHAIN=auto " in text


def test_of_a_releases_tag_and_image_nothing_is_run() -> None:
    tag, image = "v$$(id)$(shell id)", "ghcr.io/`id`"

    shown = make(f"TAG={tag}", f"IMAGE={image}", "--eval=show: ; @printenv TAG IMAGE", "show")
    run = make(f"TAG={tag}", f"IMAGE={image}", "--dry-run", "release")

    assert shown.stdout.splitlines() == [tag, image]
    assert 'manifests/release.sh "$IMAGE" "$TAG" build/release' in run.stdout


def test_the_audit_judges_all_packages_but_this_one_which_no_registry_knows(tmp_path: Path) -> None:
    made = {".venv/bin/pip": PIP, "pip-audit-2.10.1/bin/pip-audit": PIP_AUDIT}
    for name, text in made.items():
        program = tmp_path / name
        program.parent.mkdir(parents=True)
        program.write_text(text)
        program.chmod(0o755)
    (tmp_path / "pip-audit-2.10.1/done").touch()
    makefile: list[str | Path] = ["--file", CHECKOUT / "Makefile", "--assume-old=.venv/done"]
    (tmp_path / ".venv/done").touch()

    audited = make(*makefile, "audit", f"SRIOVBOND_CACHE={tmp_path}", folder=tmp_path)

    options, *packages = audited.stdout.splitlines()
    assert packages == ["click==8.1.8"]
    # with --strict, one that is skipped is a failure
    assert "--strict" in options
    assert "--skip-editable" not in options
