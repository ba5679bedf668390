import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sriovbond.cli import sriovbond


def validate(folder: Path, content: object) -> Result:
    file = folder / "net.conf"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return CliRunner().invoke(sriovbond, ["validate", str(file)])


OURS = {"type": "sriovbond", "name": "net"}


def test_a_valid_configuration_is_called_so(tmp_path: Path) -> None:
    answer = validate(tmp_path, {**OURS, "mode": "active-backup"})

    assert answer.exit_code == 0
    assert answer.stdout == f"{tmp_path / 'net.conf'}: valid\n"


def test_every_fault_is_told(tmp_path: Path) -> None:
    answer = validate(tmp_path, {**OURS, "mode": "fast", "mtu": "x", "miimmon": 1})

    assert answer.exit_code == 1
    for words in ("mode: ", "mtu: ", "did you mean 'miimon'?"):
        assert words in answer.stderr


def test_what_is_doubtful_is_a_warning_with_its_rule(tmp_path: Path) -> None:
    answer = validate(tmp_path, {**OURS, "miimon": 0})

    assert answer.exit_code == 0
    assert answer.stdout.startswith("warning: miimon 0 and no arp_interval")
    assert "[no-link-monitoring]" in answer.stdout


def test_a_log_file_that_will_not_be_written_is_a_warning(tmp_path: Path) -> None:
    answer = validate(tmp_path, {**OURS, "logFile": "/etc/cron.d/bond"})

    assert answer.exit_code == 0
    assert "cannot log to '/etc/cron.d/bond': it is not below /var/log" in answer.stdout


def test_a_strict_configuration_with_a_warning_is_not_valid(tmp_path: Path) -> None:
    answer = validate(tmp_path, {**OURS, "miimon": 0, "policy": "strict"})

    assert answer.exit_code == 1
    assert "[no-link-monitoring]" in answer.stdout
    assert "`policy: strict` makes warnings refusals" in answer.stderr


def test_our_plugin_is_found_in_a_list(tmp_path: Path) -> None:
    others = [{"type": "sriov", "mode": "none of ours"}, {**OURS, "mtu": "x"}]

    answer = validate(tmp_path, {"name": "net", "plugins": others})

    assert answer.exit_code == 1
    assert "mtu: " in answer.stderr
    assert "none of ours" not in answer.stderr


def test_a_list_without_our_plugin_is_not_called_valid(tmp_path: Path) -> None:
    answer = validate(tmp_path, {"plugins": [{"type": "bond"}]})

    assert answer.exit_code == 1
    assert "lists no plugin of type sriovbond" in answer.stderr


@pytest.mark.parametrize(
    ("content", "words"), [("{", "is no JSON"), ("[]", "a JSON object is wanted"), ("", "no JSON")]
)
def test_what_is_no_json_object_is_told(tmp_path: Path, content: str, words: str) -> None:
    answer = validate(tmp_path, content)

    assert answer.exit_code == 1
    assert words in answer.stderr


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    answer = CliRunner().invoke(sriovbond, ["validate", str(tmp_path / "no.conf")])

    assert answer.exit_code == 2
    assert "does not exist" in answer.stderr
