"""Reads the SR-IOV operator's sync state of this node: whether it is configuring VFs."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from deviceinfo.plainfile import UnreadableError
from sriovbond import log
from sriovbond.cluster import kubeconfig
from sriovbond.cluster.limit import within
from sriovbond.cluster.resources import NODE_STATES, ApiRefusedError
from sriovbond.host import Host

_TIMEOUT_S: Final = 3.0
_FRESH_S: Final = 2.0  # a PF's reset concerns all pods of a node: they share one answer
_SILENT_S: Final = 600.0
_AGAIN_S: Final = 10.0
_IN_DOUBT_S: Final = 60.0
_AT_WORK: Final = "InProgress"  # api/v1 of k8snetworkplumbingwg/sriov-network-operator, consts


class NodeState:
    """Reads the node's SriovNetworkNodeState; thread-safe, with one request at a time.

    When the API server refuses, the operator counts as idle, for ten minutes: its RBAC role is
    optional, and the operator may not be installed. Without an answer it may be at work, since the
    reset of a PF may cut the node off: it counts as idle after a minute of that. Both are logged
    once.
    """

    def __init__(
        self, host: Host, node: str, namespace: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._host: Final = host
        self._node: Final = node
        self._namespace: Final = namespace
        self._clock: Final = clock
        self._lock: Final = threading.Lock()
        self._known = ""
        self._known_until = -1.0
        self._in_doubt_since: float | None = None
        self._fault = ""

    def at_work(self) -> str:
        """Return what the operator does to the node's VFs; empty when it is idle or unknown."""
        if not (self._namespace and kubeconfig.is_there(self._host)):
            return ""
        with self._lock:
            if self._clock() >= self._known_until:
                self._ask()
            return self._known

    def _ask(self) -> None:
        try:
            status = self._read_status()
        except ApiRefusedError as error:
            if error.is_lasting:
                self._go_by_time(error, _SILENT_S)
            else:
                self._doubt(error)
        except (UnreadableError, OSError) as error:
            self._doubt(error)
        else:
            self._in_doubt_since = None
            why = f"the SR-IOV operator is at work on {self._node} (syncStatus {status})"
            self._remember(why if status == _AT_WORK else "", _FRESH_S)

    def _doubt(self, error: Exception) -> None:
        """Wait for an answer for a minute; a failure long after another one begins it anew."""
        now = self._clock()
        if self._in_doubt_since is None or now > self._known_until + _SILENT_S:
            self._in_doubt_since = now
        if now >= self._in_doubt_since + _IN_DOUBT_S:
            self._go_by_time(error, _AGAIN_S)
            return
        why = f"it is not known whether the SR-IOV operator is at work on {self._node}: {error}"
        self._remember(why, _AGAIN_S)

    def _go_by_time(self, error: Exception, for_s: float) -> None:
        self._remember("", for_s)
        if str(error) != self._fault:
            self._fault = str(error)
            log.event(
                logging.INFO,
                f"cannot read the SR-IOV operator's state of {self._node}: {error}; going by "
                "time alone (rest_s)",
            )

    def _remember(self, words: str, for_s: float) -> None:
        self._known, self._known_until = words, self._clock() + for_s

    def _read_status(self) -> str:
        from sriovbond.cluster import client  # noqa: PLC0415 - loads kubernetes

        content = kubeconfig.read(self._host)
        deadline = time.monotonic() + _TIMEOUT_S

        def work() -> str:
            with client.connected(content, self._host.kubeconfig.parent, deadline) as connection:
                state = connection.get(NODE_STATES, self._namespace, self._node)
            return state.section("status").text("syncStatus") or ""

        status = within(_TIMEOUT_S, work)
        if status is None:
            raise UnreadableError(client.LATE)
        return status
