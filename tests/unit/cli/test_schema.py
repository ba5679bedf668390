import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as some
from jsonschema import Draft202012Validator

from sriovbond.bond.kinds import INT_MAX
from sriovbond.bond.options import MEMBER_OPTIONS, OPTIONS, Option
from sriovbond.bond.ownkeys import OWN_FIELDS
from sriovbond.bond.patterns import digits
from sriovbond.bond.schema import camel_case, json_schema
from sriovbond.bond.selector import SELECTORS
from sriovbond.cli import sriovbond
from sriovbond.errors import ConfigError
from tests.support import examples
from tests.support.builders import a_netconf

LINKS = [{"name": "net1", "prio": "-5", "queueId": 2}, {"name": "net2", "priority": 1}]


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    answer = CliRunner().invoke(sriovbond, ["schema"])
    assert answer.exit_code == 0
    printed: dict[str, Any] = json.loads(answer.stdout)
    return printed


GOOD: tuple[dict[str, Any], ...] = (
    {},
    {"mode": "active-backup", "miimon": "100", "failOverMac": 1, "links": LINKS, "mtu": 0},
    {"mode": 1, "miimon": 100, "fail_over_mac": "auto", "mtu": "1500"},
    {"mode": "lacp", "lacpRate": 1, "lacp_active": True, "adActorSystem": "02:00:00:00:00:01"},
    {"arp_interval": "200", "arp_ip_target": ["192.0.2.1"], "arpValidate": 3},
    {"arp_interval": 200, "ns_ip6_target": "2001:db8::1,2001:db8::2"},
    {"policy": "strict", "memberAddresses": "keep", "minMembers": "1", "logFile": "/var/log/b"},
    {"mac": "02:00:00:00:00:01", "linksInContainer": True, "links": LINKS},
    {"ipam": {"type": "host-local"}, "name": "net", "dns": {}, "vlan": 7},
    {"mode": " Active-Backup ", "miimon": " +100", "mtu": "00", "FAIL-OVER-MAC": "01"},
    {"miimon": 100.0, "mode": 1.0, "mtu": None, "links": None, "policy": None, "lacp_rate": None},
    {"links": [{"Name": "net1", "network": None}, {"PF": "ens*"}]},
    {"mac": " 02:00:00:00:00:0A "},
    {"ipam": {"type": "calico-ipam"}, "policy": {"type": "k8s"}},
)  # fmt: skip
BAD: tuple[dict[str, Any], ...] = (
    {"mode": "fast"},
    {"mode": 7},
    {"mode": True},
    {"miimon": "soon"},
    {"miimon": -1},
    {"miimon": True},
    {"failOverMac": 3},
    {"arpIpTarget": []},
    {"arpIpTarget": [7]},
    {"ad_actor_system": "02-00-00-00-00-01"},
    {"policy": "lax"},
    {"policy": {"type": "k8s"}},
    {"Policy": {"type": "k8s"}, "ipam": {"type": "static"}},
    {"policy": "lax", "ipam": {"type": "calico-ipam"}},
    {"memberAddresses": 1},
    {"minMembers": 0},
    {"mac": "x"},
    {"mtu": -1},
    {"mtu": 1.5},
    {"logFile": "relative"},
    {"links": ["net1"]},
    {"links": [{}]},
    {"links": [{"name": "n" * 128}]},
    {"links": [{"name": "net1", "queueId": 65536}]},
    {"linksInContainer": 7},
    {"links": []},
    {"links": [{"name": None, "prio": 1}]},
    {"links": [{"Name": ""}]},
    {"MODE": "fast"},
    {"Min_Members": 0},
    {"miimon": "2147483648"},
    {"ad_actor_system": "01:00:5e:00:00:01", "mode": 4},
    {"mac": "00:00:00:00:00:00"},
    {"arp_ip_target": "nonsense", "arp_interval": 100},
    {"arp_ip_target": ["127.0.0.1"], "arp_interval": 100},
    {"arp_ip_target": ["192.0.2.1", "192.0.2.1"], "arp_interval": 100},
    {"primary": " "},
    {"mtu": 67},
    {"slaves": ["net1"]},
    {"active_slave": "net1"},
)


def test_the_schema_is_one(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("keys", GOOD, ids=json.dumps)
def test_schema_and_plugin_both_take_a_good_configuration(
    schema: dict[str, Any], keys: dict[str, Any]
) -> None:
    a_netconf(**keys)

    Draft202012Validator(schema).validate(keys)


@pytest.mark.parametrize("keys", BAD, ids=json.dumps)
def test_schema_and_plugin_both_refuse_a_bad_configuration(
    schema: dict[str, Any], keys: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError):
        a_netconf(**keys)

    assert not Draft202012Validator(schema).is_valid(keys)


NUMBERS = [
    0,
    1,
    2,
    5,
    10,
    67,
    68,
    255,
    256,
    1023,
    1024,
    65535,
    65536,
    300_000,
    INT_MAX,
    INT_MAX + 1,
]
ADDRESSES = """192.0.2.1 192.0.2.2 255.255.255.255 255.255.255.254 126.0.0.1 0.1.2.3 127.0.0.1
    224.0.0.1 192.0.2.01 192.0.2.256 1.2.3 x""".split()  # noqa: SIM905 - so it is shorter


def respelled(text: str) -> some.SearchStrategy[str]:
    """Write a text with capitals, zeros, a sign or white space, or with a letter too many."""
    forms = (str, str.upper, str.title, " {}".format, "{}\t".format, "0{}".format, "+{}".format,
        "-{}".format, "{}x".format, f"{'0' * 30}{{}}".format)  # fmt: skip
    return some.sampled_from([form(text) for form in forms])


def values(row: Option) -> some.SearchStrategy[Any]:
    """Return what is near the values of an option, right and wrong."""
    names = [*getattr(row.kind, "numbers", ()), *getattr(row.kind, "aliases", ())]
    texts = [*names, *getattr(row.kind, "ours", ()), *map(str, NUMBERS), *ADDRESSES, "net1",
        "02:00:00:00:00:0a", "01:00:00:00:00:01", "00:00:00:00:00:00"]  # fmt: skip
    scalars: some.SearchStrategy[Any] = some.one_of(
        some.sampled_from(texts).flatmap(respelled),
        some.sampled_from([*NUMBERS, *(-number for number in NUMBERS)]),
        some.sampled_from([None, True, False, 1.0, 1.5, {}]),
        some.integers(),
        some.text(max_size=6),
    )
    joined = some.lists(some.sampled_from([*ADDRESSES, " 192.0.2.9 ", ""]), max_size=3).map(
        ",".join
    )
    return some.one_of(scalars, joined, some.lists(scalars, max_size=3))


def parses(row: Option, value: object) -> bool:
    try:
        return value is None or row.kind.parse(value) is not None
    except ValueError as fault:
        # only for identical spellings the schema detects it
        return "names an address twice" in str(fault) and not has_same_items(value)


def has_same_items(value: object) -> bool:
    return isinstance(value, list) and len(set(value)) < len(value)


@pytest.mark.parametrize("row", [*OPTIONS, *MEMBER_OPTIONS], ids=lambda row: row.name)
@settings(max_examples=examples.at_most(50))  # for each of forty rows
@given(some.data())
def test_an_options_schema_accepts_exactly_the_values_that_parsing_accepts(
    row: Option, data: some.DataObject
) -> None:
    value = data.draw(values(row))

    is_valid = is_in(MEMBERS if row in MEMBER_OPTIONS else KEYS, row.name, value)

    if row.name == "ns_ip6_target":
        assert is_valid or not parses(row, value)
    else:
        assert is_valid is parses(row, value)


KEYS: dict[str, Any] = json.loads(json.dumps(json_schema()))["properties"]
MEMBERS: dict[str, Any] = json.loads(json.dumps(json_schema()))["$defs"]["LinkSelector"][
    "properties"
]


def is_in(schemas: dict[str, Any], key: str, value: object) -> bool:
    return bool(Draft202012Validator(schemas[key]).is_valid(value))


OWN: dict[str, list[Any]] = {
    "minMembers": ["1", "0", 0, 1, 2.0, "+7", " 3 ", True, [], "x", INT_MAX + 1],
    "mtu": [0, "0", "-0", "000", 67, 68, "68", "067", 1500.0, 1.5, -1, "x", False],
    "mac": ["02:00:00:00:00:01", " 0A:00:00:00:00:01\n", "01:00:00:00:00:01", "", 7],
    "memberAddresses": ["flush", "FLUSH", "drop", 1],
    "redundancy": ["require", "prefer", "Off", ""],
    "redundancyLevel": ["pf", "nic", "node"],
    "policy": ["strict", "default", "warn", "Strict", {}],
    "logFile": ["/var/log/x", "/", "x", "", 7],
    "linksInContainer": [True, "true", 1, []],
    "switchLag": [True, False, "true", 0],
    "links": ["auto", "AUTO", [], {}, "net1"],
}


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, found in OWN.items() for value in (*found, None)]
)
@pytest.mark.parametrize("spell", [str, str.upper, lambda key: f"_{key.lower()}-"])
def test_schema_and_plugin_agree_on_a_key_of_ours_in_each_spelling(
    schema: dict[str, Any], key: str, value: object, spell: Callable[[str], str]
) -> None:
    given_keys = {spell(key): value}
    try:
        a_netconf(**given_keys)
        is_taken = True
    except ConfigError:
        is_taken = False

    assert Draft202012Validator(schema).is_valid(given_keys) is is_taken


def test_every_key_of_ours_is_among_these() -> None:
    assert OWN.keys() == set(OWN_FIELDS.values())


@pytest.mark.parametrize(
    ("least", "most"), [(0, 0), (0, 9), (1, 255), (68, 1023), (5, 65535), (99, 100), (240, 255)]
)
def test_the_pattern_of_a_range_takes_its_numbers_and_no_others(least: int, most: int) -> None:
    pattern = re.compile(digits(least, most))

    taken = [number for number in range(70_000) if pattern.fullmatch(str(number))]

    assert taken == list(range(least, most + 1))


def every_key() -> Iterator[str]:
    yield from OWN_FIELDS.values()
    for row in OPTIONS:
        yield from (row.name, camel_case(row.name), *row.aliases)


def test_every_key_is_in_the_schema_and_no_other(schema: dict[str, Any]) -> None:
    assert schema["properties"].keys() == set(every_key())


def test_every_option_of_a_member_is_in_the_schema(schema: dict[str, Any]) -> None:
    link = schema["$defs"]["LinkSelector"]["properties"]

    spelled = {key for row in MEMBER_OPTIONS for key in (row.name, camel_case(row.name))}
    assert link.keys() == {*SELECTORS, "priority"} | spelled


def test_every_key_is_described(schema: dict[str, Any]) -> None:
    assert [key for key, part in schema["properties"].items() if not part["description"]] == []
