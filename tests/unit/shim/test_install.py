"""The shim is installed atomically, and no link is followed."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sriovbond.errors import MachineError
from sriovbond.shim.install import NAME, install

CONTENT = b"\x7fELF" + bytes(range(256)) * 4000
ELSEWHERE = b"somebody else's"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "packaged"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "bin"
    path.mkdir()
    return path


def assert_installed(folder: Path) -> None:
    path = folder / NAME
    assert not path.is_symlink()
    assert path.read_bytes() == CONTENT
    assert path.stat().st_mode & 0o7777 == 0o755
    assert [one.name for one in folder.iterdir()] == [NAME]


def nothing(_: Path) -> None:
    """Leave the folder empty."""


def an_older_one(path: Path) -> None:
    path.write_bytes(CONTENT[:-1])


def another_of_its_size(path: Path) -> None:
    path.write_bytes(CONTENT[::-1])
    path.chmod(0o755)


def its_content_for_all_to_write(path: Path) -> None:
    path.write_bytes(CONTENT)
    path.chmod(0o777)


def a_link(path: Path) -> None:
    (path.parent.parent / "elsewhere").write_bytes(ELSEWHERE)
    path.symlink_to("../elsewhere")


def a_link_to_its_content(path: Path) -> None:
    path.symlink_to("../packaged")


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    "before",
    [
        nothing,
        an_older_one,
        another_of_its_size,
        its_content_for_all_to_write,
        a_link,
        a_link_to_its_content,
        a_pipe,
    ],
)
def test_whatever_was_there_is_the_shim_then(source: Path, folder: Path, before: object) -> None:
    assert callable(before)
    before(folder / NAME)

    assert install(folder, source)

    assert_installed(folder)
    elsewhere = folder.parent / "elsewhere"
    assert not elsewhere.exists() or elsewhere.read_bytes() == ELSEWHERE
    assert source.read_bytes() == CONTENT


def test_an_equal_file_is_left_alone(source: Path, folder: Path) -> None:
    install(folder, source)
    before = (folder / NAME).stat()

    assert not install(folder, source)

    after = (folder / NAME).stat()
    assert (after.st_ino, after.st_ctime_ns) == (before.st_ino, before.st_ctime_ns)


def test_its_mode_does_not_depend_on_the_umask(source: Path, folder: Path) -> None:
    before = os.umask(0o077)
    try:
        install(folder, source)
    finally:
        os.umask(before)

    assert_installed(folder)


def test_a_shim_that_is_executed_meanwhile_goes_on(folder: Path) -> None:
    program = folder / NAME
    program.write_bytes(Path("/bin/sleep").read_bytes())
    program.chmod(0o755)
    with subprocess.Popen([program, "60"]) as running:
        assert install(folder, Path("/bin/true"))
        ended = running.poll()
        running.kill()

    assert ended is None
    assert subprocess.run([program], check=False).returncode == 0


@pytest.mark.slow
def test_a_reader_sees_a_whole_file(source: Path, folder: Path) -> None:
    other = source.with_name("other")
    other.write_bytes(CONTENT[::-1])
    install(folder, source)
    seen: set[bytes] = set()
    is_over = threading.Event()

    def look() -> None:
        while not is_over.is_set():
            seen.add((folder / NAME).read_bytes())

    looking = threading.Thread(target=look)
    looking.start()
    for number in range(60):
        install(folder, (source, other)[number % 2])
    is_over.set()
    looking.join()

    assert seen <= {CONTENT, CONTENT[::-1]}


def test_a_killed_installation_leaves_the_old_one_and_is_cleared_up_later(
    source: Path, folder: Path
) -> None:
    install(folder, source)
    program = (
        "import os, pathlib, signal, sys; from sriovbond.shim import install\n"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        "install.install(pathlib.Path(sys.argv[1]), pathlib.Path('/bin/true'))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(folder)], check=False)
    (left,) = folder.glob(f".{NAME}-*")

    assert done.returncode == -signal.SIGKILL
    assert (folder / NAME).read_bytes() == CONTENT
    assert not install(folder, source)
    assert left.exists()  # it may be that of another, running installer
    os.utime(left, (0, 0))
    install(folder, source)
    assert_installed(folder)


def test_a_full_disk_leaves_the_old_one(source: Path, folder: Path) -> None:
    (folder / NAME).write_bytes(ELSEWHERE)
    program = (
        "import pathlib, resource, signal, sys; from sriovbond.shim import install\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "install.install(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, str(folder), str(source)],
        check=False,
        capture_output=True,
        text=True,
    )

    assert "MachineError: cannot install the shim in" in done.stderr
    assert [path.name for path in folder.iterdir()] == [NAME]
    assert (folder / NAME).read_bytes() == ELSEWHERE


LABEL = "security.selinux"
OF_PLUGINS, OF_CONTAINERS = b"system_u:object_r:bin_t:s0", b"system_u:object_r:container_file_t:s0"


def label(path: Path, text: bytes) -> bool:
    """Label as SELinux does; return whether this user may, on this file system."""
    try:
        os.setxattr(path, LABEL, text)
    except OSError:
        return False
    return True


def label_of(path: Path) -> bytes:
    return os.getxattr(path, LABEL) if LABEL in os.listxattr(path) else b""


def test_it_is_labelled_as_its_folder(source: Path, folder: Path) -> None:
    expected = OF_PLUGINS if label(folder, OF_PLUGINS) else label_of(folder)

    install(folder, source)

    assert_installed(folder)
    assert label_of(folder / NAME) == expected


def test_one_with_another_label_is_made_anew(source: Path, folder: Path) -> None:
    install(folder, source)
    may_label = label(folder, OF_PLUGINS) and label(folder / NAME, OF_CONTAINERS)

    assert install(folder, source) is may_label

    assert label_of(folder / NAME) == label_of(folder)
    assert not install(folder, source)


def test_a_label_that_cannot_be_given_is_no_reason_to_have_no_shim(
    source: Path, folder: Path
) -> None:
    label(folder, OF_PLUGINS)
    program = (
        "import pathlib, sys; from sriovbond.shim import install\n"
        "install.install(*map(pathlib.Path, sys.argv[1:]))"
    )
    # a user who may write the file, and may not label it
    prefix = [] if os.geteuid() else ["setpriv", "--bounding-set=-sys_admin"]

    done = subprocess.run([*prefix, sys.executable, "-c", program, folder, source], check=False)

    assert done.returncode == 0
    assert_installed(folder)


@pytest.mark.parametrize("missing", ["packaged", "bin"])
def test_a_missing_source_or_folder_is_named(source: Path, folder: Path, missing: str) -> None:
    path = {"packaged": source, "bin": folder}[missing]
    path.rename(path.with_name("away"))

    with pytest.raises(MachineError, match=str(path)):
        install(folder, source)
