"""Public CI runs what people run: targets of make that exist, scripts of this project."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs_tables import CHECKOUT
from tests.support import kustomize

WORKFLOWS = sorted((CHECKOUT / ".github" / "workflows").glob("*.yml"))
ACTIONS = sorted((CHECKOUT / ".github" / "actions").glob("*/action.yml"))
OURS = ("make ", "sudo make ", "sudo --preserve-env=", "manifests/", "gh release create ")
IMAGE = "ghcr.io/example/sriovbond"
OWNED = "ghcr.io/Example/SRIOVbond"
"""As GitHub spells a repository, of which a registry takes small letters only."""
AFTER_A_TIME_LIMIT = {"always()", "${{ !success() }}"}

MACHINE = "./.github/actions/machine"
TARGET = "${{ matrix.target }}"


def commands(path: Path) -> Iterator[str]:
    jobs: dict[str, Any] = yaml.safe_load(path.read_text())["jobs"]
    for job in jobs.values():
        targets = job.get("strategy", {}).get("matrix", {}).get("target", [TARGET])
        for run in (step["run"] for step in job["steps"] if "run" in step):
            yield from dict.fromkeys(run.replace(TARGET, target) for target in targets)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_each_command_is_one_that_people_run(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))
    lines = list(commands(path))

    assert lines
    for line in lines:
        assert line.startswith(OURS), line
        assert "make $" not in line, line
        assert set(re.findall(r"\bmake ([a-z-]+)", line)) <= targets, line
        scripts = re.findall(r"\bmanifests/[\w.]+", line)
        assert all((CHECKOUT / script).exists() for script in scripts), line


@pytest.mark.parametrize("path", [*WORKFLOWS, *ACTIONS], ids=lambda path: path.stem)
def test_an_action_of_others_is_the_commit_that_its_version_was(path: Path) -> None:
    used = re.findall(r"\buses: (.*)", path.read_text())
    others = [action for action in used if not action.startswith("./")]

    assert others
    for action in others:
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} +# v\d+\.\d+\.\d+", action), action


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_workflow_may_write_but_the_job_that_releases(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    writers = [name for name, job in workflow["jobs"].items() if "permissions" in job]

    assert workflow["permissions"] == {"contents": "read"}
    assert writers == (["publish"] if path.name == "release.yml" else [])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_job_that_its_time_limit_ends_leaves_its_logs_too(path: Path) -> None:
    jobs = yaml.safe_load(path.read_text())["jobs"].values()

    whens = {step["if"] for job in jobs for step in job["steps"] if "if" in step}

    assert whens <= AFTER_A_TIME_LIMIT


def a_checkout(folder: Path, version: str, changelog: str) -> Path:
    (folder / "sriovbond").mkdir()
    (folder / "sriovbond" / "__init__.py").write_text(f'__version__ = "{version}"\n')
    (folder / "CHANGELOG.md").write_text(changelog)
    for name in ("manifests", "overlays"):
        shutil.copytree(CHECKOUT / name, folder / name)
    return folder


@pytest.mark.slow
def test_the_manifests_of_a_release_name_its_image_and_no_other(tmp_path: Path) -> None:
    checkout = a_checkout(tmp_path, "1.2.3", "")
    path = {"PATH": f"{kustomize.programs()}:/usr/bin:/bin"}

    script = ("manifests/render.sh", OWNED, "1.2.3", "files")
    subprocess.run(script, cwd=checkout, env=path, check=True)

    files = sorted((checkout / "files").iterdir())
    overlays = {f"sriovbond-{overlay.name}.yaml" for overlay in (CHECKOUT / "overlays").iterdir()}
    assert {file.name for file in files} == {"sriovbond.yaml", *overlays}
    for file in files:
        images = re.findall(r"^ *image: (\S+)$", file.read_text(), re.MULTILINE)
        assert images == [f"{IMAGE}:1.2.3"], file.name


BUILDAH = """#!/bin/sh
shift 6  # where it keeps what it is told
echo "$*" >> calls
"""


def test_the_images_of_a_release_are_pushed_by_the_name_that_its_manifests_have(
    tmp_path: Path,
) -> None:
    (tmp_path / "buildah").write_text(BUILDAH)
    (tmp_path / "buildah").chmod(0o755)
    for name in ("1.2.3-amd64.tar", "1.2.3-arm64.tar", "1.2.3-amd64.cdx.json"):
        (tmp_path / f"sriovbond-{name}").touch()

    script = (CHECKOUT / "manifests" / "publish.sh", OWNED, "v1.2.3", ".")
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    subprocess.run(script, cwd=tmp_path, env=path, check=True)

    assert (tmp_path / "calls").read_text().splitlines() == [
        f"manifest create {IMAGE}:1.2.3",
        f"manifest add {IMAGE}:1.2.3 oci-archive:./sriovbond-1.2.3-amd64.tar",
        f"manifest add {IMAGE}:1.2.3 oci-archive:./sriovbond-1.2.3-arm64.tar",
        f"manifest push --all {IMAGE}:1.2.3 docker://{IMAGE}:1.2.3",
    ]


@pytest.mark.parametrize(
    ("tag", "changelog", "words"),
    [
        ("v1.2.4", "## [1.2.3] - 2026-11-29\n", "is 1.2.3; tag it v1.2.3"),
        ("v1.2.3", "## [1.2.3] - unreleased\n", "has no line '## [1.2.3] - DATE'"),
        ("1.2.3", "## [1.2.3] - 2026-11-29\n", "tag it v1.2.3"),
    ],
)
def test_a_tag_that_is_no_release_makes_none(
    tmp_path: Path, tag: str, changelog: str, words: str
) -> None:
    script = ("manifests/release.sh", IMAGE, tag, "files")

    done = subprocess.run(
        script, cwd=a_checkout(tmp_path, "1.2.3", changelog), capture_output=True, check=False
    )

    assert done.returncode == 1
    assert words in done.stderr.decode()
    assert not (tmp_path / "files").exists()


def test_a_cache_is_of_jobs_that_keep_the_same_and_lasts_a_week() -> None:
    """One without netdevsim, kept first, ends the others once Debian serves a newer kernel."""
    kept: dict[str, set[str]] = {}
    for path in WORKFLOWS:
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            for step in job["steps"]:
                if step.get("uses") == MACHINE:
                    kept.setdefault(step["with"]["cache"], set()).add(f"{path.stem} {name}")
    (cache,) = (
        step["with"]
        for step in yaml.safe_load(ACTIONS[0].read_text())["runs"]["steps"]
        if "with" in step
    )

    assert kept
    assert [jobs for jobs in kept.values() if len(jobs) > 1] == []
    assert "steps.week.outputs.number" in cache["key"]
    # what has no * is kept whole, whatever is left out of it
    assert all("*" in line for line in cache["path"].splitlines())
