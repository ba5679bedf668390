"""The shim under ASan and UBSan: thousands of mutated requests and answers, and the longest."""

import subprocess
from pathlib import Path

import pytest

from sriovbond.shim import build
from tests.support.shims import Shim, a_server, answering, defines

CASES = 10_000
COMPILER = "cc"  # musl has no sanitizers
SANITIZERS = [
    "-O1",
    "-g",
    "-std=gnu17",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer",
]


def sanitized(folder: Path, source: Path, *flags: str) -> Path:
    options = [*SANITIZERS, *defines(folder, deadline_ms=60), *flags]
    return build.build(folder / "sanitized", COMPILER, options, source)


@pytest.mark.slow
def test_ten_thousand_mutated_requests_and_answers_meet_no_fault(shim: Shim) -> None:
    own = [f"-DCASES={CASES}u", f'-DSHIM_SOURCE="{build.SOURCE}"']
    program = sanitized(shim.home, Path(__file__).with_name("fuzz.c"), *own)

    done = subprocess.run([program], capture_output=True, check=False, timeout=300)

    assert done.returncode == 0, done.stderr.decode(errors="replace")[-4000:]


@pytest.mark.slow
def test_the_longest_environment_stdin_and_answer_fit(shim: Shim) -> None:
    options = [*SANITIZERS, *defines(shim.home)]
    program = build.build(shim.home / "sanitized", COMPILER, options)
    sanitized_shim = Shim(program, shim.home)
    most = "a" * (128 * 1024 - 20)  # the kernel's limit for one variable
    many = {f"CNI_{number}": most for number in range(7)}

    with a_server(shim.socket, answering(b"a" * (16 << 20))):
        done = sanitized_shim.run("ADD", b" " * (5 << 20), **many)
        refused = sanitized_shim.run("ADD", b"", **many, CNI_8=most, CNI_9=most)

    assert (len(done.stdout), done.returncode, done.stderr) == (16 << 20, 0, b"")
    assert b"the CNI_ variables are too long" in refused.stdout
