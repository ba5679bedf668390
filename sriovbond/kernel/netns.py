"""Network namespaces: open one safely, send requests and write sysctls in it; leave nothing in it.

A descriptor, socket or thread left in the namespace would keep it alive, with the VFs in it.
"""

import errno
import fcntl
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from sriovbond import libc, log
from sriovbond.bond.links import Sysctl
from sriovbond.errors import MachineError
from sriovbond.kernel.netlink import Netlink

NAMES_OF_ALL: Final = frozenset({"all", "default"})
"""The names in net.*.conf for all links and for new ones; a link may have such a name too."""
_NS_GET_NSTYPE: Final = 0xB703  # include/uapi/linux/nsfs.h
_THIS_THREAD: Final = "/proc/thread-self/ns/net"
# a path that nothing can have, a loop of links, a socket
_NO_NAMESPACE: Final = frozenset({errno.ENAMETOOLONG, errno.ELOOP, errno.ENXIO})

T = TypeVar("T")


class NamespaceGoneError(MachineError):
    """The path does not exist: the pod is gone."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """An open network namespace, with a socket of its own in it.

    `identity` is device, inode and cookie; the kernel reuses inodes at once, cookies never, but
    before 5.14 it does not report them (0).
    """

    path: str
    descriptor: int
    identity: tuple[int, int, int]
    netlink: Netlink

    def run(self, work: Callable[[], T]) -> T:
        """Run `work` in the namespace, where it must not block: for sysctls and packets."""
        if self.path == _THIS_THREAD:  # only root may enter one, even where it is already
            return work()
        return _in_namespace(self.descriptor, work)

    def sysctl(self, key: str) -> str | None:
        """Return a net.* sysctl's value; None if this kernel or namespace does not have it."""
        return self.run(lambda: _read_sysctl(key))

    def set_sysctls(self, values: Mapping[str, str]) -> None:
        """Write net.* sysctls by their path under /proc/sys; missing ones are ignored."""
        self.run(partial(_write_sysctls, values))

    def link_sysctls(self, name: str) -> tuple[Sysctl, ...]:
        """Return a link's sysctls that differ from the namespace's default: a move resets them."""
        return self.run(lambda: tuple(_link_sysctls(name)))

    def set_link_sysctls(self, name: str, sysctls: Iterable[Sysctl]) -> None:
        """Write a link's sysctls; missing ones are ignored.

        Raises MachineError for a link named `all` or `default`.
        """
        values = {f"{sysctl.family}/conf/{name}/{sysctl.key}": sysctl.value for sysctl in sysctls}
        if values and name in NAMES_OF_ALL:
            raise MachineError(
                f"cannot write the sysctls of the link {name!r}: those of that name are the "
                "namespace's; give the link another name"
            )
        self.set_sysctls(values)


@contextmanager
def opened(path: str, descriptor: int | None = None) -> Iterator[Namespace]:
    """Open the namespace at `path`, following links, and close all of it at the end.

    An already open `descriptor` of it is used instead, and stays open.
    Raises NamespaceGoneError if nothing exists there, MachineError if it is no network namespace.
    """
    descriptor = _open(path, descriptor)
    try:
        with _in_namespace(descriptor, Netlink) as netlink:
            yield _namespace(path, descriptor, netlink)
    finally:
        os.close(descriptor)


@contextmanager
def identified(paths: Iterable[str], identity: tuple[int, int, int]) -> Iterator[Namespace | None]:
    """Open the namespace of that identity by the first matching path; None if none matches.

    Raises MachineError.
    """
    for path in paths:
        with suppress(NamespaceGoneError), opened(path) as namespace:
            if namespace.identity == identity:
                yield namespace
                return
    yield None


@contextmanager
def own() -> Iterator[Namespace]:
    """Open the namespace of this process: the host's."""
    descriptor = _open(_THIS_THREAD, None)
    try:
        with Netlink() as netlink:
            yield _namespace(_THIS_THREAD, descriptor, netlink)
    finally:
        os.close(descriptor)


def _namespace(path: str, descriptor: int, netlink: Netlink) -> Namespace:
    status = os.fstat(descriptor)
    identity = (status.st_dev, status.st_ino, netlink.namespace_cookie())
    return Namespace(path, descriptor, identity, netlink)


def _open(path: str, open_fd: int | None) -> int:
    try:
        if open_fd is None:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        else:
            descriptor = os.dup(open_fd)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NamespaceGoneError(
            f"cannot open the namespace {path!r}: it is not there; is the pod gone already?"
        ) from error
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "")
        failure = NamespaceGoneError if error.errno in _NO_NAMESPACE else MachineError
        raise failure(f"cannot open the namespace {path!r}: {name}") from error
    try:
        kind = fcntl.ioctl(descriptor, _NS_GET_NSTYPE)
    except OSError:
        kind = 0
    if kind != libc.CLONE_NEWNET:
        os.close(descriptor)
        # `ip netns` and the runtimes leave an empty plain file when the mount is gone
        raise NamespaceGoneError(
            f"cannot use {path!r}: it is no network namespace; look who made the file"
        )
    return descriptor


def _in_namespace(descriptor: int, work: Callable[[], T]) -> T:
    """Run `work` in the namespace, and return; it must not block.

    setns changes only the calling thread. A separate thread would cost more than all the requests
    of an ADD: waking one takes long, the two calls do not.
    """
    before = os.open(_THIS_THREAD, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _enter(descriptor)
        try:
            return work()
        finally:
            _come_back(before)
    finally:
        os.close(before)


def _enter(descriptor: int) -> None:
    try:
        libc.setns(descriptor, libc.CLONE_NEWNET)
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, error.errno)
        remedy = "; call it as root" if error.errno == errno.EPERM else ""
        raise MachineError(f"cannot enter a network namespace: {name}{remedy}") from error


def _come_back(descriptor: int) -> None:
    try:
        libc.setns(descriptor, libc.CLONE_NEWNET)
    except OSError:
        # a thread left in it would serve other requests in the pod, and keep its namespace alive
        log.event(logging.CRITICAL, "cannot leave a pod's namespace: this process ends")
        log.flush()
        os._exit(1)


def _sysctl_path(key: str) -> str:
    return f"/proc/sys/net/{key}"


def _read_sysctl(key: str) -> str | None:
    try:
        with open(_sysctl_path(key), "rb", buffering=0) as file:  # noqa: PTH123 - ten times faster
            return file.read().decode("ascii").strip()
    except OSError:
        return None


def _link_sysctls(name: str) -> Iterator[Sysctl]:
    for family in () if name in NAMES_OF_ALL else ("ipv4", "ipv6"):
        for path in sorted(Path(_sysctl_path(f"{family}/conf/{name}")).glob("*")):
            value = _read_sysctl(f"{family}/conf/{name}/{path.name}")
            if value not in (None, _read_sysctl(f"{family}/conf/default/{path.name}")):
                yield Sysctl(family, path.name, value or "")


def _write_sysctls(values: Mapping[str, str]) -> None:
    for key, value in values.items():
        _write_sysctl(key, value)


def _write_sysctl(key: str, value: str) -> None:
    path = _sysctl_path(key)
    try:
        with open(path, "wb", buffering=0) as file:  # noqa: PTH123 - as above
            file.write(value.encode("ascii"))
    except FileNotFoundError:
        return
    except OSError as error:
        if _read_sysctl(key) != value:  # a sandbox may mount them read-only
            raise MachineError(f"cannot write {value!r} to {path}: {error.strerror}") from error
