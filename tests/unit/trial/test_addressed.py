"""A change waits for the addresses that its document names by wait-ip."""

from collections.abc import Callable, Iterator
from math import inf

import pytest

from sriovbond.errors import MachineError
from sriovbond.nodenet.document import read_state
from sriovbond.nodenet.model import NetState
from sriovbond.trial.addressed import await_addresses

WISH = "interfaces: [{name: eth1, type: ethernet, wait-ip: %s}, {name: eth2, type: ethernet}]"
NONE = "interfaces: [{name: eth1, type: ethernet, ipv6: {enabled: true, address: [%s]}}]"
LINK_LOCAL = "{ip: 'fe80::1', prefix-length: 64}"
GLOBAL = "{ip: '2001:db8::1', prefix-length: 64}"


def _states(*texts: str) -> Callable[[], NetState]:
    """Return these states one after the other, and the last one from then on."""
    rows: Iterator[NetState] = iter([read_state(text) for text in texts])
    last = read_state(texts[-1])
    return lambda: next(rows, last)


def test_it_is_over_when_the_address_is_there() -> None:
    said: list[str] = []
    read = _states(NONE % "", NONE % LINK_LOCAL, NONE % GLOBAL)

    await_addresses(read_state(WISH % "ipv6"), read, lambda: 60.0, inf, said.append)

    assert said == []


@pytest.mark.parametrize(
    ("family", "texts"),
    [
        ("ipv6", ["eth1 has no address of IPv6, for which wait-ip waits"]),
        (
            "ipv4+ipv6",
            [
                "eth1 has no address of IPv4, for which wait-ip waits",
                "eth1 has no address of IPv6, for which wait-ip waits",
            ],
        ),
    ],
)
def test_without_it_the_change_fails_in_time(family: str, texts: list[str]) -> None:
    left = iter((0.3, 0.1))

    with pytest.raises(MachineError) as error:
        await_addresses(
            read_state(WISH % family),
            _states(NONE % LINK_LOCAL),
            lambda: next(left, 0.0),
            inf,
            print,
        )

    assert error.value.message == "; ".join(texts)


@pytest.mark.parametrize(("left_s", "lease_s"), [(60.0, 0.0), (0.0, 60.0)])
def test_a_boot_goes_on_without_it(left_s: float, lease_s: float) -> None:
    said: list[str] = []
    wish, read = read_state(WISH % "ipv4"), _states(NONE % "")

    await_addresses(wish, read, lambda: left_s, lease_s, said.append)

    assert len(said) == 1
    assert "eth1 has no address of IPv4" in said[0]


def test_any_address_is_waited_for_by_none() -> None:
    await_addresses(read_state(WISH % "any"), _states(NONE % ""), lambda: 0.0, inf, print)
