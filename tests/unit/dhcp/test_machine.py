"""The states of a client, by a clock of the test's: what is sent when, and what ends a lease."""

from dataclasses import replace
from ipaddress import IPv4Address
from itertools import pairwise

import pytest

from sriovbond.dhcp.lease import DhcpLease, read
from sriovbond.dhcp.machine import Action, Bind, DhcpStage, Identity, Machine, Send, Unbind
from sriovbond.dhcp.packet import DhcpMessage, DhcpOption, MessageKind
from tests.support.dhcp_packets import MAC, a_moment, a_reply

ID = b"\x01" + MAC
SERVER, OTHER = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 66])
OWN = bytes([192, 0, 2, 100])
LEASE_S = 3600


def a_lease() -> DhcpLease:
    return read(a_reply(DhcpMessage(1, MAC), MessageKind.ACK), a_moment(0.0))


def a_machine(lease: DhcpLease | None = None) -> Machine:
    return Machine(Identity(ID, "node-7"), MAC, lease)


def sent(actions: list[Action]) -> DhcpMessage:
    (message,) = [action.message for action in actions if isinstance(action, Send)]
    return message


def to_bound(machine: Machine, now_s: float = 0.0) -> DhcpLease:
    """Play an exchange from DISCOVER to ACK."""
    discover = sent(machine.begin(a_moment(now_s)))
    offer = a_reply(discover, MessageKind.OFFER)
    request = sent(machine.hear(offer, a_moment(now_s)))
    (bind,) = machine.hear(a_reply(request, MessageKind.ACK), a_moment(now_s))
    assert isinstance(bind, Bind)
    return bind.lease


def run_until(machine: Machine, end_s: float, now_s: float = 0.0) -> list[tuple[float, Action]]:
    """Wake the machine whenever it is due, for a bounded number of times."""
    done: list[tuple[float, Action]] = []
    for _ in range(10_000):
        now_s = max(now_s, machine.wake_s)
        if now_s > end_s:
            return done
        done += [(now_s, action) for action in machine.wake(a_moment(now_s))]
    raise AssertionError("it never rests")


def test_an_exchange_keeps_its_id_and_requests_the_offered_address() -> None:
    machine = a_machine()

    discover = sent(machine.begin(a_moment(0.0)))
    request = sent(machine.hear(a_reply(discover, MessageKind.OFFER), a_moment(1.0)))

    assert (discover.kind, request.kind) == (MessageKind.DISCOVER, MessageKind.REQUEST)
    assert discover.xid == request.xid
    for message in (discover, request):
        assert message.options[DhcpOption.CLIENT_ID] == ID
        assert message.options[DhcpOption.HOSTNAME] == b"node-7"
        assert message.own == bytes(4)
    assert request.options[DhcpOption.SERVER] == SERVER
    assert request.options[DhcpOption.REQUESTED] == OWN
    assert DhcpOption.REQUESTED not in discover.options


def test_silence_is_asked_again_with_longer_pauses() -> None:
    machine = a_machine()
    machine.begin(a_moment(0.0))

    times = [now_s for now_s, _ in run_until(machine, 600.0)]
    pauses = [after - before for before, after in pairwise(times)]

    assert 10 <= len(times) <= 18
    assert all(pause <= 64 * 1.1 for pause in pauses)
    assert pauses[0] < pauses[1] < pauses[2]


def test_a_request_without_an_answer_begins_anew() -> None:
    machine = a_machine()
    discover = sent(machine.begin(a_moment(0.0)))
    machine.hear(a_reply(discover, MessageKind.OFFER), a_moment(0.0))

    kinds = [sent([action]).kind for _, action in run_until(machine, 20.0)]

    assert kinds[:4] == [MessageKind.REQUEST] * 3 + [MessageKind.DISCOVER]


def test_a_lease_counts_from_its_request() -> None:
    machine = a_machine()
    discover = sent(machine.begin(a_moment(0.0)))
    request = sent(machine.hear(a_reply(discover, MessageKind.OFFER), a_moment(40.0)))

    (bind,) = machine.hear(a_reply(request, MessageKind.ACK), a_moment(40.9))

    assert isinstance(bind, Bind)
    assert (bind.lease.began_s, machine.wake_s) == (40.0, 40.0 + LEASE_S / 2)


def test_it_is_renewed_from_its_server_then_from_any_until_it_ends() -> None:
    machine = a_machine()
    to_bound(machine)

    done = run_until(machine, LEASE_S + 5.0)
    sends = [(now_s, action) for now_s, action in done if isinstance(action, Send)]
    renewals = [action for now_s, action in sends if now_s < LEASE_S * 0.875]
    rebinds = [action for now_s, action in sends if LEASE_S * 0.875 <= now_s < LEASE_S]

    assert {action.to for action in renewals} == {"192.0.2.1"}
    assert {action.to for action in rebinds} == {""}
    assert {action.message.own for action in (*renewals, *rebinds)} == {OWN}
    assert len(sends) < 25
    assert [row for row in done if isinstance(row[1], Unbind)] == [
        (LEASE_S, Unbind("it has ended"))
    ]
    assert sends[-1][1].message.kind == MessageKind.DISCOVER
    assert sends[-1][1].message.options[DhcpOption.REQUESTED] == OWN


def test_a_renewal_is_for_the_whole_term_again() -> None:
    machine = a_machine()
    to_bound(machine)
    request = sent(machine.wake(a_moment(1800.0)))

    (bind,) = machine.hear(a_reply(request, MessageKind.ACK), a_moment(1801.0))

    assert isinstance(bind, Bind)
    assert bind.lease.left_s(1800.0) == LEASE_S
    assert machine.stage is DhcpStage.BOUND


def test_a_former_lease_is_requested_first_and_used_without_an_answer() -> None:
    machine = a_machine(a_lease())

    first = sent(machine.begin(a_moment(100.0)))
    done = run_until(machine, 130.0, 100.0)
    (bind,) = [action for _, action in done if isinstance(action, Bind)]
    rest = [action for _, action in done if isinstance(action, Send)]

    assert (first.kind, first.own) == (MessageKind.REQUEST, bytes(4))
    assert first.options[DhcpOption.REQUESTED] == OWN
    assert DhcpOption.SERVER not in first.options
    assert not bind.is_confirmed
    assert not machine.is_confirmed
    assert {action.message.kind for action in rest[2:]} == {MessageKind.DISCOVER}
    assert {action.message.options[DhcpOption.REQUESTED] for action in rest} == {OWN}
    assert bind.lease.address == "192.0.2.100"


def test_a_lease_in_use_is_confirmed_by_a_later_answer() -> None:
    machine = a_machine(a_lease())
    machine.begin(a_moment(100.0))
    done = run_until(machine, 130.0, 100.0)
    discover = sent([done[-1][1]])
    request = sent(machine.hear(a_reply(discover, MessageKind.OFFER), a_moment(131.0)))

    (bind,) = machine.hear(a_reply(request, MessageKind.ACK), a_moment(131.0))

    assert isinstance(bind, Bind)
    assert machine.is_confirmed


def test_an_ended_lease_is_not_used_but_its_address_is_requested() -> None:
    machine = a_machine(a_lease())

    first = sent(machine.begin(a_moment(LEASE_S + 1.0)))

    assert first.kind == MessageKind.DISCOVER
    assert first.options[DhcpOption.REQUESTED] == OWN


@pytest.mark.parametrize("now_s", [100.0, 1800.0])
def test_a_refusal_ends_a_lease_and_its_address_is_not_requested_again(now_s: float) -> None:
    machine = a_machine(a_lease())
    request = sent(machine.begin(a_moment(now_s)))

    actions = machine.hear(a_reply(request, MessageKind.NAK), a_moment(now_s))
    discover = sent(machine.wake(a_moment(now_s + 2)))

    assert actions == [Unbind("192.0.2.1 refuses it")]
    assert DhcpOption.REQUESTED not in discover.options


def test_refusals_make_no_storm() -> None:
    machine = a_machine()
    discover = sent(machine.begin(a_moment(0.0)))
    now_s, count = 0.0, 0
    while now_s < 600.0:
        request = sent(machine.hear(a_reply(discover, MessageKind.OFFER), a_moment(now_s)))
        machine.hear(a_reply(request, MessageKind.NAK), a_moment(now_s))
        now_s, count = machine.wake_s, count + 1
        discover = sent(machine.wake(a_moment(now_s)))

    assert count < 20


def test_another_server_cannot_end_a_request_nor_answer_it() -> None:
    machine = a_machine()
    discover = sent(machine.begin(a_moment(0.0)))
    request = sent(machine.hear(a_reply(discover, MessageKind.OFFER), a_moment(0.0)))

    for kind in (MessageKind.NAK, MessageKind.ACK):
        assert machine.hear(a_reply(request, kind, server=OTHER), a_moment(0.1)) == []
    assert machine.stage is DhcpStage.REQUESTING


def test_messages_of_other_exchanges_are_ignored() -> None:
    machine = a_machine()
    discover = sent(machine.begin(a_moment(0.0)))
    offer = a_reply(discover, MessageKind.OFFER)
    strange = (
        replace(offer, xid=offer.xid ^ 1),
        replace(offer, mac=bytes(6)),
        replace(offer, is_reply=False),
        replace(offer, options={}),
        a_reply(discover, MessageKind.ACK),
    )

    assert [machine.hear(message, a_moment(0.1)) for message in strange] == [[]] * 5


def test_a_malformed_offer_counts_and_is_ignored() -> None:
    machine = a_machine()
    discover = sent(machine.begin(a_moment(0.0)))

    assert machine.hear(a_reply(discover, MessageKind.OFFER, server=b""), a_moment(0.1)) == []
    assert machine.counts.malformed == 1


def test_a_carrier_that_is_back_asks_for_the_same_lease() -> None:
    machine = a_machine()
    to_bound(machine)

    request = sent(machine.begin(a_moment(60.0)))

    assert machine.stage is DhcpStage.REBOOTING
    assert request.options[DhcpOption.REQUESTED] == OWN


def test_a_bond_that_takes_another_mac_keeps_its_id() -> None:
    machine = a_machine()
    to_bound(machine)
    machine.mac = bytes(5) + b"\x07"

    request = sent(machine.wake(a_moment(1800.0)))

    assert request.mac == machine.mac
    assert request.options[DhcpOption.CLIENT_ID] == ID


def unanswered(machine: Machine, now_s: float = 100.0) -> DhcpMessage:
    """Have a lease of before used without an answer; return the DISCOVER behind it."""
    machine.begin(a_moment(now_s))
    done = run_until(machine, now_s + 10.0, now_s)
    assert machine.stage is DhcpStage.SELECTING
    return sent([done[-1][1]])


def an_offer(asked: DhcpMessage, address: str, server: bytes = OTHER) -> DhcpMessage:
    offer = a_reply(asked, MessageKind.OFFER, server=server)
    return replace(offer, given=IPv4Address(address).packed)


def test_a_refused_offer_ends_no_lease_that_is_in_use() -> None:
    machine = a_machine(a_lease())
    discover = unanswered(machine)
    request = sent(machine.hear(an_offer(discover, "192.0.2.100"), a_moment(111.0)))

    refused = machine.hear(a_reply(request, MessageKind.NAK, server=OTHER), a_moment(111.0))

    assert refused == []
    assert machine.lease == a_lease()
    assert machine.stage is DhcpStage.PAUSING


@pytest.mark.parametrize(
    ("address", "server", "now_s", "is_taken"),
    [
        ("192.0.2.100", OTHER, 111.0, True),
        ("192.0.2.101", OTHER, 111.0, False),
        ("192.0.2.101", OTHER, 900.0, False),
        ("192.0.2.101", SERVER, 111.0, True),
        ("198.51.100.7", OTHER, 111.0, False),
        ("198.51.100.7", OTHER, 161.0, True),
        ("192.0.2.101", OTHER, LEASE_S * 0.9, True),
    ],
)
def test_while_a_lease_is_in_use_another_address_is_taken_late(
    address: str, server: bytes, now_s: float, *, is_taken: bool
) -> None:
    machine = a_machine(a_lease())
    discover = unanswered(machine)

    actions = machine.hear(an_offer(discover, address, server), a_moment(now_s))

    assert bool(actions) == is_taken
    assert (machine.stage is DhcpStage.REQUESTING) == is_taken


def test_a_lease_without_an_answer_is_renewed_when_it_is_time() -> None:
    machine = a_machine(a_lease())
    unanswered(machine)

    asked = [
        (at_s, action.to)
        for at_s, action in run_until(machine, LEASE_S - 1.0, 120.0)
        if isinstance(action, Send) and action.message.kind == MessageKind.REQUEST
    ]

    assert {to for at_s, to in asked if at_s < LEASE_S * 0.875} == {"192.0.2.1"}
    assert {to for at_s, to in asked if at_s >= LEASE_S * 0.875} == {""}
    assert min(at_s for at_s, _ in asked) >= LEASE_S / 2


def test_a_lease_in_use_is_confirmed_by_its_own_server() -> None:
    machine = a_machine(a_lease())
    unanswered(machine)
    done = run_until(machine, LEASE_S / 2 + 70.0, 120.0)
    request = sent([done[-1][1]])

    (bind,) = machine.hear(a_reply(request, MessageKind.ACK), a_moment(LEASE_S / 2 + 71.0))

    assert isinstance(bind, Bind)
    assert machine.is_confirmed
    assert machine.stage is DhcpStage.BOUND


@pytest.mark.parametrize("kind", [MessageKind.ACK, MessageKind.NAK])
def test_a_renewal_is_answered_by_the_server_that_was_asked(kind: MessageKind) -> None:
    machine = a_machine()
    to_bound(machine)
    request = sent(machine.wake(a_moment(1800.0)))

    assert machine.hear(a_reply(request, kind, server=OTHER), a_moment(1801.0)) == []
    assert machine.stage is DhcpStage.RENEWING


@pytest.mark.parametrize("now_s", [1800.0, LEASE_S * 0.9])
def test_an_acknowledgement_of_another_address_ends_the_former_one_in_words(now_s: float) -> None:
    machine = a_machine()
    to_bound(machine)
    for at_s in sorted({1800.0, now_s}):
        request = sent(machine.wake(a_moment(at_s)))
    other = replace(a_reply(request, MessageKind.ACK), given=IPv4Address("192.0.2.7").packed)

    stranger = replace(other, options={**other.options, int(DhcpOption.SERVER): OTHER})
    ignored = machine.hear(stranger, a_moment(now_s))
    unbind, bind = machine.hear(other, a_moment(now_s))

    assert ignored == []
    assert unbind == Unbind("192.0.2.1 gives 192.0.2.7 rather than 192.0.2.100")
    assert isinstance(bind, Bind)
    assert bind.lease.address == "192.0.2.7"


def test_a_strangers_refusal_waits_for_the_own_servers_answer() -> None:
    machine = a_machine(a_lease())
    request = sent(machine.begin(a_moment(100.0)))

    assert machine.hear(a_reply(request, MessageKind.NAK, server=OTHER), a_moment(100.1)) == []
    (bind,) = machine.hear(a_reply(request, MessageKind.ACK), a_moment(100.2))

    assert isinstance(bind, Bind)
    assert machine.lease


def test_a_strangers_refusal_counts_when_the_own_server_is_silent() -> None:
    machine = a_machine(a_lease())
    request = sent(machine.begin(a_moment(100.0)))
    text = b"wrong network\n" + b"x" * 200
    machine.hear(a_reply(request, MessageKind.NAK, server=OTHER, text=text), a_moment(100.1))

    done = run_until(machine, 110.0, 100.1)
    (unbind,) = [action for _, action in done if isinstance(action, Unbind)]

    assert unbind.why == "192.0.2.66 refuses it: wrong network?" + "x" * 50
    assert not [action for _, action in done if isinstance(action, Bind)]


def test_a_lease_in_use_is_restored_before_it_is_requested_again() -> None:
    machine = a_machine()
    lease = to_bound(machine)

    first, second = machine.begin(a_moment(60.0))

    assert first == Bind(lease, is_confirmed=False)
    assert isinstance(second, Send)
    assert machine.stage is DhcpStage.REBOOTING


def test_a_lease_of_the_boot_before_is_requested_before_it_is_used() -> None:
    assert len(a_machine(a_lease()).begin(a_moment(60.0))) == 1


def test_a_lease_that_ends_while_any_server_is_sought_ends_in_time() -> None:
    machine = a_machine(a_lease())
    unanswered(machine)
    run_until(machine, LEASE_S - 1.0, 120.0)

    assert isinstance(machine.wake(a_moment(LEASE_S))[0], Unbind)
