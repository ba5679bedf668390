"""What ADD refuses for its request alone `validate` refuses, in the same words, and no more.

ADD is the real one, called as a runtime calls it, for a pod whose namespace does not exist: with a
valid configuration that is its error.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as some

from sriovbond import dispatch
from sriovbond.bond.config import parse_config
from sriovbond.bond.options import OPTIONS, BondMode, Option
from sriovbond.bond.ownkeys import Policy
from sriovbond.bond.plan import plan_bond
from sriovbond.bond.schema import camel_case
from sriovbond.bond.selection import choose
from sriovbond.cli import configurations
from sriovbond.cli.configurations import Configuration
from sriovbond.host import Host
from tests.support.builders import a_pf, a_vf, seen

CALL = {
    "CNI_COMMAND": "ADD",
    "CNI_CONTAINERID": "some-pod",
    "CNI_NETNS": "/run/netns/some-pod",
    "CNI_IFNAME": "bond0",
    "CNI_PATH": "/no/such/folder",
}
V4, V6 = "192.0.2.5/24", "2001:db8::5/64"
NAMES = ("net1", "net2", "net3", "a1", "net*", "*")
VALUES: dict[str, list[Any]] = {
    "mode": [*BondMode, 1, "4", "lacp", "tlb", "fast", True],
    "miimon": [0, 100, "200", -1, "soon"],
    "updelay": [0, 100, 150],
    "downdelay": [0, 200, "x"],
    "arp_interval": [0, 200],
    "arp_ip_target": [["192.0.2.1"], "192.0.2.1,192.0.2.2", [], ["192.0.2.300"]],
    "ns_ip6_target": [["2001:db8::1"], "fe80::1"],
    "primary": ["net1", "blue", ""],
    "ad_actor_system": ["02:00:00:00:00:01", "01:00:00:00:00:01"],
}
OWN: dict[str, list[Any]] = {
    "links": [None, "auto", [], "net1", ["net1"], [{}], [{"nme": "net1"}]],
    "minMembers": [0, 1, 2, 3, "1", None],
    "mtu": [0, 67, 500, 1279, 1280, "1500", 1.5],
    "mac": ["02:00:00:00:00:09", "01:00:00:00:00:09", ""],
    "linksInContainer": [True, False, None, "true"],
    "memberAddresses": ["flush", "refuse", "drop"],
    "redundancy": ["require", "off", "maybe"],
    "policy": ["strict", "warn", "lax", {"type": "k8s"}],
    "logFile": ["/var/log/bond", "bond"],
    "ipam": [
        {},
        {"type": "host-local", "subnet": "2001:db8::/64"},
        {"type": "static", "addresses": [{"address": V4}, {"address": V6}]},
        {"type": "calico-ipam"},
        {"type": "some-ipam"},
        {"type": "sriovbond"},
        {"type": "a/b"},
        {"type": 7},
        {"subnet": "192.0.2.0/24"},
        "static",
    ],
    "runtimeConfig": [{"ips": [V4]}, {"ips": [V6]}, {"mac": "02:00:00:00:00:08"}, {"mac": "zz"}],
    "dns": [{"nameservers": ["192.0.2.53"]}, {"search": 7}, []],
    "prevResult": [
        {"cniVersion": "1.0.0", "interfaces": [{"name": "bond0", "sandbox": "/x"}]},
        {"cniVersion": "1.0.0", "interfaces": [{"name": "eth0", "sandbox": "/x"}]},
        {"interfaces": 7},
    ],
    "slaves": [["net1", "net2"]],
    "vlan": [7],
    "nodename": ["worker"],
    "miimmon": [100],
    "name": ["net", "a/b", None],
    "cniVersion": ["1.1.0", "0.4.0", "", "9.9.9", None],
}


def examples(row: Option) -> list[Any]:
    return VALUES.get(row.name) or [0, 1, "2", "on", "none", 70000, {}]


def of_options(most: int) -> some.SearchStrategy[dict[str, Any]]:
    pairs = [
        some.tuples(
            some.sampled_from([row.name, camel_case(row.name), row.name.upper()]),
            some.sampled_from(examples(row)),
        )
        for row in OPTIONS
    ]
    return some.lists(some.one_of(pairs), max_size=most).map(dict)


def of_ours(most: int) -> some.SearchStrategy[dict[str, Any]]:
    pairs = [some.tuples(some.just(key), some.sampled_from(values)) for key, values in OWN.items()]
    return some.lists(some.one_of(pairs), max_size=most).map(dict)


def of_links() -> some.SearchStrategy[dict[str, Any]]:
    entry = some.fixed_dictionaries(
        {"name": some.sampled_from(NAMES)}, optional={"prio": some.sampled_from([1, "x"])}
    )
    lists = some.lists(entry, max_size=4).map(lambda links: {"links": links})
    return some.one_of(some.just({}), lists)


BASE = {"cniVersion": "1.0.0", "name": "net", "type": "sriovbond"}


def configured(most: int) -> some.SearchStrategy[dict[str, Any]]:
    """Return configurations with at most so many options, and keys of ours."""
    return some.tuples(of_links(), of_options(most), of_ours(most)).map(
        lambda parts: {**BASE, **parts[0], **parts[1], **parts[2]}
    )


def judged(config: dict[str, Any]) -> tuple[str, ...]:
    return configurations.judge(Configuration("", config), Path("/var/log")).faults


def added(config: dict[str, Any]) -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        where = Path(folder)
        host = Host(state=where / "state", run=where / "run", logs=where / "logs")
        answer = dispatch.answer(CALL, json.dumps(config).encode(), host)
    error: dict[str, Any] = json.loads(answer.stdout)
    return error


# each goes through a whole ADD, whose lock and log are files
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(configured(3))
def test_validate_and_add_refuse_the_same_in_the_same_words(config: dict[str, Any]) -> None:
    faults = judged(config)

    error = added(config)

    if faults:
        assert error["msg"] == faults[0]
    else:
        assert error["msg"].startswith("cannot open the namespace '/run/netns/some-pod'"), config


# most generated examples are refused
@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(configured(2))
def test_a_configuration_that_validate_accepts_can_be_planned_over_fitting_links(
    config: dict[str, Any],
) -> None:
    assume(not judged(config))
    parsed = parse_config(config)
    assume(parsed.links_in_container is not False)  # the allowed host links are the node's decision

    usual = replace(parsed, policy=Policy.DEFAULT)
    members = choose(usual, seen(list(fitting())))
    plan = plan_bond("bond0", with_a_member_as_primary(usual, members[0].name), members)

    assert len(plan.members) >= parsed.min_members


def fitting() -> Iterator[Any]:
    """Yield trusted VFs, each on a PF of its own."""
    for number, name in enumerate(("net1", "net2", "net3", "net4", "a1", "a2", "a3")):
        yield a_vf(name, pf=a_pf(number))


def with_a_member_as_primary(config: Any, member: str) -> Any:  # noqa: ANN401 - a NetConf
    named = [
        replace(one, value=member) if one.name == "primary" else one for one in config.settings
    ]
    return replace(config, settings=tuple(named))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"links": []}, "[too-few-links]"),
        ({"links": [{"name": "net1"}]}, "[too-few-links]"),
        ({"mtu": 500, "ipam": OWN["ipam"][2]}, "[address-needs-larger-mtu]"),
        (
            {"mtu": 500, "ipam": {"type": "static"}, "runtimeConfig": {"ips": [V6]}},
            "[address-needs-larger-mtu]",
        ),
        ({"links": [{"name": "net*"}, {"name": "net1"}]}, "[member-twice]"),
        ({"prevResult": OWN["prevResult"][0]}, "give the bond a network of its own [name-taken]"),
        ({"slaves": []}, "did you mean 'links'?"),
        ({"policy": "strict", "vlan": 7}, "[unknown-key]"),
        ({"policy": "strict", "cniVersion": ""}, "[cni-version-missing]"),
        ({"dns": {"search": 7}}, "cannot read stdin.dns.search"),
        ({"ipam": {"type": ".."}}, "expected the file name of an IPAM plugin"),
    ],
)
def test_a_configuration_that_no_node_could_take_is_refused_by_both(
    keys: dict[str, Any], words: str
) -> None:
    config = {**BASE, **keys}

    [fault] = judged(config)

    assert words in fault
    assert added(config)["msg"] == fault


@pytest.mark.parametrize(
    "keys", [{"policy": "strict", "vlan": 7}, {"dns": {"search": 7}}, {"links": []}]
)
def test_status_reports_the_error_that_every_add_would(keys: dict[str, Any]) -> None:
    config = {**BASE, "cniVersion": "1.1.0", **keys}
    call = {"CNI_COMMAND": "STATUS", "CNI_PATH": "/no/such/folder"}

    answer = dispatch.answer(call, json.dumps(config).encode(), Host(state=Path("/no/such")))

    assert (json.loads(answer.stdout)["msg"],) == judged(config)


def test_a_duplicate_key_is_refused_by_add() -> None:
    stdin = b'{"cniVersion": "1.0.0", "name": "net", "type": "sriovbond", "mode": 0, "mode": 1}'

    answer = dispatch.answer(CALL, stdin, Host(state=Path("/no/such/folder")))

    error = json.loads(answer.stdout)
    assert error["code"] == 7
    assert "the key 'mode' is duplicated, as 0 and as 1; remove one of them" in error["msg"]


def test_every_refusal_of_an_add_names_the_keys_that_were_ignored() -> None:
    message = added({**BASE, "vlan": 7})["msg"]

    assert message.startswith("cannot open the namespace")
    assert message.endswith("; unknown and ignored: 'vlan' [unknown-key]")


def test_a_strict_refusal_names_an_unknown_key_once() -> None:
    assert added({**BASE, "vlan": 7, "policy": "strict"})["msg"].count("unknown-key") == 1


def test_a_result_before_interfaces_were_named_leaves_the_judgement_to_the_pod() -> None:
    config = {**BASE, "cniVersion": "0.2.0", "prevResult": {"ip4": {"ip": V4}}}

    assert judged(config) == ()
