"""The shim, compiled and run: with an agent, without one, and with servers that are none."""

import json
import os
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sriovbond import dispatch
from sriovbond.cni.attachment import MAX_CONTAINER_ID, Attachment
from sriovbond.cni.decoding import MAX_JSON_BYTES
from sriovbond.cni.environment import check_variables
from sriovbond.cni.versions import SUPPORTED_VERSIONS, Command
from sriovbond.host import Host
from sriovbond.shim import channel, wire
from tests.support.shims import (
    WITHIN_S,
    Script,
    Shim,
    a_server,
    a_shim,
    answering,
    sending,
    variables,
)

CODES = {"ADD": 11, "CHECK": 11, "GC": 11, "STATUS": 50}
SHORT_MS = 400
IFNAMES = [
    "nété0",
    "网卡网卡网",
    ".b0",
    "...",
    "-b",
    "b@0",
    'b"\\0',
    "b'$0",
    "\x01\x7f",
    "\u202eb0",
]
STEPS = 7  # mkdir, fsync; mkdir, fsync; fsync, rename, fsync
FRAME = wire.encode_answer(b"{}\n", 0)


@pytest.fixture(scope="module")
def short_shim() -> Iterator[Shim]:
    """A shim with a short deadline."""
    with a_shim(deadline_ms=SHORT_MS) as shim:
        yield shim


@pytest.fixture
def hasty(short_shim: Shim) -> Shim:
    short_shim.clear()
    return short_shim


def error_of(done: subprocess.CompletedProcess[bytes]) -> dict[str, Any]:
    assert done.returncode == 1
    said: dict[str, Any] = json.loads(done.stdout)
    assert set(said) == {"cniVersion", "code", "msg"}
    return said


def nothing_at_all(connection: socket.socket) -> None:
    connection.recv(1 << 20, socket.MSG_PEEK)
    while connection.recv(1 << 20):
        pass


def too_late(connection: socket.socket) -> None:
    time.sleep(SHORT_MS / 1000 + 0.2)
    connection.send(FRAME)


def drop_by_drop(connection: socket.socket) -> None:
    for at in range(len(FRAME)):
        connection.send(FRAME[at : at + 1])
        time.sleep(SHORT_MS / 1000 / 10)


EVIL: dict[str, Script] = {
    "answers drop by drop": drop_by_drop,
    "hangs up at once": lambda connection: connection.close(),
    "reads and hangs up": sending(b""),
    "never answers": nothing_at_all,
    "answers after the deadline": too_late,
    "half a head": sending(FRAME[:5]),
    "half a head and then nothing": sending(FRAME[:5], hangs_up=False),
    "half a body": sending(FRAME[:-1]),
    "half a body and then nothing": sending(FRAME[:-1], hangs_up=False),
    "another magic": sending(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "a body too short for a status": sending(wire.ANSWER_MAGIC + b"\0\0\0\3" + b"abc"),
    "a body too long": sending(wire.ANSWER_MAGIC + b"\xff\xff\xff\xff" + b"a" * 4096),
    "a body one too long": sending(wire.ANSWER_MAGIC + (wire.MAX_ANSWER + 1).to_bytes(4, "big")),
    "a status that is none": sending(wire.encode_answer(b"", 256)),
}


@pytest.mark.parametrize("status", [0, 1, 255])
def test_the_answer_of_the_agent_is_printed_and_its_status_returned(
    shim: Shim, status: int
) -> None:
    stdout = bytes(range(256)) * 40

    with a_server(shim.socket, answering(stdout, status)):
        done = shim.run("ADD")

    assert (done.stdout, done.stderr, done.returncode) == (stdout, b"", status)


def test_the_agent_gets_stdin_and_the_cni_variables_and_no_others(shim: Shim) -> None:
    requests: list[wire.Request] = []
    config = os.urandom(70_000)

    def script(connection: socket.socket) -> None:
        with channel.received(connection, WITHIN_S) as received:
            requests.append(received.request)
            connection.sendall(FRAME)

    with a_server(shim.socket, script):
        shim.run("ADD", config, CNI_ARGS="K8S_POD_NAME=w\udcffb=1;", LD_PRELOAD="", HOME="/")

    expected = variables("ADD", CNI_ARGS="K8S_POD_NAME=w\udcffb=1;")
    assert requests == [wire.Request(expected, config)]


def test_stdin_goes_on_as_long_as_the_plugin_would_read_it(shim: Shim) -> None:
    lengths: list[int] = []

    def script(connection: socket.socket) -> None:
        with channel.received(connection, WITHIN_S) as received:
            lengths.append(len(received.request.stdin))
            connection.sendall(FRAME)

    with a_server(shim.socket, script):
        for size in (0, MAX_JSON_BYTES, MAX_JSON_BYTES + 1, MAX_JSON_BYTES + 70_000):
            shim.run("ADD", b" " * size)

    assert lengths == [0, MAX_JSON_BYTES, MAX_JSON_BYTES + 1, MAX_JSON_BYTES + 1]


@pytest.mark.parametrize("is_link", [False, True])
def test_the_namespace_is_opened_by_the_shim_and_handed_over(
    shim: Shim, tmp_path: Path, *, is_link: bool
) -> None:
    path = Path("/proc/self/ns/net")
    if is_link:
        (tmp_path / "netns").symlink_to(f"/proc/{os.getpid()}/ns/net")
        path = tmp_path / "netns"
    found: list[tuple[int, bool]] = []

    def script(connection: socket.socket) -> None:
        with channel.received(connection, WITHIN_S) as received:
            assert received.netns is not None
            found.append((os.fstat(received.netns).st_ino, os.get_inheritable(received.netns)))
            connection.sendall(FRAME)

    with a_server(shim.socket, script):
        shim.run("ADD", CNI_NETNS=str(path))

    assert found == [(Path("/proc/self/ns/net").stat().st_ino, False)]


@pytest.mark.parametrize("netns", ["/no/such/netns", "", None])
def test_a_namespace_that_cannot_be_opened_is_sent_without_a_descriptor(
    shim: Shim, netns: str | None
) -> None:
    found: list[int | None] = []

    def script(connection: socket.socket) -> None:
        with channel.received(connection, WITHIN_S) as received:
            found.append(received.netns)
            connection.sendall(FRAME)

    with a_server(shim.socket, script):
        shim.run("DEL", CNI_NETNS=netns)

    assert found == [None]


@pytest.mark.parametrize("command", CODES)
def test_without_an_agent_a_command_is_to_be_tried_again(shim: Shim, command: str) -> None:
    said = error_of(shim.run(command, b'{"cniVersion": "1.0.0", "name": "n"}'))

    assert (said["cniVersion"], said["code"]) == ("1.0.0", CODES[command])
    assert f"cannot run {command} now: cannot connect to {shim.socket}" in said["msg"]
    assert not shim.queue.exists()


@pytest.mark.parametrize("script", EVIL.values(), ids=list(EVIL))
@pytest.mark.parametrize("command", ["ADD", "STATUS"])
def test_an_agent_that_gives_no_answer_counts_as_missing(
    hasty: Shim, command: str, script: Script
) -> None:
    started = time.monotonic()

    with a_server(hasty.socket, script):
        said = error_of(hasty.run(command))
        took_s = time.monotonic() - started

    assert said["code"] == CODES[command]
    assert str(hasty.socket) in said["msg"]
    assert took_s < WITHIN_S


@pytest.mark.parametrize("script", EVIL.values(), ids=list(EVIL))
def test_a_del_without_an_answer_is_kept_for_later(hasty: Shim, script: Script) -> None:
    with a_server(hasty.socket, script):
        done = hasty.run("DEL", b'{"name": "n"}')

    assert (done.returncode, done.stdout) == (0, b"")
    assert b"DEL is kept for later" in done.stderr
    assert [path.name for path in hasty.queued()] == ["pod1@bond0"]


def test_an_agent_that_does_not_accept_counts_as_missing(hasty: Shim) -> None:
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as other:
        listening.bind(str(hasty.socket))
        listening.listen(0)
        other.connect(str(hasty.socket))

        said = error_of(hasty.run("ADD"))

    assert "Resource temporarily unavailable" in said["msg"]


def test_an_agent_that_is_not_roots_gets_nothing() -> None:
    got: list[bytes] = []

    with (
        a_shim(owner=os.geteuid() + 1) as shim,
        a_server(shim.socket, lambda one: got.append(one.recv(1))),
    ):
        said = error_of(shim.run("ADD"))

    assert "is not run by root, so nothing was sent" in said["msg"]
    assert got == [b""]


@pytest.mark.parametrize("command", ["ADD", "DEL", "VERSION"])
def test_a_stdin_that_does_not_end_holds_nothing_up(hasty: Shim, command: str) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading), os.fdopen(writing, "wb"):
        done = subprocess.run(
            [hasty.program],
            stdin=reading,
            env=variables(command),
            capture_output=True,
            check=False,
            timeout=WITHIN_S,
        )

    assert (error_of(done)["code"], hasty.queued()) == (11, [])


@pytest.mark.slow
def test_a_reader_that_does_not_read_holds_nothing_up(hasty: Shim) -> None:
    reading, writing = os.pipe()
    with (
        a_server(hasty.socket, answering(b"a" * (1 << 20))),
        os.fdopen(reading),
        os.fdopen(writing, "wb") as stdout,
    ):
        status = subprocess.run(
            [hasty.program],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            env=variables("ADD"),
            check=False,
            timeout=WITHIN_S,
        ).returncode

    assert status == 1


@pytest.mark.parametrize("streams", ["0<&-", "1>&-", "0<&- 1>&- 2>&-"])
def test_streams_that_are_closed_are_no_place_for_other_files(shim: Shim, streams: str) -> None:
    prefix = ["sh", "-c", f'"$@" {streams}', "sh"]

    done = shim.run("DEL", prefix=prefix)

    assert done.returncode == 0
    (queued,) = shim.queued()
    wire.decode_frame(queued.read_bytes())


@pytest.mark.parametrize(
    "stdin",
    [
        *(json.dumps({"cniVersion": version}).encode() for version in SUPPORTED_VERSIONS),
        b"",
        b"\n",
        b"{}",
        b'{"cniVersion": "9.9.9"}',
        b'{"cniVersion": 7, "name": "n"}',
        b'{"prevResult": {"cniVersion": "0.1.0"}, "cniVersion": "0.4.0", "name": "cniVersion"}',
        b'{"prevResult": {"cniVersion": "0.1.0"}}',
        b'{"name": "cniVersion", "type" : "0.1.0"}',
        b'{"a": "\\"cniVersion\\":\\"0.1.0\\"", "cniVersion"\n:\t"0.3.1"}',
        b'{"a": "{[", "cniVersion": "0.3.1"}',
        b'{"cniVersion": "0.1.0", "cniVersion": "0.2.0"}',
        b'[{"cniVersion": "0.1.0"}]',
        b'"cniVersion"',
        b'{"cniVersion',
        b'{"cniVersion": "0.1.0',
        b'{"a": "\\',
        b"\xff\0",
    ],
)
def test_version_is_answered_without_an_agent_byte_for_byte_as_thin(
    shim: Shim, stdin: bytes
) -> None:
    done = shim.run("VERSION", stdin)

    thin = dispatch.answer({"CNI_COMMAND": "VERSION"}, stdin, Host())
    if stdin == b'{"cniVersion": "0.1.0':  # invalid JSON, which the shim does not parse
        thin = dispatch.answer({"CNI_COMMAND": "VERSION"}, b'{"cniVersion": "0.1.0"}', Host())
    assert (done.stdout.decode(), done.returncode) == (thin.stdout, thin.status)


@pytest.mark.parametrize("command", [None, "", "add", "ADDED"])
def test_a_command_that_is_none_is_an_error_without_a_look_at_stdin(
    shim: Shim, command: str | None
) -> None:
    done = shim.run("", CNI_COMMAND=command)

    assert error_of(done)["code"] == 4


# ---- the queue


def test_a_queued_del_is_a_request_that_root_alone_can_read(shim: Shim) -> None:
    config = b'{"cniVersion": "1.0.0", "name": "n"}'

    done = shim.run("DEL", config, CNI_ARGS="a=b")

    (queued,) = shim.queued()
    assert (done.returncode, done.stdout) == (0, b"")
    assert queued.name == Attachment("pod1", "bond0").key
    expected = wire.Request(variables("DEL", CNI_ARGS="a=b"), config)
    assert wire.decode_frame(queued.read_bytes()) == expected
    assert [stat.S_IMODE(one.stat().st_mode) for one in (queued, shim.queue)] == [0o600, 0o700]


def test_a_del_that_comes_again_replaces_the_one_before(shim: Shim) -> None:
    shim.run("DEL", b"1")
    shim.run("DEL", b"2", CNI_IFNAME="bond1")

    shim.run("DEL", b"3")

    found = {path.name: wire.decode_frame(path.read_bytes()).stdin for path in shim.queued()}
    assert found == {"pod1@bond0": b"3", "pod1@bond1": b"2"}


@pytest.mark.parametrize(
    "environment",
    [
        {"CNI_CONTAINERID": None},
        {"CNI_CONTAINERID": "a/../b"},
        {"CNI_CONTAINERID": ".."},
        {"CNI_CONTAINERID": "a@b"},
        {"CNI_CONTAINERID": "a#b"},
        {"CNI_CONTAINERID": ".a"},
        {"CNI_CONTAINERID": "é"},
        {"CNI_IFNAME": ""},
        {"CNI_IFNAME": "."},
        {"CNI_IFNAME": ".."},
        {"CNI_IFNAME": "../bond0"},
        {"CNI_IFNAME": "bond:0"},
        {"CNI_IFNAME": "sixteen-letters0"},
        {"CNI_IFNAME": "nété-und-mehr0"},
        {"CNI_IFNAME": "bond\n0"},
        {"CNI_IFNAME": "bond\x1f0"},
    ],
    ids=str,
)
def test_a_del_with_an_invalid_id_or_name_is_not_queued(
    shim: Shim, environment: dict[str, Any]
) -> None:
    said = error_of(shim.run("DEL", **environment))

    assert (said["code"], shim.queued()) == (4, [])


@pytest.mark.parametrize(
    "environment",
    [
        *({"CNI_IFNAME": name} for name in IFNAMES),
        {"CNI_CONTAINERID": "c" * MAX_CONTAINER_ID},
        {"CNI_CONTAINERID": "c" * (MAX_CONTAINER_ID + 1)},
        {"CNI_CONTAINERID": "c" * 100_000, "CNI_IFNAME": "fifteen-letters"},
    ],
    ids=lambda one: ascii(one)[:40],
)
def test_a_del_of_whatever_an_add_takes_is_kept(shim: Shim, environment: dict[str, Any]) -> None:
    given = variables("DEL", **environment)
    check_variables(Command.ADD, given)

    done = shim.run("DEL", **environment)

    (queued,) = shim.queued()
    assert (done.returncode, done.stdout) == (0, b"")
    assert queued.name == Attachment(given["CNI_CONTAINERID"], given["CNI_IFNAME"]).key
    assert wire.decode_frame(queued.read_bytes()).environment == given


def test_container_ids_that_are_too_long_for_a_name_are_distinguished(shim: Shim) -> None:
    many = [f"{'c' * 300}{number}" for number in range(20)]

    for one in many:
        shim.run("DEL", CNI_CONTAINERID=one)

    assert len(shim.queued()) == len(many)


def a_file(shim: Shim) -> None:
    shim.state.write_text("")


def a_link(shim: Shim) -> None:
    shim.state.mkdir()
    shim.queue.symlink_to("/tmp")  # noqa: S108


def a_folder_of_all(shim: Shim) -> None:
    shim.queue.mkdir(parents=True)
    shim.queue.chmod(0o777)


def a_full_queue(shim: Shim) -> None:
    shim.queue.mkdir(parents=True)
    for number in range(wire.MAX_QUEUED):
        (shim.queue / f"pod{number}@bond7").touch()


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (a_file, "Not a directory"),
        (a_link, "Not a directory"),
        (a_folder_of_all, "Operation not permitted"),
        (a_full_queue, "No space left on device"),
    ],
)
def test_a_queue_that_cannot_take_a_del_makes_the_runtime_try_again(
    shim: Shim, spoil: Callable[[Shim], None], found: str
) -> None:
    spoil(shim)

    said = error_of(shim.run("DEL"))

    assert said["code"] == 11
    assert f"nor can it be kept for later in {shim.queue}: {found}" in said["msg"]


def test_a_disk_that_takes_no_byte_leaves_no_file(shim: Shim) -> None:
    said = error_of(shim.run("DEL", prefix=["sh", "-c", 'ulimit -f 0; exec "$@"', "sh"]))

    assert "File too large" in said["msg"]
    assert shim.queued() == []


def test_a_shim_that_is_killed_leaves_a_whole_del_or_none() -> None:
    found = []
    with a_shim("-include", str(Path(__file__).with_name("killed.h"))) as shim:
        for step in map(str, range(1, STEPS + 2)):
            shim.clear()
            done = shim.run("DEL", KILLED_AT=step)
            whole = [path for path in shim.queued() if not path.name.startswith(".")]
            for path in whole:
                wire.decode_frame(path.read_bytes())
            found.append((done.returncode, len(whole)))

    assert found[-2:] == [(-9, 1), (0, 1)]
    assert set(found[:-2]) == {(-9, 0)}


def test_no_variable_leads_the_shim_elsewhere(shim: Shim) -> None:
    strings = shim.program.read_bytes()

    assert b"SHIM_SOCKET" not in strings
    assert b"SHIM_STATE" not in strings
    for name in (b"CNI_COMMAND", b"CNI_NETNS", b"CNI_CONTAINERID", b"CNI_IFNAME"):
        assert name in strings
