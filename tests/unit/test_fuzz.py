"""Hostile input of each kind, a part of what `make fuzz` tries: judged by the same code."""

import importlib
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given

from sriovbond import log
from tests.fuzz.confined import EscapedError, confined
from tests.fuzz.strategies import hostile
from tests.fuzz.targets import BY_NAME
from tests.fuzz.world import OUTSIDE, SECRET, SECRETS, World, a_configuration, a_world, secrets_of


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with a_world() as made:
        yield made


@pytest.mark.parametrize("name", BY_NAME)
def test_each_sample_is_judged_well(world: World, name: str) -> None:
    target = BY_NAME[name]

    for sample in target.samples:
        target.judge(world, sample)


@pytest.mark.parametrize("name", BY_NAME)
def test_hostile_input_crashes_nothing_escapes_no_folder_and_reveals_no_secret(
    world: World, name: str
) -> None:
    target = BY_NAME[name]

    @given(hostile(target))
    def judge(content: bytes) -> None:
        target.judge(world, content)

    judge()


def test_a_first_import_is_no_escape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "imported_once.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)  # as in a shell of most people

    with confined(tmp_path / "inside", str(tmp_path)):
        importlib.import_module("imported_once")

    assert not sys.dont_write_bytecode


def read(path: Path) -> None:
    path.read_bytes()


def start(program: Path) -> None:
    subprocess.run([program], check=True)


def connect(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
        client.connect(str(path))


ESCAPES: tuple[Callable[[Path], object], ...] = (
    read,
    lambda path: path.with_name("new").write_bytes(b""),
    lambda path: path.with_name("folder").mkdir(),
    lambda path: path.with_name("link").symlink_to(path),
    lambda path: path.rename(path.with_name("moved")),
    Path.unlink,
    lambda path: path.chmod(0o600),
    connect,
    start,
)


@pytest.mark.parametrize("escape", ESCAPES)
def test_a_file_operation_outside_the_folder_is_found(
    tmp_path: Path, escape: Callable[[Path], object]
) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "file").write_text("#!/bin/sh\n")
    (outside / "file").chmod(0o700)

    with pytest.raises(EscapedError, match="outside"), confined(inside):
        escape(inside / ".." / "outside" / "file")


def test_a_file_operation_inside_the_folder_is_no_fault(tmp_path: Path) -> None:
    with confined(tmp_path):
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "file").write_bytes(b"")
        (tmp_path / "folder" / "file").rename(tmp_path / "file")
        folder_fd = os.open(tmp_path, os.O_RDONLY)
        os.unlink("file", dir_fd=folder_fd)
        os.close(folder_fd)


def test_earlier_objects_that_end_by_garbage_collection_are_no_fault(tmp_path: Path) -> None:
    class Earlier:
        def __init__(self) -> None:
            self.itself = self  # only garbage collection ends it

        def __del__(self) -> None:
            (tmp_path / "outside").touch()

    (tmp_path / "inside").mkdir()
    Earlier()
    with confined(tmp_path / "inside"):
        kept: list[list[object]] = [[] for _ in range(100_000)]

    assert len(kept) == 100_000


def test_a_readable_path_may_have_another_spelling(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "other").write_bytes(b"")
    spelling = f"{tmp_path}//other"

    with confined(tmp_path / "inside", spelling):
        os.close(os.open(spelling, os.O_RDONLY))


def test_a_secret_in_the_log_is_found(world: World) -> None:
    with pytest.raises(AssertionError), world.judged():
        log.event(logging.WARNING, f"the token is {SECRET}")


def test_a_file_outside_that_changed_is_found(world: World) -> None:
    try:
        with pytest.raises(AssertionError), world.judged():
            os.truncate(os.open(world.canary, os.O_WRONLY), 0)
    finally:
        world.canary.write_text(OUTSIDE)


@pytest.mark.parametrize(
    ("changes", "secrets"),
    [
        ({}, SECRETS),
        ({"mtu": SECRET}, (OUTSIDE,)),
        ({"links": [{"name": {"a": SECRET}}]}, (OUTSIDE,)),
        ({"ipam": {SECRET: 1}}, (OUTSIDE,)),
        ({"IPAM": [SECRET]}, SECRETS),
    ],
)
def test_a_secret_is_one_where_only_other_plugins_read_it(
    changes: dict[str, object], secrets: tuple[str, ...]
) -> None:
    assert secrets_of(a_configuration(**changes)) == secrets
