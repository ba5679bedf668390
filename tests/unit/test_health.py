import os
from dataclasses import replace
from pathlib import Path

import pytest

from deviceinfo import Places
from sriovbond import health
from sriovbond.host import Host


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """Return a machine that meets all preconditions except, if the tests run without it, root."""
    (tmp_path / "sys/module/bonding").mkdir(parents=True)
    return Host(
        places=Places(sysfs=tmp_path / "sys"),
        proc=tmp_path / "proc",
        cgroups=tmp_path / "cgroups",
        modules=tmp_path / "modules",
        state=tmp_path / "a/b/state",
    )


def reasons(host: Host) -> list[str]:
    return [str(one) for one in health.reasons_against_add(host) if one.rule != "runs-as-root"]


def list_modules(host: Host, name: str, content: str) -> None:
    (host.places.sysfs / "module/bonding").rmdir()
    folder = host.modules / os.uname().release
    folder.mkdir(parents=True)
    (folder / name).write_text(content)


def test_a_complete_machine_has_no_reason_against_add(host: Host) -> None:
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


def test_a_kernel_without_bonding_is_reported_with_where_it_was_looked_for(host: Host) -> None:
    list_modules(host, "modules.dep", "kernel/drivers/net/dummy.ko:\n")

    told = reasons(host)

    assert len(told) == 1
    assert "no bonding driver" in told[0]
    assert str(host.modules / os.uname().release) in told[0]
    assert told[0].endswith("install the kernel's modules package [bonding-driver]")


def test_a_state_folder_that_cannot_be_made_is_reported(host: Host, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")

    told = reasons(host)

    assert len(told) == 1
    assert told[0].startswith(f"'{tmp_path / 'a'}' cannot be written")
    assert told[0].endswith("make it writable, or make room on its disk [state-folder]")


def limit_memory(host: Host, groups: str, **limits: str) -> None:
    """Write /proc/self/cgroup, and files of limits by their paths, `__` for a slash."""
    file = host.proc / "self/cgroup"
    file.parent.mkdir(parents=True)
    file.write_text(groups)
    for name, text in limits.items():
        path = host.cgroups / name.replace("__", "/").replace("memory_", "memory.")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")


IN_A_POD = "0::/kubepods/burstable/pod1/c1\n"
SMALL, LARGE = str(50 << 20), str(64 << 20)


@pytest.mark.parametrize(
    ("groups", "limits"),
    [
        (IN_A_POD, {"kubepods__burstable__pod1__c1__memory_max": SMALL}),
        (IN_A_POD, {"kubepods__burstable__pod1__memory_max": SMALL}),
        (
            IN_A_POD,
            {
                "kubepods__memory_max": LARGE,
                "kubepods__burstable__pod1__memory_max": SMALL,
                "kubepods__burstable__pod1__c1__memory_max": "max",
            },
        ),
        ("0::/\n", {"memory_max": SMALL}),
        (
            "12:pids:/kubepods/c1\n4:memory:/kubepods/c1\n0::/\n",
            {"memory__kubepods__c1__memory_limit_in_bytes": SMALL},
        ),
        ("4:hugetlb,memory:/a:b\n", {"memory__a:b__memory_limit_in_bytes": SMALL}),
    ],
    ids=["v2", "v2 above", "v2 the smallest", "v2 in a namespace", "v1", "v1 of several"],
)
def test_a_memory_limit_that_an_add_of_thin_mode_would_break_is_reported(
    host: Host, groups: str, limits: dict[str, str]
) -> None:
    limit_memory(host, groups, **limits)

    [fault] = reasons(host)

    assert "an ADD takes 31 MiB" in fault
    assert "may have 50 MiB in all" in fault
    assert fault.endswith("[memory-limit]")
    assert reasons(replace(host, is_agent=True)) == []


@pytest.mark.parametrize(
    ("groups", "limits"),
    [
        (IN_A_POD, {"kubepods__burstable__pod1__c1__memory_max": LARGE}),
        (IN_A_POD, {"kubepods__burstable__pod1__c1__memory_max": "max"}),
        (IN_A_POD, {}),
        ("4:memory:/\n", {"memory__memory_limit_in_bytes": "9223372036854771712"}),
        ("0::/../other\n", {"memory_max": SMALL}),
        ("4:memory:/c1\n", {"memory_max": SMALL}),
        ("nonsense\n\n0::/c\n", {"c__memory_max": "-"}),
        ("", {}),
    ],
)
def test_other_limits_are_none_of_its_business(
    host: Host, groups: str, limits: dict[str, str]
) -> None:
    limit_memory(host, groups, **limits)

    assert reasons(host) == []


def test_all_reasons_are_reported_at_once(host: Host, tmp_path: Path) -> None:
    list_modules(host, "modules.dep", "")
    (tmp_path / "a").write_text("")

    assert len(reasons(host)) == 2


def test_any_user_but_root_is_a_reason(host: Host) -> None:
    told = [one for one in health.reasons_against_add(host) if one.rule == "runs-as-root"]

    assert len(told) == (1 if os.geteuid() else 0)


def test_a_state_folder_that_cannot_be_looked_at_is_reported(host: Host, tmp_path: Path) -> None:
    where = tmp_path / ("x" * 300)

    told = reasons(replace(host, state=where))

    assert len(told) == 1
    assert "cannot be looked at: File name too long" in told[0]
    assert told[0].endswith("[state-folder]")
