import json
import struct
from collections.abc import Iterator
from pathlib import Path

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
# what tests/vm/bonding_facts.py read in the newest kernel's source
KERNEL = json.loads((Path(__file__).parents[2] / "data" / "kernel" / "bonding.json").read_text())
ATTRIBUTES = KERNEL["attributes"]
BYTES = {"NLA_U8": 1, "NLA_U16": 2, "NLA_U32": 4, "NLA_S32": 4, "NLA_BINARY": 6, "NLA_NESTED": None}
SPEC_BYTES = {"u8": 1, "u16": 2, "u32": 4, "binary": 6, "indexed-array": None}
NAMED_OTHERWISE = {"num_grat_arp": "num_unsol_na"}  # one option with two names in sysfs
READ_ONLY = {
    "IFLA_BOND_AD_INFO",
    "IFLA_BOND_SLAVE_STATE",
    "IFLA_BOND_SLAVE_MII_STATUS",
    "IFLA_BOND_SLAVE_LINK_FAILURE_COUNT",
    "IFLA_BOND_SLAVE_PERM_HWADDR",
    "IFLA_BOND_SLAVE_AD_AGGREGATOR_ID",
    "IFLA_BOND_SLAVE_AD_ACTOR_OPER_PORT_STATE",
    "IFLA_BOND_SLAVE_AD_PARTNER_OPER_PORT_STATE",
    "IFLA_BOND_SLAVE_AD_CHURN_ACTOR_STATE",
    "IFLA_BOND_SLAVE_AD_CHURN_PARTNER_STATE",
}
EXCUSED = {"IFLA_BOND_ACTIVE_SLAVE": "a VF has no carrier yet at ADD: use primary"}
OBSOLETE = {"use_carrier"}  # since 6.18 the kernel takes only on, and it is no option of bonding's
RANGES = {  # the tables of drivers/net/bonding/bond_options.c
    "peer_notif_delay": (0, 300_000),
    "arp_missed_max": (1, 255),
    "resend_igmp": (0, 255),
    "num_grat_arp": (0, 255),
    "lp_interval": (1, INT_MAX),
    "packets_per_slave": (0, 65535),
    "ad_actor_sys_prio": (1, 65535),
    "ad_user_port_key": (0, 1023),
    "actor_port_prio": (1, 65535),  # bonding.rst; the kernel takes 0, too
    "queue_id": (0, 65535),
    "prio": (-INT_MAX - 1, INT_MAX),
    **dict.fromkeys(("miimon", "updelay", "downdelay", "arp_interval", "min_links"), (0, INT_MAX)),
}


def values(row: Option) -> Iterator[OptionValue]:
    """Yield values at the limits of the row's range."""
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


def attribute_of(row: Option) -> str:
    """Return the kernel's name of the attribute of that number."""
    prefix = "IFLA_BOND_SLAVE_" if row in MEMBER_OPTIONS else "IFLA_BOND_"
    (name,) = (
        name
        for name, facts in ATTRIBUTES.items()
        if facts["number"] == row.number
        and name.startswith(prefix)
        and (row in MEMBER_OPTIONS or not name.startswith("IFLA_BOND_SLAVE_"))
    )
    return str(name)


def test_each_attribute_of_the_newest_kernel_is_an_option_read_only_or_excused() -> None:
    options = {attribute_of(row) for row in ROWS}

    assert options | READ_ONLY | EXCUSED.keys() == ATTRIBUTES.keys()
    assert len(options) == len(ROWS)
    assert not options & (READ_ONLY | EXCUSED.keys())
    assert [name for name in READ_ONLY if ATTRIBUTES[name]["option"]] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_name_number_and_width_are_the_kernels(row: Option) -> None:
    facts = ATTRIBUTES[attribute_of(row)]

    if row.name not in OBSOLETE:
        assert facts["option"] == NAMED_OTHERWISE.get(row.name, row.name)
    width = BYTES[facts["width"]]
    if width is not None:
        assert {len(row.kind.encode(value)) for value in values(row)} == {width}
    if facts["spec"]:
        assert SPEC_BYTES[facts["spec"]] == width


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_words_of_an_option_are_the_kernels(row: Option) -> None:
    words = set(ATTRIBUTES[attribute_of(row)]["values"])

    if row.name not in OBSOLETE:
        assert words == (set(row.kind.numbers) if isinstance(row.kind, Choice) else set())


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
def test_every_row_says_which_value_it_expects(row: Option, bad: object) -> None:
    with pytest.raises(ValueError, match=r"expected |is no IPv"):
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
