"""The HTTP server: correct responses, and slow, many or malicious clients."""

import http.client
import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from sriovbond.agent.report import pages
from sriovbond.agent.report.address import Address
from sriovbond.agent.report.pages import Page, Pages, Served
from sriovbond.errors import MachineError

LARGE = b"x" * (8 << 20)


def broken() -> Page:
    raise ValueError("on purpose")


WHAT: dict[str, Callable[[], Page]] = {
    "/metrics": lambda: Page(b"a 1\n", "text/plain; version=0.0.4"),
    "/large": lambda: Page(LARGE),
    "/broken": broken,
    "/healthz": lambda: pages.verdict(""),
    "/readyz": lambda: pages.verdict("not ready yet"),
}


@contextmanager
def served(timeout_s: float = pages.TIMEOUT_S) -> Iterator[int]:
    """Serve on a free port; yield it."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = Pages(listening, WHAT, timeout_s)
    try:
        yield listening.getsockname()[1]
    finally:
        server.close()


@pytest.fixture
def port() -> Iterator[int]:
    with served() as number:
        yield number


def ask(port: int, path: str, method: str = "GET") -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path)
    with connection.getresponse() as answer:
        return answer.status, answer.headers["Content-Type"], answer.read()


def talk(port: int, said: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(said)
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def silent(port: int, held: ExitStack) -> socket.socket:
    return held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))


@pytest.mark.parametrize(
    ("path", "status", "content"),
    [
        ("/metrics", 200, b"a 1\n"),
        ("/metrics?name[]=a", 200, b"a 1\n"),
        ("/healthz", 200, b"ok\n"),
        ("/readyz", 503, b"not ready yet\n"),
        ("/", 404, b"there are: /metrics /large /broken /healthz /readyz\n"),
        ("/metrics/../etc", 404, b"there are: /metrics /large /broken /healthz /readyz\n"),
        ("/large", 200, LARGE),
    ],
)
def test_a_page_is_answered_by_its_path(port: int, path: str, status: int, content: bytes) -> None:
    assert ask(port, path)[::2] == (status, content)


def test_the_type_of_a_page_is_sent_and_head_has_no_content(port: int) -> None:
    assert ask(port, "/metrics") == (200, "text/plain; version=0.0.4", b"a 1\n")
    assert ask(port, "/metrics", "HEAD") == (200, "text/plain; version=0.0.4", b"")


def test_a_page_that_fails_is_500_and_logged_and_the_next_is_served(
    port: int, capfd: pytest.CaptureFixture[str]
) -> None:
    assert ask(port, "/broken")[0] == 500
    assert ask(port, "/metrics")[0] == 200

    out, err = capfd.readouterr()
    assert (out, "/broken: ValueError: on purpose" in err) == ("", True)
    assert "/metrics" not in err


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"405"),
        (b"GET /metrics HTTP/1.0\n\n", b"200"),
        (b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n", b"200"),
        (b"GET metrics HTTP/1.1\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x00\r\n\r\n", b"400"),
        (b"x" * 9000, b"400"),
    ],
)
def test_a_malformed_http_request_is_refused(port: int, said: bytes, status: bytes) -> None:
    answers = talk(port, said)

    assert answers.startswith(b"HTTP/1.1 " + status)
    assert answers.count(b"HTTP/1.1 ") == 1


def test_a_request_may_come_in_pieces(port: int) -> None:
    with ExitStack() as held:
        connection = silent(port, held)
        for piece in (b"GE", b"T /metrics HT", b"TP/1.1\r\nHost:", b" a\r\n\r", b"\n"):
            connection.sendall(piece)
            time.sleep(0.01)

        assert b"200 OK" in connection.recv(1 << 16)


def test_any_number_of_silent_clients_delays_no_answer(port: int) -> None:
    with ExitStack() as held:
        first = silent(port, held)
        for _ in range(3 * pages.CONNECTIONS):
            silent(port, held)

        assert ask(port, "/metrics")[0] == 200
        assert first.recv(1) == b""


def test_a_client_that_does_not_read_delays_no_other(port: int) -> None:
    with ExitStack() as held:
        for _ in range(3):
            silent(port, held).sendall(b"GET /large HTTP/1.1\r\n\r\n")

        assert ask(port, "/metrics")[0] == 200


def test_a_slow_client_is_hung_up_on() -> None:
    with served(timeout_s=0.3) as port, ExitStack() as held:
        connection = silent(port, held)
        started = time.monotonic()
        with suppress(OSError):
            while time.monotonic() < started + 5:
                connection.sendall(b"x")
                time.sleep(0.05)

    assert time.monotonic() - started < 2


def test_a_unix_socket_is_the_owners_alone_and_replaces_a_link(tmp_path: Path) -> None:
    path = tmp_path / "own" / "metrics.sock"
    path.parent.mkdir(mode=0o700)
    path.symlink_to(tmp_path / "elsewhere")

    listening = pages.listen(Address.parse(f"unix:{path}"), os.geteuid())
    server = Pages(listening, WHAT)

    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        assert connection.recv(1 << 16).endswith(b"ok\n")
    assert stat.S_IMODE(path.lstat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["metrics.sock"]
    server.close()


def test_a_folder_that_others_can_write_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)

    with pytest.raises(MachineError, match="others cannot"):
        pages.listen(Address.parse(f"unix:{tmp_path}/metrics.sock"), os.geteuid())


def test_a_port_that_is_taken_is_named() -> None:
    with served() as port, pytest.raises(MachineError, match=rf"127\.0\.0\.1:{port}.*in use"):
        pages.listen(Address.parse(f"127.0.0.1:{port}"))


def test_a_failure_to_listen_is_logged_once_and_not_fatal(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with served() as port:
        metrics = Served(Address.parse(f"127.0.0.1:{port}"), WHAT, 0)
        metrics.listen()
        metrics.listen()
    metrics.close()

    told = capfd.readouterr().err
    assert told.count(f"cannot serve metrics at '127.0.0.1:{port}'") == 1


def test_no_descriptor_and_no_thread_is_left(port: int) -> None:
    def held() -> tuple[int, int]:
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

    ask(port, "/metrics")
    before = held()

    with served() as another, ExitStack() as asking:
        silent(another, asking)
        for _ in range(50):
            ask(another, "/metrics")

    descriptors, threads = held()
    assert descriptors <= before[0]
    assert threads == before[1]
