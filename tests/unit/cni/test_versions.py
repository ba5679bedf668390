import pytest

from sriovbond.cni.versions import (
    SUPPORTED_VERSIONS,
    Command,
    check_command,
    check_version,
    version_report,
)
from sriovbond.cni.wire import CniError


@pytest.mark.parametrize("asked", SUPPORTED_VERSIONS)
def test_the_report_echoes_a_supported_version(asked: str) -> None:
    assert version_report(asked) == {
        "cniVersion": asked,
        "supportedVersions": ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"],
    }


@pytest.mark.parametrize("asked", ["", "2.0.0", "1.1"])
def test_the_report_is_in_the_current_version_by_default(asked: str) -> None:
    assert version_report(asked)["cniVersion"] == "1.1.0"


@pytest.mark.parametrize("version", ["1.1", "2.0.0", "v1.0.0", "x"])
def test_an_unsupported_version_is_refused_with_those_supported(version: str) -> None:
    with pytest.raises(CniError, match=r"0\.1\.0, 0\.2\.0, .*1\.1\.0") as caught:
        check_version(version)

    assert caught.value.code == 1
    assert repr(version) in caught.value.msg


@pytest.mark.parametrize(
    ("command", "first"),
    [(Command.CHECK, "0.4.0"), (Command.GC, "1.1.0"), (Command.STATUS, "1.1.0")],
)
def test_a_command_is_refused_before_the_version_that_brought_it(
    command: Command, first: str
) -> None:
    older = SUPPORTED_VERSIONS[SUPPORTED_VERSIONS.index(first) - 1]

    check_command(command, first)
    with pytest.raises(CniError, match=f"{command} came with {first}") as caught:
        check_command(command, older)

    assert caught.value.code == 1
