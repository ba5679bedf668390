"""The netlink requests between plugin and kernel: record them, fail them, or act between two."""

import errno
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sriovbond.errors import KernelError
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.netlink import NetlinkRequest

CUT = "cannot send: the wire was cut by the test"
Tap = Callable[[NetlinkRequest], None]


@contextmanager
def tapped(tap: Tap) -> Iterator[None]:
    """Call `tap` with each request."""
    nl.taps.append(tap)
    try:
        yield
    finally:
        nl.taps.remove(tap)


@contextmanager
def watched() -> Iterator[list[NetlinkRequest]]:
    """Record the requests that are sent."""
    seen: list[NetlinkRequest] = []
    with tapped(seen.append):
        yield seen


@contextmanager
def at(place: int, act: Callable[[], None]) -> Iterator[None]:
    """Call `act` before the request of that number, counted from 1; by raising it replaces it."""
    count = 0

    def tap(_: NetlinkRequest) -> None:
        nonlocal count
        count += 1
        if count == place:
            act()

    with tapped(tap):
        yield


def at_change(number: int, act: Callable[[], object]) -> None:
    """Have this process call `act` before its request of that number that changes something."""
    count = 0

    def tap(request: NetlinkRequest) -> None:
        nonlocal count
        count += request.changes
        if request.changes and count == number:
            act()

    nl.taps.append(tap)


@contextmanager
def cut_from(place: int) -> Iterator[None]:
    """Fail every request from that number on, counted from 1."""
    count = 0

    def tap(_: NetlinkRequest) -> None:
        nonlocal count
        count += 1
        if count >= place:
            fail()

    with tapped(tap):
        yield


@contextmanager
def before(doing: str, act: Callable[[], object]) -> Iterator[None]:
    """Call `act` once, before the first request whose `doing` begins so."""
    is_done = False

    def tap(request: NetlinkRequest) -> None:
        nonlocal is_done
        if not is_done and request.doing.startswith(doing):
            is_done = True
            act()

    with tapped(tap):
        yield
        assert is_done, f"no request to {doing}"


@contextmanager
def before_proof(act: Callable[[], object], last: str = "bring bond0 up") -> Iterator[None]:
    """Call `act` once, after ADD's last change and before it verifies the bond.

    `last` is the beginning of that change's `doing`; the default holds without IPAM.
    """
    changes: list[str] = []

    def tap(request: NetlinkRequest) -> None:
        if request.changes:
            changes.append(request.doing)
        elif changes and changes[-1].startswith(last):
            changes.clear()
            act()

    with tapped(tap):
        yield


def fail() -> None:
    """Raise the error of a request that the kernel refuses."""
    raise KernelError(CUT, errno.EIO)


def die() -> None:
    """Kill this process by a signal that it cannot handle."""
    os.kill(os.getpid(), signal.SIGKILL)


def killed(act: Callable[[], object]) -> bool:
    """Run `act` in a child of this warm process; return whether it was killed."""
    child = multiprocessing.get_context("fork").Process(target=act)
    child.start()
    child.join()
    return child.exitcode == -signal.SIGKILL


@contextmanager
def busy(doing: str, code: int, times: int) -> Iterator[list[float]]:
    """Refuse that many requests whose `doing` begins so, as a busy device does.

    Yields the times of each of them, and of those that were sent.
    """
    came: list[float] = []

    def tap(request: NetlinkRequest) -> None:
        if request.doing.startswith(doing):
            came.append(time.monotonic())
            if len(came) <= times:
                raise KernelError(f"cannot {request.doing}: {errno.errorcode[code]}", code)

    with tapped(tap):
        yield came
