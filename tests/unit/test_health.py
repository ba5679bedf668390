import os
from pathlib import Path

import pytest

from deviceinfo import Places
from sriovbond import health
from sriovbond.host import Host


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """Make a machine that lacks nothing but, where the tests run without it, root."""
    (tmp_path / "sys/module/bonding").mkdir(parents=True)
    return Host(
        places=Places(sysfs=tmp_path / "sys"),
        modules=tmp_path / "modules",
        state=tmp_path / "a/b/state",
    )


def reasons(host: Host) -> list[str]:
    return [one for one in health.reasons_against_add(host) if "[runs-as-root]" not in one]


def list_modules(host: Host, name: str, content: str) -> None:
    (host.places.sysfs / "module/bonding").rmdir()
    folder = host.modules / os.uname().release
    folder.mkdir(parents=True)
    (folder / name).write_text(content)


def test_a_machine_that_lacks_nothing_has_no_reason(host: Host) -> None:
    assert reasons(host) == []
    assert not host.state.exists()


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("modules.dep", "kernel/drivers/net/bonding/bonding.ko: kernel/net/tls/tls.ko\n"),
        ("modules.dep", "kernel/drivers/net/bonding/bonding.ko.xz:\n"),
        ("modules.builtin", "kernel/drivers/net/bonding/bonding.ko\n"),
    ],
)
def test_a_driver_that_can_be_loaded_will_do(host: Host, name: str, line: str) -> None:
    list_modules(host, name, line)

    assert reasons(host) == []


def test_a_kernel_without_bonding_is_told_with_where_it_was_looked_for(host: Host) -> None:
    list_modules(host, "modules.dep", "kernel/drivers/net/dummy.ko:\n")

    told = reasons(host)

    assert len(told) == 1
    assert "no bonding driver" in told[0]
    assert str(host.modules / os.uname().release) in told[0]
    assert told[0].endswith("install the kernel's modules package [bonding-driver]")


def test_a_state_folder_that_cannot_be_made_is_told(host: Host, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")

    told = reasons(host)

    assert len(told) == 1
    assert told[0].startswith(f"'{tmp_path / 'a'}' cannot be written")
    assert told[0].endswith("make it writable [state-folder]")


def test_all_reasons_are_told_at_once(host: Host, tmp_path: Path) -> None:
    list_modules(host, "modules.dep", "")
    (tmp_path / "a").write_text("")

    assert len(reasons(host)) == 2


def test_any_user_but_root_is_a_reason(host: Host) -> None:
    told = [one for one in health.reasons_against_add(host) if "[runs-as-root]" in one]

    assert len(told) == (1 if os.geteuid() else 0)
