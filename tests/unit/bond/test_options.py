import struct
from collections.abc import Iterator

import pytest

from sriovbond.bond.kinds import (
    INT_MAX,
    Addresses,
    Choice,
    Mac,
    MemberReference,
    Number,
    OptionValue,
)
from sriovbond.bond.options import (
    ALL,
    MEMBER_OPTIONS,
    OPTIONS,
    BondMode,
    Option,
    Setting,
    by_key,
    normal_key,
    option,
)

ROWS = (*OPTIONS, *MEMBER_OPTIONS)
NESTED = 0
KERNEL_WIDTHS = {  # bond_policy and bond_slave_policy, drivers/net/bonding/bond_netlink.c
    "mode": (1, 1),
    "miimon": (3, 4),
    "updelay": (4, 4),
    "downdelay": (5, 4),
    "use_carrier": (6, 1),
    "arp_interval": (7, 4),
    "arp_ip_target": (8, NESTED),
    "arp_validate": (9, 4),
    "arp_all_targets": (10, 4),
    "primary": (11, 4),
    "primary_reselect": (12, 1),
    "fail_over_mac": (13, 1),
    "xmit_hash_policy": (14, 1),
    "resend_igmp": (15, 4),
    "num_grat_arp": (16, 1),
    "all_slaves_active": (17, 1),
    "min_links": (18, 4),
    "lp_interval": (19, 4),
    "packets_per_slave": (20, 4),
    "lacp_rate": (21, 1),
    "ad_select": (22, 1),
    "ad_actor_sys_prio": (24, 2),
    "ad_user_port_key": (25, 2),
    "ad_actor_system": (26, 6),
    "tlb_dynamic_lb": (27, 1),
    "peer_notif_delay": (28, 4),
    "lacp_active": (29, 1),
    "arp_missed_max": (30, 1),
    "ns_ip6_target": (31, NESTED),
    "coupled_control": (32, 1),
    "broadcast_neighbor": (33, 1),
    "queue_id": (5, 2),
    "prio": (9, 4),
}
RANGES = {  # the tables of drivers/net/bonding/bond_options.c
    "peer_notif_delay": (0, 300_000),
    "arp_missed_max": (1, 255),
    "resend_igmp": (0, 255),
    "num_grat_arp": (0, 255),
    "lp_interval": (1, INT_MAX),
    "packets_per_slave": (0, 65535),
    "ad_actor_sys_prio": (1, 65535),
    "ad_user_port_key": (0, 1023),
    "queue_id": (0, 65535),
    "prio": (-INT_MAX - 1, INT_MAX),
    **dict.fromkeys(("miimon", "updelay", "downdelay", "arp_interval", "min_links"), (0, INT_MAX)),
}


def values(row: Option) -> Iterator[OptionValue]:
    """Yield values at the edges of what the row takes."""
    match row.kind:
        case Number(least, most):
            yield from (least, most)
        case Choice(numbers):
            yield from numbers
        case Addresses(family):
            first = 0x01010101 if row.name == "arp_ip_target" else 0x2001_0DB8 << 96
            yield tuple(str(family(first + place)) for place in range(16))
        case Mac():
            yield "02:00:00:00:00:fe"
        case MemberReference():
            yield 7


def test_the_table_has_every_option_that_the_kernel_lets_us_set() -> None:
    assert {row.name for row in ROWS} == KERNEL_WIDTHS.keys()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_number_and_width_are_the_kernels(row: Option) -> None:
    number, width = KERNEL_WIDTHS[row.name]

    assert row.number == number
    if width is not NESTED:
        assert {len(row.kind.encode(value)) for value in values(row)} == {width}


@pytest.mark.parametrize(("name", "bounds"), RANGES.items())
def test_the_range_is_the_kernels(name: str, bounds: tuple[int, int]) -> None:
    kind = option(name).kind

    assert isinstance(kind, Number)
    assert (kind.least, kind.most) == bounds


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_value_comes_back_from_its_bytes(row: Option) -> None:
    for value in values(row):
        assert row.kind.decode(row.kind.encode(value)) == value


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_takes_text_and_number_alike(row: Option) -> None:
    for value in values(row):
        if isinstance(row.kind, Number):
            assert row.kind.parse(str(value)) == row.kind.parse(value) == value
        elif isinstance(row.kind, Choice):
            number = row.kind.numbers[str(value)]
            forms = (value, str(value).upper(), number, str(number))
            assert {row.kind.parse(form) for form in forms} == {value}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@pytest.mark.parametrize("bad", [None, {}, 1.5, ""])
def test_every_row_says_what_it_wants(row: Option, bad: object) -> None:
    with pytest.raises(ValueError, match=r"is wanted|are wanted|is no IPv"):
        row.kind.parse(bad)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_has_effect_only_where_the_kernel_takes_it(row: Option) -> None:
    assert row.effective
    assert row.effective <= row.modes <= ALL


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_default_is_a_value_of_the_row(row: Option) -> None:
    if row.default:
        assert str(row.kind.parse(row.default)) == row.default


def test_modes_are_numbered_as_the_kernel_numbers_them() -> None:
    kind = option("mode").kind

    assert [kind.decode(struct.pack("B", number)) for number in range(7)] == list(BondMode)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("fail_over_mac", "fail_over_mac"),
        ("failOverMac", "fail_over_mac"),
        ("FAILOVERMAC", "fail_over_mac"),
        ("fail-over-mac", "fail_over_mac"),
        ("num_unsol_na", "num_grat_arp"),
        ("numUnsolNa", "num_grat_arp"),
        ("tlbDynamicLb", "tlb_dynamic_lb"),
        ("nsIp6Target", "ns_ip6_target"),
    ],
)
def test_a_key_in_any_case_finds_its_row(key: str, name: str) -> None:
    assert by_key(OPTIONS)[normal_key(key)].name == name


@pytest.mark.parametrize("rows", [OPTIONS, MEMBER_OPTIONS], ids=["bond", "member"])
def test_no_two_rows_share_a_number_or_a_key(rows: tuple[Option, ...]) -> None:
    keys = [normal_key(key) for row in rows for key in (row.name, *row.aliases)]

    assert len({row.number for row in rows}) == len(rows)
    assert len(set(keys)) == len(keys)


def test_a_setting_says_name_and_value() -> None:
    assert str(Setting("miimon", 100)) == "miimon 100"
    assert str(Setting("arp_ip_target", ("192.0.2.1", "192.0.2.2"))) == (
        "arp_ip_target 192.0.2.1,192.0.2.2"
    )
