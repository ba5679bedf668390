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
from sriovbond.cluster.resources import NODE_STATES
from sriovbond.host import Host

_TIMEOUT_S: Final = 3.0
_FRESH_S: Final = 2.0  # a PF's reset concerns all pods of a node: they share one answer
_SILENT_S: Final = 600.0
_AT_WORK: Final = "InProgress"  # api/v1 of k8snetworkplumbingwg/sriov-network-operator, consts


class NodeState:
    """Reads the node's SriovNetworkNodeState; thread-safe, with one request at a time.

    When it cannot be read the operator counts as idle: its RBAC role is optional, and the operator
    may not be installed. The failure is logged once, and retried after ten minutes.
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
        except (UnreadableError, OSError) as error:
            self._remember("", _SILENT_S)
            if str(error) != self._fault:
                self._fault = str(error)
                log.event(
                    logging.INFO,
                    f"cannot read the SR-IOV operator's state of {self._node}: {error}; going by "
                    "time alone (rest_s)",
                )
            return
        why = f"the SR-IOV operator is at work on {self._node} (syncStatus {status})"
        self._remember(why if status == _AT_WORK else "", _FRESH_S)

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
