"""Hostile files of other programs: what they hold, how they are named, and links in their place."""

import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Final

from deviceinfo import PodRef, find_devices
from deviceinfo.infofiles import read_cni_files, read_dp_files
from sriovbond.cni.versions import Command
from tests.fuzz import calls
from tests.fuzz.world import CONTAINER, World, a_configuration, keep_secrets
from tests.support import samples
from tests.support.node import Node

# without the name, by which the kubelet would be asked: that is another target
SANDBOX: Final = replace(samples.SANDBOX, pod=PodRef(uid=samples.SANDBOX.pod.uid))
UNFORESEEN: Final = "cannot ask "
"""How a problem begins that only the last guard has caught (deviceinfo.find)."""
_MOST_NAMES: Final = 20
_NAME_BYTES: Final = 255


def cache_files(node: Node) -> list[Path]:
    """Return the files of a node that are read to find a pod's devices."""
    places = node.places
    folders = (places.multus, places.device_info, places.sriov_cni, *places.results)
    files = {path for folder in folders for path in folder.rglob("*") if path.is_file()}
    return [places.checkpoint, *sorted(files)]


CACHES: Final = cache_files(samples.NODE)


def cache(world: World, content: bytes) -> None:
    """Judge the content of one of these files, which the first byte chooses."""
    path = _chosen(world, content)
    before = path.read_bytes()
    path.write_bytes(content[1:])
    try:
        _look(world)
    finally:
        path.write_bytes(before)


def link(world: World, content: bytes) -> None:
    """Judge a link that leads outside, in place of one of these files or of a record."""
    path = _chosen(world, content)
    before = path.read_bytes()
    path.unlink()
    path.symlink_to(world.canary)
    kept = world.host.records / f"{CONTAINER}@bond0.json"
    kept.symlink_to(world.canary)
    try:
        _look(world)
        calls.stdin(world, bytes([calls.COMMANDS.index(Command.DEL)]) + a_configuration())
    finally:
        path.unlink()
        path.write_bytes(before)
        for left in world.host.records.iterdir():
            left.unlink()


def names(world: World, content: bytes) -> None:
    """Judge names of device-info files, and of resources and devices that lead to them.

    Names end with NUL; two that follow each other are also a resource and its device.
    """
    words = content.split(b"\0")[:_MOST_NAMES]
    folder = world.inside / "names"
    folder.mkdir(exist_ok=True)
    files = [
        folder / os.fsdecode(word)
        for word in words
        if word and b"/" not in word and word not in (b".", b"..") and len(word) <= _NAME_BYTES
    ]
    for file in files:
        file.write_bytes(b'{"type": "pci", "version": "1.1.0", "pci": {}}')
    texts = [word.decode("utf-8", "replace") for word in words]
    with world.judged():
        readings = (
            read_cni_files(folder, CONTAINER),
            read_dp_files(folder, list(pairwise(texts))),
        )
    for reading in readings:
        assert all(problem.isprintable() for problem in reading.problems), reading.problems
    for file in files:
        file.unlink(missing_ok=True)


def _chosen(world: World, content: bytes) -> Path:
    number = content[0] if content else 0
    return world.inside / CACHES[number % len(CACHES)].relative_to(samples.NODE.root)


def _look(world: World) -> None:
    """Find the pod's devices by all files; what is wrong with one is told in a printable line."""
    with world.judged():
        devices = find_devices(SANDBOX, world.node.places)
    for problem in devices.problems:
        assert problem.isprintable(), problem
        assert not problem.startswith(UNFORESEEN), problem
    keep_secrets(repr(devices))
