"""What a copy of this program consists of: Python, what it loads, what `sriovbond host` imports.

Found by what this process runs from: the same for an image and for a virtual environment.
"""

import importlib
import importlib.metadata
import importlib.util
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from sriovbond.errors import MachineError

PYTHON: Final = Path("bin/python3")
PACKAGES: Final = Path("packages")
LIBRARIES: Final = Path("libraries")
LOADER: Final = LIBRARIES / "loader"
_OURS: Final = ("sriovbond", "deviceinfo")
_REQUIRED: Final = ("click", "grpcio", "protobuf", "pydantic", "pyroute2", "pyyaml")
"""Distributions; the client of the Kubernetes API and that of Prometheus are for the agent only."""
_LEFT_OUT: Final = re.compile(
    r"test|tests|idlelib|tkinter|turtledemo|ensurepip|lib2to3|pydoc_data|(dist|site)-packages|"
    r"config-.*|.*\.a"
)
_NEEDED: Final = re.compile(r"^\s*\S+ => (?P<path>/\S+)", re.MULTILINE)
_MAPPED: Final = re.compile(r"(/.+)$", re.MULTILINE)
_ELF: Final = b"\x7fELF"
_LIST_S: Final = 30.0


def files() -> dict[Path, Path]:
    """Return where each file of a copy comes from, but for the shared libraries."""
    stdlib = Path(sysconfig.get_path("stdlib"))
    found = {PYTHON: Path(sys.executable).resolve()}
    found |= {Path("lib", stdlib.name, name): stdlib / name for name in _below(stdlib)}
    for name in _OURS:
        folder = Path(importlib.import_module(name).__path__[0])
        found |= {PACKAGES / name / file: folder / file for file in _below(folder)}
    return found | {PACKAGES / name: path for name, path in _distributed(_REQUIRED)}


def libraries(files: Mapping[Path, Path]) -> dict[Path, Path]:
    """Return the loader, and the shared libraries that programs among files need.

    It runs the loader for each, which takes longer than all else but the copying. Raises
    MachineError.
    """
    loader = _loader()
    programs = [path for name, path in files.items() if name == PYTHON or ".so" in path.suffixes]
    found = {LIBRARIES / path.name: path for path in _needed(loader, programs)}
    return {**found, LOADER: loader}


def folders_of_libraries(files: Mapping[Path, Path]) -> set[Path]:
    """Return the folders of libraries that this process has loaded: an update changes them.

    Those of modules among files are not returned, where Python writes compiled files.
    """
    of_modules = {path.parent for path in files.values()}
    return {path.parent for path in _mapped() if ".so" in path.name} - of_modules


def written(files: Mapping[Path, Path]) -> dict[Path, Path]:
    """Return the files without those that Python compiled from others."""
    return {name: path for name, path in files.items() if path.suffix != ".pyc"}


def is_program(file: Path) -> bool:
    """Return whether a file is one that the loader or the kernel executes."""
    with file.open("rb") as opened:
        return opened.read(len(_ELF)) == _ELF


def _below(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, relative to it, without what is for developers."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not _LEFT_OUT.fullmatch(name)]
        for name in names:
            file = Path(place, name)
            if not _LEFT_OUT.fullmatch(name) and file.is_file():
                yield file.relative_to(folder)


def _distributed(wanted: Iterable[str]) -> Iterator[tuple[Path, Path]]:
    """Yield the files of distributions and of those that they require, with their compiled form."""
    pending, known = list(wanted), set[str]()
    while pending:
        name = pending.pop()
        if name in known:
            continue
        known.add(name)
        with suppress(importlib.metadata.PackageNotFoundError):  # one of another platform
            distribution = importlib.metadata.distribution(name)
            pending += [
                re.split(r"[^\w.-]", line, maxsplit=1)[0]
                for line in distribution.requires or ()
                if "extra ==" not in line
            ]
            for file in distribution.files or ():
                source = Path(str(distribution.locate_file(file)))
                if ".." not in file.parts and source.is_file():
                    yield from _with_compiled(Path(file), source)


def _with_compiled(name: Path, source: Path) -> Iterator[tuple[Path, Path]]:
    yield name, source
    if source.suffix == ".py":
        compiled = Path(importlib.util.cache_from_source(str(source)))
        if compiled.is_file():
            yield name.parent / compiled.parent.name / compiled.name, compiled


def _loader() -> Path:
    """Return the loader that started this process."""
    for path in _mapped():
        if path.name.startswith("ld"):
            return path
    raise MachineError("cannot copy this program: the loader that started it is not known")


def _mapped() -> list[Path]:
    """Return the files that this process has mapped."""
    text = Path("/proc/self/maps").read_text(encoding="utf-8")
    return [Path(path) for path in dict.fromkeys(_MAPPED.findall(text))]


def _needed(loader: Path, programs: Iterable[Path]) -> Iterator[Path]:
    """Yield the shared libraries that programs and modules need, each by the name that they use."""
    for program in programs:
        done = subprocess.run(  # noqa: S603 - the loader of this process
            [str(loader), "--list", str(program)],
            capture_output=True,
            text=True,
            timeout=_LIST_S,
            check=False,
        )
        yield from map(Path, _NEEDED.findall(done.stdout))
