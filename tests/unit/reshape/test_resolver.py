"""resolv.conf keeps what is not ours, byte by byte, and is written whole."""

from pathlib import Path

import pytest

from sriovbond import resolvconf
from sriovbond.errors import MachineError
from sriovbond.host import Host
from sriovbond.nodenet.routing import Resolver
from sriovbond.reshape import resolver

BEFORE = "# by hand\nnameserver 192.0.2.1\ndomain example.com\nsortlist 192.0.2.0\noptions rotate\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/resolv.conf").write_text(BEFORE)
    return tmp_path


@pytest.mark.parametrize(
    ("wish", "after"),
    [
        (
            Resolver(server=("192.0.2.9",)),
            (
                "# by hand\ndomain example.com\nsortlist 192.0.2.0\noptions rotate\n"
                "nameserver 192.0.2.9\n"
            ),
        ),
        (
            Resolver(search=("a.org", "b.org"), options=("ndots:2",)),
            (
                "# by hand\nnameserver 192.0.2.1\nsortlist 192.0.2.0\nsearch a.org b.org\n"
                "options ndots:2\n"
            ),
        ),
        (Resolver(), "# by hand\nsortlist 192.0.2.0\n"),
    ],
)
def test_other_lines_of_resolv_conf_stay(root: Path, wish: Resolver, after: str) -> None:
    (root / "etc/resolv.conf").chmod(0o640)

    resolver.change(Host(root=root, state=root / "state"), wish)

    assert (root / "etc/resolv.conf").read_text() == after
    assert (root / "etc/resolv.conf").stat().st_mode & 0o777 == 0o640
    assert [path.name for path in (root / "etc").iterdir()] == ["resolv.conf"]


def test_a_link_is_followed_and_stays(root: Path) -> None:
    (root / "etc/resolv.conf").rename(root / "etc/resolv.real")
    (root / "etc/resolv.conf").symlink_to("resolv.real")

    resolvconf.write(root, b"nameserver 192.0.2.9\n")

    assert (root / "etc/resolv.conf").is_symlink()
    assert (root / "etc/resolv.real").read_bytes() == b"nameserver 192.0.2.9\n"


def test_a_file_that_was_missing_is_missing_again(root: Path) -> None:
    (root / "etc/resolv.conf").unlink()
    before = resolvconf.read(root)
    resolver.change(Host(root=root, state=root / "state"), Resolver(server=("192.0.2.9",)))

    resolvconf.write(root, before)

    assert before is None
    assert list((root / "etc").iterdir()) == []


def test_an_unreadable_resolv_conf_is_named(root: Path) -> None:
    (root / "etc/resolv.conf").unlink()
    (root / "etc/resolv.conf").mkdir()

    with pytest.raises(MachineError, match=r"cannot read .*resolv\.conf"):
        resolvconf.write(root, b"")
