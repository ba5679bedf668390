from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sriovbond.bond.kinds import (
    INT_MAX,
    Addresses,
    Choice,
    Mac,
    MemberReference,
    Number,
    ValueKind,
    switch,
    whole_number,
)

NUMBER = Number(0, 300)
CHOICE = Choice({"slow": 0, "fast": 1}, aliases={"quick": "fast"}, ours=("auto",))
TARGETS, NS_TARGETS = Addresses(IPv4Address), Addresses(IPv6Address)


@pytest.mark.parametrize(
    ("kind", "given_value", "value"),
    [
        (NUMBER, 100, 100),
        (NUMBER, "100", 100),
        (NUMBER, " 100 ", 100),
        (NUMBER, "+100", 100),
        (NUMBER, "000000000000100", 100),
        (Number(-5, 5), "-5", -5),
        (CHOICE, "fast", "fast"),
        (CHOICE, "FAST", "fast"),
        (CHOICE, " Fast ", "fast"),
        (CHOICE, "quick", "fast"),
        (CHOICE, 1, "fast"),
        (CHOICE, "1", "fast"),
        (CHOICE, "Auto", "auto"),
        (switch(), True, "on"),
        (switch(), False, "off"),
        (switch(), 1, "on"),
        (switch(), "0", "off"),
        (switch(), "On", "on"),
        (TARGETS, ["192.0.2.1"], ("192.0.2.1",)),
        (TARGETS, "192.0.2.1, 192.0.2.2", ("192.0.2.1", "192.0.2.2")),
        (NS_TARGETS, ["2001:DB8:0::1"], ("2001:db8::1",)),
        (Mac(), "02:AA:00:00:00:01", "02:aa:00:00:00:01"),
        (MemberReference(), " net1 ", "net1"),
    ],
)
def test_every_form_that_an_operator_writes_is_taken(
    kind: ValueKind, given_value: object, value: object
) -> None:
    assert kind.parse(given_value) == value


@pytest.mark.parametrize(
    ("kind", "given_value", "wanted"),
    [
        (NUMBER, 301, "expected a number from 0 to 300, found 301"),
        (NUMBER, -1, "found -1"),
        (NUMBER, "ten", "found 'ten'"),
        (NUMBER, "", "found ''"),
        (NUMBER, 1.5, "found 1.5"),
        (NUMBER, True, "found True"),
        (NUMBER, [1], "found [1]"),
        (NUMBER, "9" * 5000, "expected a number from 0 to 300"),
        (NUMBER, "٣", "found '٣'"),
        (CHOICE, "rapid", "expected one of auto, slow (0), fast (1), found 'rapid'"),
        (CHOICE, 2, "found 2"),
        (CHOICE, True, "found True"),
        (CHOICE, ["fast"], "found ['fast']"),
        (switch(), "yes", "expected one of off (0), on (1), found 'yes'"),
        (TARGETS, [], "expected 1 to 16 IPv4 addresses, found []"),
        (TARGETS, 5, "found 5"),
        (TARGETS, [5], "found 5"),
        (TARGETS, "", "'' is no IPv4 address"),
        (TARGETS, ["2001:db8::1"], "'2001:db8::1' is no IPv4 address"),
        (TARGETS, ["192.0.2.1/24"], "'192.0.2.1/24' is no IPv4 address"),
        (TARGETS, ["192.0.2.1", "192.0.2.1"], "names an address twice"),
        (TARGETS, [f"192.0.2.{n}" for n in range(17)], "expected 1 to 16 IPv4 addresses"),
        (NS_TARGETS, ["192.0.2.1"], "'192.0.2.1' is no IPv6 address"),
        (Mac(), "02-00-00-00-00-01", "expected a MAC address such as 02:00:00:00:00:01"),
        (Mac(), 2, "found 2"),
        (Mac(), "01:00:5e:00:00:01", ", a group's or all zero"),
        (Mac(), "00:00:00:00:00:00", ", a group's or all zero"),
        (MemberReference(), "", "expected a member's interface name, altname or PCI address"),
        (MemberReference(), 3, "found 3"),
    ],
)
def test_a_refusal_has_the_found_and_the_expected_value(
    kind: ValueKind, given_value: object, wanted: str
) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the words are looked at below
        kind.parse(given_value)

    assert wanted in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (TARGETS, "0.0.0.0"),  # noqa: S104 - nothing is bound
        (TARGETS, "0.1.2.3"),  # ipv4_is_zeronet() in bond_is_ip_target_ok()
        (TARGETS, "255.255.255.255"),
        (TARGETS, "224.0.0.1"),
        (TARGETS, "127.0.0.1"),
        (NS_TARGETS, "::"),
        (NS_TARGETS, "::1"),
        (NS_TARGETS, "ff02::1"),
        (NS_TARGETS, "fe80::1"),  # bond_changelink() refuses link-local targets
        (NS_TARGETS, "2001:db8::1%eth0"),
    ],
)
def test_a_target_that_cannot_answer_is_refused(kind: Addresses, target: str) -> None:
    with pytest.raises(ValueError, match="cannot answer a probe: name a host's own address"):
        kind.parse([target])


@given(st.integers(0, 255), st.integers(0, 65535), st.integers(0, INT_MAX))
def test_numbers_come_back_from_their_bytes(small: int, middle: int, large: int) -> None:
    for width, number in ((1, small), (2, middle), (4, large)):
        kind = Number(0, INT_MAX, width=width)

        assert len(kind.encode(number)) == width
        assert kind.decode(kind.encode(number)) == number


@given(st.integers(-INT_MAX - 1, INT_MAX))
def test_signed_numbers_come_back_from_their_bytes(number: int) -> None:
    kind = Number(-INT_MAX - 1, INT_MAX)

    assert kind.decode(kind.encode(number)) == number


@given(st.lists(st.ip_addresses(v=4).map(str), min_size=1, max_size=16, unique=True))
def test_ipv4_targets_come_back_in_their_order(texts: list[str]) -> None:
    assert TARGETS.decode(TARGETS.encode(tuple(texts))) == tuple(texts)


@given(st.lists(st.ip_addresses(v=6).map(str), min_size=1, max_size=16, unique=True))
def test_ipv6_targets_come_back_in_their_order(texts: list[str]) -> None:
    assert NS_TARGETS.decode(NS_TARGETS.encode(tuple(texts))) == tuple(texts)


@given(st.binary(min_size=6, max_size=6))
def test_macs_are_six_raw_bytes(raw: bytes) -> None:
    assert Mac().encode(raw.hex(":")) == raw
    assert Mac().decode(raw) == raw.hex(":")


@given(st.binary(max_size=80))
def test_no_payload_of_nested_targets_hangs_or_breaks_the_reader(payload: bytes) -> None:
    try:
        TARGETS.decode(payload)
    except ValueError:  # AddressValueError: no 4 bytes
        return


def test_a_number_that_no_name_has_shows_up_as_itself() -> None:
    assert CHOICE.decode(b"\x07") == 7


@pytest.mark.parametrize("space", [" ", "\n", "\x1f", "\x85"])
def test_white_space_around_a_number_means_nothing(space: str) -> None:
    assert whole_number(f"{space}5{space}") == 5


@given(st.one_of(st.none(), st.booleans(), st.floats(), st.text(), st.lists(st.integers())))
def test_a_text_that_is_no_integer_gives_none(value: object) -> None:
    number = whole_number(value)

    assert number is None or (isinstance(value, str | float) and int(value) == number)
