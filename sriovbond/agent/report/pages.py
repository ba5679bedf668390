"""A small HTTP server in one thread, bounded against slow, many or malicious clients."""

import logging
import re
import selectors
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Final

from sriovbond import log
from sriovbond.agent import folders
from sriovbond.agent.report.address import Address
from sriovbond.errors import MachineError

CONNECTIONS: Final = 16
TIMEOUT_S: Final = 5.0
_BACKLOG: Final = 16
_REQUEST_BYTES: Final = 8 << 10
_REQUEST: Final = re.compile(rb"(GET|HEAD) (/[^ ?]*)(?:\?[^ ]*)? HTTP/1\.[01]\r?\n")
_METHOD: Final = re.compile(rb"[A-Z]+ /[^ ]* HTTP/1\.[01]\r?\n")
_END: Final = re.compile(rb"\r?\n\r?\n")
_PLAIN: Final = "text/plain; charset=utf-8"
_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class Page:
    """A response: status, content and its type."""

    content: bytes
    content_type: str = _PLAIN
    status: int = 200


def verdict(fault: str) -> Page:
    """Return a probe's page: 200, or 503 with `fault`."""
    return Page(f"{fault}\n".encode(), status=503) if fault else Page(b"ok\n")


@dataclass(slots=True, eq=False)
class _Asker:
    """One connection: its received request, then the unsent rest of the response."""

    connection: socket.socket
    deadline: float
    request: bytearray = field(default_factory=bytearray)
    answer: memoryview | None = None


class Pages:
    """Serves pages by their path until it is closed.

    One response per connection, each within `timeout_s` in all. When too many connections are open,
    the oldest is closed, so that a prompt client is always served.
    """

    def __init__(
        self,
        listening: socket.socket,
        pages: Mapping[str, Callable[[], Page]],
        timeout_s: float = TIMEOUT_S,
        most: int = CONNECTIONS,
    ) -> None:
        self._listening = listening
        self._pages = pages
        self._timeout_s = timeout_s
        self._most = most
        self._askers: dict[_Asker, None] = {}
        self._waiting = selectors.DefaultSelector()
        self._woken, self._waker = socket.socketpair()
        for source in (listening, self._woken):
            source.settimeout(0)
            self._waiting.register(source, selectors.EVENT_READ)
        # in a copy of the context, which has the agent's log
        run = copy_context().run
        self._thread = threading.Thread(target=run, args=(self._serve,), name="pages", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the thread, and close all connections."""
        self._waker.close()
        self._thread.join(self._timeout_s)

    def _serve(self) -> None:
        with self._waiting, self._woken, self._listening:
            while True:
                ready = self._waiting.select(self._pause_s())
                if any(key.fileobj is self._woken for key, _ in ready):
                    break
                for key, _ in ready:
                    if isinstance(key.data, _Asker):
                        self._go_on(key.data)
                    else:
                        self._accept()
                self._hang_up_on_late()
            for asker in list(self._askers):
                self._end(asker)

    def _pause_s(self) -> float | None:
        first = next(iter(self._askers), None)  # equal timeouts: the oldest ends first
        return None if first is None else max(0.0, first.deadline - time.monotonic())

    def _accept(self) -> None:
        try:
            connection, _ = self._listening.accept()
        except BlockingIOError:
            return
        except OSError as error:  # no descriptor left: select would return at once
            log.event(logging.ERROR, f"cannot accept a connection over HTTP: {error.strerror}")
            time.sleep(1)
            return
        connection.settimeout(0)
        if len(self._askers) >= self._most:
            self._end(next(iter(self._askers)))
        asker = _Asker(connection, time.monotonic() + self._timeout_s)
        self._askers[asker] = None
        self._waiting.register(connection, selectors.EVENT_READ, asker)
        self._go_on(asker)  # most have sent their request by now, before later clients evict them

    def _go_on(self, asker: _Asker) -> None:
        if asker not in self._askers:
            return  # closed since select reported it
        try:
            if asker.answer is None:
                self._read(asker)
            if asker.answer is not None:
                self._write(asker, asker.answer)
        except BlockingIOError:
            return
        except OSError:
            self._end(asker)

    def _read(self, asker: _Asker) -> None:
        piece = asker.connection.recv(_REQUEST_BYTES)
        asker.request += piece
        is_whole = _END.search(asker.request) or len(asker.request) > _REQUEST_BYTES
        if not piece:
            self._end(asker)
        elif is_whole:
            asker.answer = memoryview(self._answer(bytes(asker.request)))
            self._waiting.modify(asker.connection, selectors.EVENT_WRITE, asker)

    def _write(self, asker: _Asker, answer: memoryview) -> None:
        asker.answer = answer[asker.connection.send(answer) :]
        if not asker.answer:
            self._end(asker)

    def _answer(self, request: bytes) -> bytes:
        match = _REQUEST.match(request)
        page = self._page(match[2].decode("ascii", "replace")) if match else _refuse(request)
        head = (
            f"HTTP/1.1 {page.status} {_REASONS[page.status]}\r\n"
            f"Content-Type: {page.content_type}\r\n"
            f"Content-Length: {len(page.content)}\r\n"
            "X-Content-Type-Options: nosniff\r\n"
            "Connection: close\r\n\r\n"
        )
        is_head = match is not None and match[1] == b"HEAD"
        return head.encode() + (b"" if is_head else page.content)

    def _page(self, path: str) -> Page:
        make = self._pages.get(path)
        if make is None:
            return Page(f"there are: {' '.join(self._pages)}\n".encode(), status=404)
        try:
            return make()
        except Exception as error:  # noqa: BLE001 - the next asker must be answered
            log.event(logging.ERROR, f"cannot serve {path}: {type(error).__name__}: {error}")
            return Page(b"a fault of sriovbond; its log tells more\n", status=500)

    def _hang_up_on_late(self) -> None:
        now = time.monotonic()
        for asker in [asker for asker in self._askers if asker.deadline <= now]:
            self._end(asker)

    def _end(self, asker: _Asker) -> None:
        if self._askers.pop(asker, self) is self:
            return
        self._waiting.unregister(asker.connection)
        asker.connection.close()


def _refuse(request: bytes) -> Page:
    is_http = _METHOD.match(request) is not None
    return Page(b"only GET and HEAD\n", status=405) if is_http else Page(b"no HTTP\n", status=400)


@dataclass(frozen=True, slots=True)
class Service:
    """Which pages are served, for the log, and the bounds of their server."""

    doing: str = "serve metrics"
    until_then: str = "it is tried again"
    timeout_s: float = TIMEOUT_S
    connections: int = CONNECTIONS
    backlog: int = _BACKLOG


METRICS: Final = Service()


class Served:
    """Pages at an address, from when it is free: another program may have the port now.

    That is no reason for pods not to start.
    """

    def __init__(
        self,
        address: Address,
        pages: Mapping[str, Callable[[], Page]],
        owner: int,
        service: Service = METRICS,
    ) -> None:
        self._address: Final = address
        self._page_of: Final = pages
        self._owner: Final = owner
        self._service: Final = service
        self._pages: Pages | None = None
        self._reported = ""

    def listen(self) -> None:
        """Listen, unless it does already; log a failure once. The caller retries."""
        if self._pages:
            return
        service = self._service
        try:
            listening = listen(self._address, self._owner, service.doing, service.backlog)
        except MachineError as error:
            if error.message != self._reported:
                self._reported = error.message
                log.event(logging.ERROR, f"{error.message}; {service.until_then}")
            return
        self._pages = Pages(listening, self._page_of, service.timeout_s, service.connections)
        if self._reported:
            log.event(logging.INFO, f"can {service.doing} at {self._address} now")

    def close(self) -> None:
        """Stop serving."""
        if self._pages:
            self._pages.close()


def listen(
    address: Address, owner: int = 0, what: str = "serve metrics", backlog: int = _BACKLOG
) -> socket.socket:
    """Listen at the address; a unix socket is accessible to its owner only, like its folder.

    Raises MachineError.
    """
    try:
        if address.host:
            return _at_port(address, backlog)
        return folders.listen(address.path, owner, backlog)
    except OSError as error:
        raise MachineError(f"cannot {what} at {str(address)!r}: {error.strerror}") from error


def _at_port(address: Address, backlog: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    return socket.create_server((address.host, address.port), family=family, backlog=backlog)
