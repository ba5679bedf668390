"""Requests to a family of generic netlink, in a namespace and within bounded time."""

import asyncio
import errno
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pyroute2.netlink import NLM_F_DUMP, NLM_F_REQUEST
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.generic import AsyncGenericNetlinkSocket

from sriovbond.kernel.netns import Namespace

DEADLINE_S: Final = 5.0
_NETLINK_GENERIC: Final = 16  # include/uapi/linux/netlink.h
_MOST_MESSAGES: Final = 4096

T = TypeVar("T")
Message = Any  # pyroute2's messages are untyped


class UnansweredError(Exception):
    """A request without a response; the text, the reason, follows the request's name."""


@dataclass(frozen=True, slots=True)
class Family:
    """A family of generic netlink by its name, and pyroute2's class of its messages."""

    name: str
    message: Callable[[], Message]


@dataclass(frozen=True, slots=True)
class Channel:
    """A socket bound to one family."""

    endpoint: Any

    async def get(self, message: Message) -> Message:
        """Return the single response.

        Without NLM_F_ACK: pyroute2 would leave the kernel's ACK in the queue for the next request.
        """
        async for answer in await self._request(message, NLM_F_REQUEST):
            return answer
        raise UnansweredError("an empty answer")

    async def dump(self, message: Message) -> list[Message]:
        """Return all responses."""
        answers: list[Message] = []
        async for answer in await self._request(message, NLM_F_REQUEST | NLM_F_DUMP):
            answers.append(answer)
            if len(answers) > _MOST_MESSAGES:
                raise UnansweredError(f"more than {_MOST_MESSAGES} answers")
        return answers

    async def _request(self, message: Message, flags: int) -> Message:
        return await self.endpoint.nlm_request(
            message, msg_type=self.endpoint.prid, msg_flags=flags
        )


def converse(
    namespace: Namespace,
    family: Family,
    talk: Callable[[Channel], Awaitable[T]],
    within_s: float = DEADLINE_S,
) -> T:
    """Return the result of `talk` with the family's channel in that namespace.

    The kernel responds within the caller's own system call, which blocks while a driver holds its
    lock: so it runs in a thread, which is abandoned after the time limit. Raises UnansweredError
    for each failure.
    """
    answer: Future[T] = Future()
    try:
        # a socket stays in the namespace it is created in, whichever thread uses it
        endpoint = namespace.run(_a_socket)
        threading.Thread(
            target=_settle, args=(answer, endpoint, family, talk, within_s), daemon=True
        ).start()
        return answer.result(within_s)
    except UnansweredError:
        raise
    except Exception as error:
        raise UnansweredError(_in_words(error, within_s)) from error


def ask_each(
    namespace: Namespace,
    family: Family,
    keys: Iterable[str],
    ask: Callable[[Channel, str], Awaitable[T]],
    answer_without: Callable[[str, str], T],
) -> dict[str, T]:
    """Return the response for each key; `answer_without` makes one of a key and the failure."""
    answers: dict[str, T] = {}
    missing = dict.fromkeys(keys, "")

    async def talk(channel: Channel) -> None:
        for key in missing:
            answers[key] = await ask(channel, key)

    try:
        if missing:
            converse(namespace, family, talk)
    except UnansweredError as error:
        missing = dict.fromkeys(missing, str(error))
    # responses before the failure count
    return {key: answers.get(key) or answer_without(key, missing[key]) for key in missing}


def _a_socket() -> socket.socket:
    # asyncio takes datagram sockets only
    return socket.socket(
        socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, _NETLINK_GENERIC
    )


def _settle(
    answer: "Future[T]",
    endpoint: socket.socket,
    family: Family,
    talk: Callable[[Channel], Awaitable[T]],
    within_s: float,
) -> None:
    try:
        with closing(endpoint):
            conversation = _converse(endpoint, family, talk)
            answer.set_result(asyncio.run(asyncio.wait_for(conversation, within_s)))
    except Exception as error:  # noqa: BLE001 - any failure is passed to the caller
        answer.set_exception(error)


async def _converse(
    endpoint: socket.socket, family: Family, talk: Callable[[Channel], Awaitable[T]]
) -> T:
    bound = AsyncGenericNetlinkSocket(use_socket=endpoint)
    bound.module_err_level = "debug"  # a kernel without the family is a result, not an error
    with closing(bound):
        try:
            await bound.bind(family.name, family.message)
        except NetlinkError as error:
            if error.code == errno.ENOENT:
                raise UnansweredError("not in this kernel") from error
            raise
        return await talk(Channel(bound))


def in_words(error: NetlinkError, driver: str) -> str:
    """Return a text why the kernel refused a request."""
    match error.code:
        case errno.EOPNOTSUPP:
            return f"not supported by {driver or 'its driver'}"
        case errno.EPERM:
            return "refused: EPERM; it needs CAP_NET_ADMIN"
    return f"failed: {errno.errorcode.get(error.code, error.code)} ({os.strerror(error.code)})"


def _in_words(error: Exception, within_s: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {within_s:g} s"
    if isinstance(error, NetlinkError):
        return in_words(error, "")
    return f"failed: {type(error).__name__}: {error}"
