"""The unit of the boot: where there is systemd, and what its file says."""

import sys
from pathlib import Path

import pytest

from sriovbond.errors import MachineError
from sriovbond.host import Host
from sriovbond.trial import unit


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(root=tmp_path / "root", state=tmp_path / "100% state")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, host: Host) -> list[tuple[str, ...]]:
    """What systemctl is asked: there is none of a root of the test's own."""
    (host.root / "run/systemd/system").mkdir(parents=True)
    for target in ("multi-user", "network-online"):
        (host.root / f"etc/systemd/system/{target}.target.wants").mkdir(parents=True)
    words: list[tuple[str, ...]] = []
    monkeypatch.setattr(unit, "_ask", lambda *row: words.append(row))
    return words


def test_without_systemd_no_unit_is_installed_and_none_need_be_removed(host: Host) -> None:
    assert not unit.install(host)
    unit.uninstall(host)


def test_the_unit_is_written_and_enabled_once(host: Host, asked: list[tuple[str, ...]]) -> None:
    units = host.root / "etc/systemd/system"
    assert unit.install(host)
    for target in ("multi-user", "network-online"):
        (units / f"{target}.target.wants" / unit.UNIT).symlink_to(f"../{unit.UNIT}")

    assert unit.install(host)

    assert asked == [("daemon-reload",), ("enable", unit.UNIT)]
    lines = (units / unit.UNIT).read_text().splitlines()
    state = str(host.state).replace("%", "%%")
    assert f"ConditionDirectoryNotEmpty=|{state}/host.d" in lines
    assert f"ConditionPathExists=|{state}/host/change.json" in lines
    assert f"ExecStart={sys.executable} -m sriovbond host boot" in lines


def test_it_finds_the_program_where_this_one_found_it(
    host: Host, asked: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/opt/a b/100%")

    unit.install(host)

    text = (host.root / "etc/systemd/system" / unit.UNIT).read_text()
    assert 'Environment="PYTHONPATH=/opt/a b/100%%"\n' in text
    assert asked


@pytest.mark.usefixtures("asked")
def test_a_unit_that_cannot_be_written_is_an_error(host: Host) -> None:
    (host.root / "etc/systemd/system").rename(host.root / "etc/elsewhere")

    with pytest.raises(MachineError, match=r"cannot install .*sriovbond-host\.service"):
        unit.install(host)
