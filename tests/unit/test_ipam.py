import errno
import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, ItemsView, Iterator
from pathlib import Path
from typing import Any

import pytest

from sriovbond import ipam
from sriovbond.cni.request import CniRequest, parse_request
from sriovbond.cni.versions import Command
from sriovbond.errors import ConfigError, MachineError, TryLaterError
from sriovbond.host import Host
from sriovbond.ipam import IpamError

TIMEOUT_S = 5.0
HOST = Host(ipam_timeout_s=TIMEOUT_S)
RESULT = '{"cniVersion":"1.1.0","ips":[{"address":"192.0.2.5/24","gateway":"192.0.2.1"}]}'
REMEMBER = 'cat > "$LOG/$CNI_COMMAND.stdin"; env > "$LOG/$CNI_COMMAND.env"\n'
VERBS: dict[Command, Callable[[CniRequest, Host], object]] = {
    Command.ADD: ipam.add,
    Command.DEL: ipam.delete,
    Command.CHECK: ipam.check,
    Command.GC: ipam.gc,
    Command.STATUS: ipam.status,
}


@pytest.fixture(autouse=True)
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder in which the scripted plugins record their calls."""
    folder = tmp_path / "log"
    folder.mkdir()
    monkeypatch.setenv("LOG", str(folder))
    return folder


def write_plugin(tmp_path: Path, script: str, name: str = "scripted") -> Path:
    program = tmp_path / name
    program.write_text(f"#!/bin/sh\n{script}", encoding="utf-8")
    program.chmod(0o755)
    return program


def a_request(tmp_path: Path, ipam_section: object = None, **environ: str) -> CniRequest:
    config = {
        "cniVersion": "1.1.0",
        "name": "net",
        "type": "sriovbond",
        "ipam": ipam_section or {"type": "scripted"},
        "runtimeConfig": {"ips": ["192.0.2.5/24"]},
    }
    return parse_request(
        {
            "CNI_COMMAND": "ADD",
            "CNI_CONTAINERID": "pod1",
            "CNI_NETNS": "/run/netns/pod1",
            "CNI_IFNAME": "bond0",
            "CNI_PATH": f"{tmp_path / 'nowhere'}:{tmp_path}",
            "CNI_ARGS": "IP=192.0.2.5",
            **environ,
        },
        json.dumps(config, indent=1).encode(),
    )


def failed_add(tmp_path: Path, script: str, timeout_s: float = TIMEOUT_S) -> IpamError:
    write_plugin(tmp_path, script)
    with pytest.raises(IpamError) as caught:
        ipam.add(a_request(tmp_path), Host(ipam_timeout_s=timeout_s))
    return caught.value


def test_add_returns_the_result_of_the_plugin(tmp_path: Path) -> None:
    write_plugin(tmp_path, f"echo '{RESULT}'")

    result = ipam.add(a_request(tmp_path), HOST)

    assert str(result.ips[0].address) == "192.0.2.5/24"
    assert str(result.ips[0].gateway) == "192.0.2.1"


@pytest.mark.parametrize("command", VERBS)
def test_the_plugin_gets_stdin_and_environment_as_received(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    write_plugin(tmp_path, f"{REMEMBER}echo '{RESULT}'")
    monkeypatch.setenv("INHERITED", "yes")
    monkeypatch.setenv("CNI_IFNAME", "another")
    monkeypatch.setenv("CNI_STRAY", "1")
    request = a_request(tmp_path)

    VERBS[command](request, HOST)

    seen = (log / f"{command}.env").read_text(encoding="utf-8").splitlines()
    expected = {**request.environment, "CNI_COMMAND": str(command)}
    assert {line for line in seen if line.startswith("CNI_")} == {
        f"{name}={text}" for name, text in expected.items()
    }
    assert "INHERITED=yes" in seen
    assert (log / f"{command}.stdin").read_bytes() == request.stdin


class Vanishing(dict[str, str]):
    """An environment from which another thread removes a variable while it is iterated over."""

    def __iter__(self) -> Iterator[str]:
        return iter([*self.keys(), "GRPC_VERBOSITY"])

    def items(self) -> Any:  # noqa: ANN401 - as os.environ, a mapping's view
        return ItemsView(self)


def test_a_variable_that_vanishes_meanwhile_fails_no_call(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_plugin(tmp_path, REMEMBER)
    # the real race is another thread's, between two steps of ours
    monkeypatch.setattr(os, "environ", Vanishing(os.environ))

    ipam.delete(a_request(tmp_path), HOST)

    assert f"LOG={log}\n" in (log / "DEL.env").read_text()


def test_delete_runs_del_from_a_request_that_was_an_add(tmp_path: Path, log: Path) -> None:
    write_plugin(tmp_path, REMEMBER)

    ipam.delete(a_request(tmp_path), HOST)

    assert [path.name for path in log.glob("*.stdin")] == ["DEL.stdin"]


def test_a_result_without_version_has_that_of_the_config(tmp_path: Path) -> None:
    write_plugin(tmp_path, """echo '{"ips":[{"address":"192.0.2.5/24"}]}'""")

    assert ipam.add(a_request(tmp_path), HOST).cni_version == "1.1.0"


def test_the_stderr_of_the_plugin_is_passed_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_plugin(tmp_path, "echo from the plugin >&2")

    ipam.check(a_request(tmp_path), HOST)

    captured = capfd.readouterr()
    assert captured.err == "from the plugin\n"
    assert captured.out == ""


def test_a_plugin_that_says_much_is_not_held_up_by_a_log_without_a_reader(tmp_path: Path) -> None:
    write_plugin(tmp_path, "head -c 300000 /dev/zero >&2; echo '{}'")
    program = f"""
import sys
from tests.unit.test_ipam import HOST, a_request, ipam
from pathlib import Path
ipam.check(a_request(Path({str(tmp_path)!r})), HOST)
"""
    reading, writing = os.pipe()  # without a reader

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path.cwd(), stderr=writing, timeout=30, check=False
    )

    os.close(reading)
    os.close(writing)
    assert done.returncode == 0


def test_a_plugin_that_says_too_much_is_killed(tmp_path: Path) -> None:
    write_plugin(tmp_path, "head -c 2000000 /dev/zero >&2; sleep 30")

    with pytest.raises(IpamError, match="more than 1048576 bytes to stderr and was killed"):
        ipam.check(a_request(tmp_path), HOST)


@pytest.mark.parametrize("command", VERBS)
def test_the_error_of_the_plugin_is_passed_on(tmp_path: Path, command: Command) -> None:
    error = '{"cniVersion":"1.1.0","code":11,"msg":"range is full","details":"10.0.0.0/30"}'
    write_plugin(tmp_path, f"echo '{error}'; exit 1")

    with pytest.raises(IpamError) as caught:
        VERBS[command](a_request(tmp_path), HOST)

    assert caught.value.code == 11
    assert caught.value.plugin_message == "range is full"
    assert caught.value.details == "10.0.0.0/30"
    assert caught.value.plugin == "scripted"
    assert caught.value.command is command
    assert "the IPAM plugin 'scripted': range is full" in caught.value.message


def test_a_failed_add_leaves_the_del_to_its_caller(tmp_path: Path, log: Path) -> None:
    error = failed_add(tmp_path, f"{REMEMBER}exit 3")

    assert [path.name for path in log.glob("*.stdin")] == ["ADD.stdin"]
    assert error.command is Command.ADD
    assert error.details == ""


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exit 3", "ended with exit status 3 without a CNI error; its stdout is empty"),
        ("echo panic; exit 2", "its stdout ends with 'panic'"),
        ("""echo '{"msg":"no code"}'; exit 1""", "exit status 1 without a CNI error"),
        ("kill -SEGV $$", "was killed by SIGSEGV"),
        ("echo nonsense", "cannot decode its result"),
        ("echo '[]'", r"cannot read its result: found \[\]"),
        (
            """echo '{"cniVersion":"1.1.0","ips":[{"address":"x"}]}'""",
            r"cannot read its result\.ips\[0\]\.address: found 'x'",
        ),
        (
            f"""echo '{RESULT[:-1]},"routes":[{{"dst":"::/0","priority":4294967296}}]}}'""",
            r"its result\.routes\[0\]\.priority: found 4294967296; .* from 0 to 4294967295;",
        ),
        (
            f"""echo '{RESULT[:-1]},"routes":[{{"dst":"::/0","scope":256}}]}}'""",
            r"its result\.routes\[0\]\.scope: found 256; it must be .* from 0 to 255;",
        ),
        ("echo '{}'", "holds no address; its stdout ends with '{}'"),
        (":", "cannot decode its result: .*its stdout is empty"),
    ],
)
def test_an_add_that_did_not_succeed_is_reported_in_plain_words(
    tmp_path: Path, script: str, reason: str
) -> None:
    error = failed_add(tmp_path, script)

    assert error.code is None
    assert error.plugin_message == ""
    assert re.search(reason, error.message)


def test_a_plugin_that_hangs_is_killed_with_its_children(tmp_path: Path, log: Path) -> None:
    error = failed_add(tmp_path, 'sleep 60 & echo $! > "$LOG/child"; wait', timeout_s=0.4)

    assert "did not end within 0.4 s and was killed" in error.message
    wait_until(lambda: not is_running(int((log / "child").read_text(encoding="ascii"))))


def test_a_plugin_that_closes_stdout_and_hangs_is_killed(tmp_path: Path) -> None:
    error = failed_add(tmp_path, "exec >&-; sleep 60", timeout_s=0.4)

    assert "did not end within" in error.message


def test_a_plugin_that_floods_stdout_is_killed(tmp_path: Path) -> None:
    error = failed_add(tmp_path, "exec cat /dev/zero")

    assert "wrote more than 1048576 bytes" in error.message


def test_a_daemon_left_behind_does_not_hold_up_the_answer(tmp_path: Path, log: Path) -> None:
    write_plugin(tmp_path, f"""sleep 60 & echo $! > "$LOG/child"; echo '{RESULT}'""")

    result = ipam.add(a_request(tmp_path), HOST)

    assert len(result.ips) == 1
    os.kill(int((log / "child").read_text(encoding="ascii")), signal.SIGKILL)


def test_an_answer_longer_than_a_pipe_is_read_whole(tmp_path: Path) -> None:
    padding = "x" * 200_000
    write_plugin(tmp_path, 'cat "$LOG/answer"')
    answer = json.dumps({**json.loads(RESULT), "padding": padding})
    (tmp_path / "log" / "answer").write_text(answer, encoding="utf-8")

    assert ipam.add(a_request(tmp_path), HOST).extra == {"padding": padding}


def test_a_plugin_that_does_not_read_stdin_is_served(tmp_path: Path) -> None:
    write_plugin(tmp_path, f"echo '{RESULT}'")
    request = a_request(tmp_path, {"type": "scripted", "padding": "x" * 200_000})

    assert len(ipam.add(request, HOST).ips) == 1


@pytest.mark.parametrize("code", [errno.EAGAIN, errno.ENOMEM, errno.EMFILE])
def test_a_plugin_that_the_machine_has_no_room_for_now_is_not_to_be_installed_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))  # as fork(2), at the limit of tasks

    write_plugin(tmp_path, "")
    # a machine without memory or files for a process would have none for the tests either
    monkeypatch.setattr(subprocess.Popen, "_execute_child", refuse)

    with pytest.raises(TryLaterError, match="no room for another process now") as caught:
        ipam.add(a_request(tmp_path), HOST)

    assert "install it anew" not in caught.value.message


def test_a_plugin_that_is_being_installed_is_tried_again(tmp_path: Path) -> None:
    program = write_plugin(tmp_path, f"echo '{RESULT}'")
    descriptor = os.open(program, os.O_WRONLY)
    closing = threading.Timer(0.15, os.close, [descriptor])
    closing.start()

    result = ipam.add(a_request(tmp_path), HOST)

    closing.join()
    assert len(result.ips) == 1


def test_a_plugin_that_cannot_start_is_reported_with_the_reason(tmp_path: Path) -> None:
    program = tmp_path / "scripted"
    program.write_text("#!/no/such/interpreter\n", encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)

    with pytest.raises(MachineError, match=r"cannot start the IPAM plugin .*: ENOENT"):
        ipam.add(a_request(tmp_path), HOST)


@pytest.mark.parametrize("command", VERBS)
def test_a_missing_plugin_is_reported_with_the_folders_searched(
    tmp_path: Path, command: Command
) -> None:
    (tmp_path / "scripted").write_text("not executable", encoding="utf-8")

    with pytest.raises(MachineError, match=f"'scripted'.*{tmp_path}/nowhere:{tmp_path}; "):
        VERBS[command](a_request(tmp_path), HOST)


def test_an_empty_cni_path_is_reported(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="searched nothing"):
        ipam.add(a_request(tmp_path, CNI_PATH=""), HOST)


@pytest.mark.parametrize("name", ["../scripted", "/bin/sh", "a\\b", ".", "..", 5, ["x"]])
def test_a_type_that_is_no_file_name_is_refused(tmp_path: Path, name: object) -> None:
    with pytest.raises(ConfigError, match=r"ipam\.type is "):
        ipam.add(a_request(tmp_path, {"type": name}), HOST)


def test_our_own_type_is_refused(tmp_path: Path) -> None:
    write_plugin(tmp_path, f"echo '{RESULT}'", name="sriovbond")

    with pytest.raises(ConfigError, match="call itself without end"):
        ipam.add(a_request(tmp_path, {"type": "sriovbond"}), HOST)


@pytest.mark.parametrize("command", VERBS)
@pytest.mark.parametrize("name", ["host-device", "macvlan", "sriov", "tuning", "multus"])
def test_a_plugin_that_changes_interfaces_is_never_run_as_ipam(
    tmp_path: Path, log: Path, name: str, command: Command
) -> None:
    write_plugin(tmp_path, REMEMBER, name=name)

    with pytest.raises(ConfigError, match="name an IPAM plugin"):
        VERBS[command](a_request(tmp_path, {"type": name}), HOST)

    assert list(log.iterdir()) == []


@pytest.mark.parametrize(
    ("section", "asked"),
    [
        (None, False),
        ({}, False),
        ({"type": ""}, False),
        ({"subnet": "10.0.0.0/8"}, False),
        ({"type": "host-local"}, True),
        ("host-local", True),
    ],
)
def test_ipam_is_requested_by_its_type(section: object, asked: bool) -> None:  # noqa: FBT001
    assert ipam.is_asked_for({"ipam": section}) is asked


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        fields = Path("/proc", str(pid), "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return not fields.rpartition(")")[2].split()[0].startswith("Z")
