"""The addresses that a document waits for, by `wait-ip`: of a family, static ones or not."""

import time
from collections.abc import Callable, Iterator
from math import inf
from typing import Final

from sriovbond.errors import MachineError
from sriovbond.nodenet.checks import WAITED_FAMILIES
from sriovbond.nodenet.model import NetState, NodeLink
from sriovbond.nodenet.values import is_link_local

_PAUSE_S: Final = 0.2


def await_addresses(
    wish: NetState,
    read: Callable[[], NetState],
    left_s: Callable[[], float],
    lease_s: float,
    say: Callable[[str], None],
) -> None:
    """Wait until interfaces have the addresses, `lease_s` at most; go on then where that is finite.

    Raises MachineError where they are needed and not there within `left_s`.
    """
    waiting = [link for link in wish.interfaces or () if link.wait_ip in WAITED_FAMILIES]
    end_s = time.monotonic() + lease_s
    while waiting and (lacking := list(_lacking(waiting, read()))):
        if left_s() <= 0 and lease_s == inf:
            raise MachineError("; ".join(lacking))
        if min(left_s(), end_s - time.monotonic()) <= 0:
            say(f"   {'; '.join(lacking)}; it is not waited for any longer")
            return
        time.sleep(_PAUSE_S)


def _lacking(waiting: list[NodeLink], now: NetState) -> Iterator[str]:
    present = {link.label: link for link in now.interfaces or ()}
    for link in waiting:
        ip_of = (present.get(link.label) or NodeLink()).ip
        for family in WAITED_FAMILIES[link.wait_ip or ""]:
            rows = (ip := ip_of(family)) and ip.address
            if not any(row.ip and not is_link_local(row.ip) for row in rows or ()):
                yield f"{link.label} has no address of IPv{family}, for which wait-ip waits"
