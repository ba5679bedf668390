"""The unit of the boot: where there is systemd, and what its file says."""

import sys
from pathlib import Path

import pytest

from sriovbond.errors import MachineError
from sriovbond.host import Host
from sriovbond.trial import unit
from tests.support.played_systemd import a_systemd


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(root=tmp_path / "root", state=tmp_path / "100% state")


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: Host) -> Path:
    """The file of what systemd is asked, which has the host's folders."""
    (host.root / "run/systemd/system").mkdir(parents=True)
    for target in ("multi-user", "network-online"):
        (host.root / f"etc/systemd/system/{target}.target.wants").mkdir(parents=True)
    return a_systemd(tmp_path, monkeypatch)


def test_without_systemd_no_unit_is_installed_and_none_need_be_removed(host: Host) -> None:
    assert not unit.install(host)
    unit.uninstall(host)


def test_the_unit_is_written_and_enabled_once(host: Host, calls: Path) -> None:
    units = host.root / "etc/systemd/system"
    assert unit.install(host)
    for target in ("multi-user", "network-online"):
        (units / f"{target}.target.wants" / unit.UNIT).symlink_to(f"../{unit.UNIT}")

    assert unit.install(host)

    called = calls.read_text().splitlines()
    assert called == ["systemctl daemon-reload", f"systemctl enable {unit.UNIT}"]
    lines = (units / unit.UNIT).read_text().splitlines()
    state = str(host.state).replace("%", "%%")
    assert f"ConditionDirectoryNotEmpty=|{state}/host.d" in lines
    assert f"ConditionPathExists=|{state}/host/change.json" in lines
    assert f"ExecStart={sys.executable} -m sriovbond host boot" in lines


@pytest.mark.usefixtures("calls")
def test_it_finds_the_program_where_this_one_found_it(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/opt/a b/100%")

    unit.install(host)

    text = (host.root / "etc/systemd/system" / unit.UNIT).read_text()
    assert 'Environment="PYTHONPATH=/opt/a b/100%%"\n' in text


@pytest.mark.usefixtures("calls")
def test_a_unit_that_cannot_be_written_is_an_error(host: Host) -> None:
    (host.root / "etc/systemd/system").rename(host.root / "etc/elsewhere")

    with pytest.raises(MachineError, match=r"cannot install .*sriovbond-host\.service"):
        unit.install(host)


def test_the_unit_is_disabled_and_removed_once(host: Host, calls: Path) -> None:
    unit.install(host)
    calls.unlink()

    for _ in range(2):
        unit.uninstall(host)

    called = calls.read_text().splitlines()
    assert called == [f"systemctl disable {unit.UNIT}", "systemctl daemon-reload"]
    assert not (host.root / "etc/systemd/system" / unit.UNIT).exists()
