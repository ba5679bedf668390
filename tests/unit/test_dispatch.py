import errno
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from deviceinfo.plainfile import UnreadableError
from sriovbond import dispatch, errors, records
from sriovbond.cni.versions import SUPPORTED_VERSIONS, Command
from sriovbond.cni.wire import CniError, ErrorCode
from sriovbond.dispatch import CODES, Answer
from sriovbond.errors import (
    ConfigError,
    DriftError,
    Fault,
    KernelError,
    MachineError,
    NamespaceError,
    RefusedError,
    SriovbondError,
    TryLaterError,
    UnavailableError,
)
from sriovbond.host import Host
from sriovbond.ipam import IpamError
from tests.support.descriptors import no_more_open_files
from tests.support.shims import variables

CHECKOUT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class BrokenHost(Host):
    """A machine on which reading the records fails with `error`."""

    error: Exception = RuntimeError("a bug")  # noqa: RUF009 - never changed

    @property
    def records(self) -> Path:
        raise self.error


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(state=tmp_path / "state", run=tmp_path / "run", logs=tmp_path, lock_timeout_s=0.05)


def stdin(**keys: object) -> bytes:
    config = {"cniVersion": "1.1.0", "name": "net", "type": "sriovbond", **keys}
    return json.dumps(config).encode()


@pytest.mark.parametrize("keys", [{"mtu": "x" * 3_000_000}, {"links": [["a" * 100] * 30_000]}])
def test_a_giant_value_is_refused_in_a_text_that_events_and_logs_can_take(
    host: Host, keys: dict[str, object]
) -> None:
    answer = dispatch.answer(variables("ADD"), stdin(**keys), host)

    error = json.loads(answer.stdout)
    assert error["code"] == ErrorCode.INVALID_CONFIG
    assert error["msg"].startswith("cannot use the network configuration: ")
    assert error["msg"].endswith(" more)")
    assert len(error["msg"]) < 17_000


def ask(host: Host, command: str, **keys: object) -> Answer:
    return dispatch.answer(variables(command), stdin(**keys), host)


def error_of(answer: Answer) -> dict[str, Any]:
    assert answer.status == 1
    said: dict[str, Any] = json.loads(answer.stdout)
    return said


def gc_that_ends_in(error: Exception, tmp_path: Path) -> dict[str, Any]:
    broken = BrokenHost(run=tmp_path / "run", error=error)
    return error_of(ask(broken, "GC", **{"cni.dev/valid-attachments": []}))


@pytest.mark.parametrize("given", [b"", b'{"cniVersion": "0.4.0"}', b'{"cniVersion": "9.9.9"}'])
def test_version_is_reported_for_any_command(host: Host, given: bytes) -> None:
    answer = dispatch.answer({"CNI_COMMAND": "VERSION"}, given, host)

    if answer.status:  # an unsupported version
        assert error_of(answer)["code"] == ErrorCode.INCOMPATIBLE_VERSION
    else:
        assert json.loads(answer.stdout)["supportedVersions"] == list(SUPPORTED_VERSIONS)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("why", "more"), 7),
        (RefusedError("why", "more"), 101),
        (TryLaterError("why", "more"), 11),
        (MachineError("why", "more"), 5),
        (KernelError("why", 16, "more"), 103),
        (DriftError("why", "more"), 102),
        (NamespaceError("why", "more"), 8),
        (UnavailableError("why", "more"), 50),
        (CniError(ErrorCode.NOT_AVAILABLE, "why", "more"), 50),
    ],
    ids=lambda given: type(given).__name__,
)
def test_every_error_has_its_code_and_keeps_its_words(
    tmp_path: Path, error: Exception, code: int
) -> None:
    said = gc_that_ends_in(error, tmp_path)

    assert said == {"cniVersion": "1.1.0", "code": code, "msg": "why", "details": "more"}


@pytest.mark.parametrize(
    ("own", "code"), [(11, 11), (104, 104), (7, 7), (3, 104), (0, 104), (None, 104)]
)
def test_the_code_of_the_ipam_plugin_is_passed_on_but_for_those_that_mislead(
    tmp_path: Path, own: int | None, code: int
) -> None:
    error = IpamError("host-local", Command.GC, "no room", own, "range")

    said = gc_that_ends_in(error, tmp_path)

    assert said["code"] == code
    assert "'host-local': no room" in said["msg"]
    assert said["details"] == "range"


def test_a_refusal_is_answered_with_its_rule_as_a_fact_and_in_the_words_for_people(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = RefusedError(
        Fault("net1 is there", "rename it", "name-taken"), further=[Fault("two", rule="b-c")]
    )
    broken = BrokenHost(run=tmp_path / "run", error=error)

    answer = ask(broken, "GC", **{"cni.dev/valid-attachments": []})

    assert answer.failure
    assert (answer.failure.rule, answer.failure.cause) == ("name-taken", error)
    assert error_of(answer)["msg"] == "net1 is there; rename it [name-taken]; two [b-c]"
    assert "rule=name-taken" in capsys.readouterr().err


def test_every_class_of_error_has_a_code() -> None:
    known = [one for one in vars(errors).values() if isinstance(one, type)]
    classes = {one for one in known if issubclass(one, SriovbondError)} - {SriovbondError}

    assert {kind for kind, _ in CODES} == classes


def test_an_unforeseen_exception_is_answered_in_json_with_its_trace(tmp_path: Path) -> None:
    said = gc_that_ends_in(ZeroDivisionError("by nought"), tmp_path)

    assert said["code"] == 199
    assert "ZeroDivisionError: by nought; this is a fault of sriovbond" in said["msg"]
    assert "Traceback" in said["details"]


@pytest.mark.parametrize("version", SUPPORTED_VERSIONS)
def test_an_error_is_in_the_version_of_the_configuration(host: Host, version: str) -> None:
    said = error_of(ask(host, "ADD", cniVersion=version, mtu="x"))

    assert said["cniVersion"] == version
    assert said["code"] == 7
    assert "mtu: " in said["msg"]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (b"", 6),
        (b"{", 6),
        (b"[]", 6),
        (b"\xff", 6),
        (b"[" * 100_000, 6),
        (b'{"cniVersion": ["1.1.0"], "name": "n"}', 6),
        (b'{"cniVersion": "1.1.1", "name": "n"}', 1),
        (b'{"cniVersion": "1.1.0", "name": "/"}', 7),
    ],
)
def test_stdin_that_is_no_configuration_is_answered_in_the_current_version(
    host: Host, given: bytes, code: int
) -> None:
    said = error_of(dispatch.answer(variables("ADD"), given, host))

    assert (said["cniVersion"], said["code"]) == ("1.1.0", code)


@pytest.mark.parametrize("command", ["", "add", "REMOVE"])
def test_a_command_that_is_none_is_an_error_of_the_environment(host: Host, command: str) -> None:
    said = error_of(dispatch.answer(variables(command), stdin(), host))

    assert said["code"] == ErrorCode.INVALID_ENVIRONMENT


def test_add_into_a_missing_namespace_changes_nothing(host: Host) -> None:
    said = error_of(ask(host, "ADD"))

    assert "/no/such/netns" in said["msg"]
    assert not host.records.exists() or not list(host.records.iterdir())


def test_a_call_beside_another_for_the_same_attachment_must_be_retried(host: Host) -> None:
    with records.locked(host, "pod1@bond0"):
        said = error_of(ask(host, "ADD"))

    assert said["code"] == ErrorCode.TRY_AGAIN_LATER


def test_a_machine_without_room_for_records_is_an_io_failure(host: Host, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    said = error_of(ask(replace(host, run=tmp_path / "file" / "run"), "ADD"))

    assert said["code"] == ErrorCode.IO_FAILURE


@pytest.mark.parametrize(
    "keys", [{}, {"mtu": "x", "mode": 99}, {"cniVersion": "9"}, {"name": "/"}, {"prevResult": 7}]
)
def test_del_of_a_missing_bond_succeeds_with_any_configuration(
    host: Host, keys: dict[str, object]
) -> None:
    assert ask(host, "DEL", **keys) == Answer("", 0)


def test_a_delete_is_not_refused_for_a_duplicate_key(host: Host) -> None:
    stdin = b'{"cniVersion": "1.0.0", "name": "net", "type": "sriovbond", "mtu": 1, "mtu": 2}'

    assert dispatch.answer(variables("DEL"), stdin, host) == Answer("", 0)


def test_del_after_an_add_that_found_no_ipam_plugin_succeeds_and_says_why(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = ask(host, "DEL", ipam={"type": "nowhere"})

    assert answer == Answer("", 0)
    assert "going on without IPAM: cannot find the IPAM plugin 'nowhere'" in capsys.readouterr().err


def test_check_without_prev_result_is_refused(host: Host) -> None:
    assert error_of(ask(host, "CHECK"))["code"] == ErrorCode.INVALID_CONFIG


def test_check_without_record_is_drift(host: Host) -> None:
    said = error_of(ask(host, "CHECK", prevResult={"cniVersion": "1.1.0"}))

    assert said["code"] == dispatch.DRIFT
    assert "no record" in said["msg"]


def test_gc_without_a_list_removes_nothing(host: Host) -> None:
    said = error_of(ask(host, "GC"))

    assert said["code"] == ErrorCode.INVALID_CONFIG
    assert "nothing was removed" in said["msg"]


def test_gc_with_nothing_left_behind_is_silent(host: Host) -> None:
    assert ask(host, "GC", **{"cni.dev/attachments": []}) == Answer("", 0)


def test_status_of_a_machine_that_cannot_serve_is_not_available(host: Host, tmp_path: Path) -> None:
    said = error_of(
        ask(replace(host, places=replace(host.places, sysfs=tmp_path), modules=tmp_path), "STATUS")
    )

    assert said["code"] == ErrorCode.NOT_AVAILABLE
    assert "[bonding-driver]" in said["msg"]


def test_status_with_a_configuration_that_no_add_would_take_is_refused(host: Host) -> None:
    assert error_of(ask(host, "STATUS", mtu="x"))["code"] == ErrorCode.INVALID_CONFIG


def test_an_error_is_logged_with_pod_and_code(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    args = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0"

    dispatch.answer(variables("ADD", CNI_ARGS=args), stdin(mtu="x"), host)

    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    for field in ("level=error", "command=ADD", "pod=shop/web-0", "container=pod1", "code=7"):
        assert field in line.split()


def test_a_pod_of_which_only_the_name_is_known_is_logged_by_that(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    dispatch.answer(variables("ADD", CNI_ARGS="K8S_POD_NAME=web-0"), stdin(mtu="x"), host)

    assert "pod=web-0" in capsys.readouterr().err.split()


def test_a_malformed_request_is_logged_with_its_known_variables(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    container = "a\n" + 1000 * "b"

    dispatch.answer(variables("ADD", CNI_CONTAINERID=container), b"{", host)
    dispatch.answer(variables("ADD"), b"{", host)
    dispatch.answer({}, b"", host)

    long, plain, empty = capsys.readouterr().err.splitlines()
    assert f'container="a\\n{78 * "b"}"' in long
    assert len(long) < 500
    assert "cannot decode the network configuration on stdin" in plain
    for field in ("level=error", "command=ADD", "container=pod1", "ifname=bond0", "code=6"):
        assert field in plain.split()
    assert "CNI_COMMAND is not set" in empty
    assert "code=4" in empty.split()


def test_the_log_goes_into_the_file_of_the_configuration(
    host: Host, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bond.log"

    ask(host, "DEL", logFile=str(file))

    assert capsys.readouterr() == ("", "")
    assert "command=DEL" in file.read_text()


def test_a_key_without_letters_names_no_log_file(
    host: Host, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bond.log"

    ask(host, "DEL", **{"": str(file)})

    assert "command=DEL" in capsys.readouterr().err
    assert not file.exists()


@pytest.mark.parametrize("file", ["/etc/cron.d/x", "log", "/var/log/x\0", "/\ud800", 7, ["/x"]])
def test_no_log_file_stops_a_del(
    host: Host, capsys: pytest.CaptureFixture[str], file: object
) -> None:
    assert ask(replace(host, logs=Path("/var/log")), "DEL", logFile=file).status == 0

    assert "command=DEL" in capsys.readouterr().err


def test_the_program_writes_json_to_stdout_and_the_log_to_stderr() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "sriovbond"],
        input=stdin(mode="\N{SNOWMAN}"),
        env={**variables("ADD"), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        cwd=CHECKOUT,
        capture_output=True,
        check=False,
    )

    assert ran.returncode == 1
    assert json.loads(ran.stdout)["code"] == ErrorCode.INVALID_CONFIG
    assert b"level=error" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["ADD", "DEL", "GC"])
def test_a_call_that_may_open_no_more_files_is_to_be_tried_later(host: Host, command: str) -> None:
    keys: dict[str, object] = {"cni.dev/valid-attachments": []} if command == "GC" else {}

    with no_more_open_files():
        answer = ask(host, command, **keys)

    error = error_of(answer)
    assert error["code"] == ErrorCode.TRY_AGAIN_LATER, error
    assert "raise its limit (LimitNOFILE), or try later" in error["msg"]


def test_a_file_that_cannot_be_opened_on_a_machine_with_too_many_is_no_fault_of_ours(
    tmp_path: Path,
) -> None:
    error = gc_that_ends_in(OSError(errno.ENFILE, os.strerror(errno.ENFILE)), tmp_path)

    assert error["code"] == ErrorCode.TRY_AGAIN_LATER
    assert error["msg"].startswith("cannot go on now; this machine has as many files open")


def test_a_call_that_may_start_no_more_threads_is_to_be_tried_later(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")  # as at the limit of tasks

    # a real limit of tasks counts those of all processes of the user, the tests' too
    monkeypatch.setattr(threading.Thread, "start", refuse)

    of_pod = variables("ADD", CNI_ARGS="K8S_POD_NAME=web-0")
    error = error_of(dispatch.answer(of_pod, stdin(), host))

    assert error["code"] == ErrorCode.TRY_AGAIN_LATER, error
    assert "raise its limit (TasksMax, pids.max), or try later" in error["msg"]


def test_a_record_that_cannot_be_opened_for_too_many_files_is_read_later(tmp_path: Path) -> None:
    error = records.UnreadableRecordError("a@bond0.json", "Too many open files")
    error.__cause__ = UnreadableError("Too many open files")
    error.__cause__.__cause__ = OSError(errno.EMFILE, "Too many open files")

    said = gc_that_ends_in(error, tmp_path)

    assert said["code"] == ErrorCode.TRY_AGAIN_LATER
    assert said["msg"].startswith("cannot read the record 'a@bond0.json': Too many open files; ")
