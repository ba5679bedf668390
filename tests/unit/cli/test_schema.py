import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from sriovbond.bond.config import OWN_FIELDS
from sriovbond.bond.options import MEMBER_OPTIONS, OPTIONS
from sriovbond.bond.schema import camel_case
from sriovbond.bond.selector import SELECTORS
from sriovbond.cli import sriovbond
from sriovbond.errors import ConfigError
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
