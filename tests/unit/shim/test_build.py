"""The build of the shim: its options, its prerequisites, its result."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sriovbond.cni.versions import SUPPORTED_VERSIONS
from sriovbond.shim import build, wire
from tests.support.shims import Shim, a_server, a_shim, answering

CROSS = "aarch64-linux-gnu-gcc"
# Debian 13 has one program, which is static
EMULATOR = shutil.which("qemu-aarch64-static") or "qemu-aarch64"


def test_the_shim_is_one_static_program(shim: Shim) -> None:
    told = subprocess.run(["file", shim.program], capture_output=True, text=True, check=True)

    assert "statically linked" in told.stdout


def test_versions_and_bounds_come_from_python() -> None:
    header = build.header()

    assert f'#define REQUEST_MAGIC "{wire.REQUEST_MAGIC.decode()}"' in header
    assert f"#define MAX_STDIN {wire.MAX_STDIN}\n" in header
    assert re.findall(r'"(\d+\.\d+\.\d+)"[,}]', header) == list(SUPPORTED_VERSIONS)


def test_without_a_compiler_the_error_names_the_package_to_install(tmp_path: Path) -> None:
    with pytest.raises(build.BuildError, match=r"no C compiler 'no-such-cc'; install musl-tools"):
        build.build(tmp_path / "shim", "no-such-cc")

    assert build.main([str(tmp_path / "shim"), "no-such-cc"]) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("names", [["cc"], ["cc", "musl-gcc"]])
def test_musl_is_taken_where_it_is(
    names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in names:
        (tmp_path / name).write_text(f'#!/bin/sh\nshift $(($# - 1))\necho {name} > "$1"\n')
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/nonexistent")
    monkeypatch.delenv("CC", raising=False)

    target = build.build(tmp_path / "built" / "shim")

    assert target.read_text() == f"{names[-1]}\n"


def test_a_warning_of_the_compiler_leaves_the_former_shim(tmp_path: Path) -> None:
    source = tmp_path / "bad.c"
    source.write_text("int main(void) { int unused; return 0; }\n")
    target = tmp_path / "shim"
    target.write_text("before")

    with pytest.raises(build.BuildError, match="unused"):
        build.build(target, source=source)

    assert target.read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.c", "shim"]


@pytest.mark.slow
def test_the_shim_for_arm64_answers_under_emulation() -> None:
    with a_shim(compiler=CROSS) as shim:
        version = shim.run("VERSION", b'{"cniVersion": "0.4.0"}', [EMULATOR])
        away = shim.run("ADD", b"{}", [EMULATOR])
        kept = shim.run("DEL", b"{}", [EMULATOR])
        with a_server(shim.socket, answering(b"{}\n", 0)):
            added = shim.run("ADD", b"{}", [EMULATOR], CNI_NETNS="/proc/self/ns/net")

        assert json.loads(version.stdout)["cniVersion"] == "0.4.0"
        assert json.loads(away.stdout)["code"] == 11
        assert (kept.returncode, len(shim.queued())) == (0, 1)
        assert (added.stdout, added.returncode) == (b"{}\n", 0)
