import contextlib
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sriovbond.bond.config import NetConf, parse_config
from sriovbond.bond.keys import IGNORED_KEYS
from sriovbond.bond.kinds import Number
from sriovbond.bond.options import OPTIONS, BondMode, Option
from sriovbond.bond.ownkeys import MemberAddresses, Policy
from sriovbond.bond.rules import Level
from sriovbond.bond.schema import camel_case
from sriovbond.errors import ConfigError
from tests.support.builders import a_netconf

LINKS = [{"name": "net1"}, {"name": "net2"}]
IPAM = {"type": "host-local", "subnet": "198.51.100.0/24", "routes": [{"dst": "0.0.0.0/0"}]}


def value(config: NetConf, name: str) -> object:
    return next((one.value for one in config.settings if one.name == name), None)


def refused(**keys: object) -> str:
    with pytest.raises(ConfigError) as caught:
        a_netconf(**keys)
    return caught.value.message


def warned(config: NetConf) -> list[str]:
    return [warning.rule for warning in config.warnings]


# Like those of bond-cni's README and of OpenShift's documentation, with only `type` changed.
BOND_CNI: dict[str, dict[str, Any]] = {
    "over links of the pod": {
        "mode": "active-backup",
        "failOverMac": 1,
        "linksInContainer": True,
        "miimon": "100",
        "mtu": 1500,
        "links": LINKS,
        "ipam": IPAM,
    },
    "over links of the host": {
        "mode": "active-backup",
        "miimon": "100",
        "mtu": 1400,
        "failOverMac": 1,
        "allSlavesActive": 0,
        "links": [{"name": "ens1f0v1"}, {"name": "ens1f1v1"}],
    },
    "without IPAM": {"mode": "balance-rr", "miimon": "100", "links": LINKS, "ipam": {}},
    "with a dozen links": {
        "mode": "balance-xor",
        "miimon": "50",
        "xmitHashPolicy": "layer3+4",
        "links": [{"name": f"net{number}"} for number in range(12)],
    },
    "tlb": {"mode": "balance-tlb", "miimon": "100", "tlbDynamicLb": 0, "links": LINKS},
    "alb": {"mode": "balance-alb", "miimon": "100", "tlbDynamicLb": 1, "links": LINKS},
    "lacp": {"mode": "802.3ad", "miimon": "100", "xmitHashPolicy": "layer2+3", "links": LINKS},
    "broadcast": {"mode": "broadcast", "miimon": "100", "links": LINKS},
    "mtu 0": {"mode": "active-backup", "miimon": "100", "mtu": 0, "links": LINKS},
    "without monitoring": {"mode": "active-backup", "miimon": "0", "links": LINKS},
    "failOverMac without effect": {
        "mode": "balance-rr",
        "miimon": "100",
        "failOverMac": 1,
        "links": LINKS,
    },
    "as Multus hands it on": {
        "cniVersion": "0.3.1",
        "mode": "active-backup",
        "failOverMac": 2,
        "allSlavesActive": 1,
        "miimon": "100",
        "links": LINKS,
        "dns": {"nameservers": ["192.0.2.53"]},
        "deviceID": "0000:01:10.0",
        "capabilities": {"mac": True, "ips": True},
        "runtimeConfig": {},
        "args": {"cni": {"ips": []}},
    },
    "as flannel hands it on": {
        "mode": "active-backup",
        "miimon": "100",
        "links": LINKS,
        "ipMasq": False,
        "isGateway": True,
        "hairpinMode": True,
        "ipam": IPAM,
    },
    "with what Go's JSON passes over": {
        "MODE": "active-backup",
        "Miimon": "+100",
        "mtu": None,
        "failOverMac": None,
        "allSlavesActive": None,
        "ipam": {"type": None},
        "links": [{"name": "net1", "comment": "left"}, {"name": "net2"}],
    },
}


@pytest.mark.parametrize("keys", BOND_CNI.values(), ids=BOND_CNI)
def test_a_working_configuration_of_bond_cni_parses(keys: dict[str, Any]) -> None:
    config = a_netconf(**keys)

    given_links = keys["links"]
    assert [link.name for link in config.links or ()] == [link["name"] for link in given_links]
    assert config.mode == keys.get("mode", "active-backup")
    assert value(config, "miimon") == int(keys.get("miimon", 100))
    assert config.mtu == (keys.get("mtu") or None)
    assert config.links_in_container is keys.get("linksInContainer")
    assert config.ipam_type == ((keys.get("ipam") or {}).get("type") or "")


def test_numbers_of_bond_cni_become_the_kernels_names() -> None:
    config = a_netconf(mode="balance-tlb", failOverMac=2, allSlavesActive=1, tlbDynamicLb=0)

    assert value(config, "fail_over_mac") == "follow"
    assert value(config, "all_slaves_active") == "on"
    assert value(config, "tlb_dynamic_lb") == "off"


@pytest.mark.parametrize("row", OPTIONS, ids=lambda row: row.name)
@pytest.mark.parametrize("spell", [str, camel_case, str.upper], ids=["kernel", "camel", "upper"])
def test_every_option_is_found_under_each_spelling(row: Option, spell: Any) -> None:  # noqa: ANN401
    config = a_netconf(**surroundings(row), **{spell(row.name): an_example(row)})

    assert value(config, row.name) == row.kind.parse(an_example(row))


def an_example(row: Option) -> object:
    examples: dict[str, object] = {
        "mode": "802.3ad",
        "miimon": "100",
        "arp_ip_target": ["192.0.2.1"],
        "ns_ip6_target": "2001:db8::1",
        "primary": "net1",
        "ad_actor_system": "02:00:00:00:00:01",
    }
    if row.name in examples:
        return examples[row.name]
    return 200 if isinstance(row.kind, Number) else 1


def surroundings(row: Option) -> dict[str, object]:
    """Return the options that the option requires."""
    mode = min(row.effective)
    if row.name.startswith(("arp_", "ns_")):
        beside = {"mode": mode, "arp_interval": 200, "arp_ip_target": ["192.0.2.1"]}
        return {name: given for name, given in beside.items() if name != row.name}
    return {} if row.name == "mode" else {"mode": mode}


@pytest.mark.parametrize("row", OPTIONS, ids=lambda row: row.name)
def test_a_bad_value_is_refused_with_key_finding_and_wish(row: Option) -> None:
    key = camel_case(row.name)

    message = refused(**{key: {"no": "value"}})

    assert f"{key}: expected {row.kind.words()}, " in message
    assert "found {'no': 'value'}" in message


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"mtu": "big"}, "mtu: expected a number from 1 to 2147483647, found 'big'"),
        ({"mtu": -1}, "mtu: expected a number from 1 to 2147483647, found -1"),
        ({"mtu": 67}, "an MTU of 67 is asked for, and the least is 68"),
        ({"mac": "nonsense"}, "mac: expected a MAC address such as 02:00:00:00:00:01"),
        ({"minMembers": 0}, "minMembers: expected a number from 1 to 2147483647, found 0"),
        ({"minMembers": True}, "minMembers: expected a number from 1 to 2147483647, found True"),
        ({"policy": "lax"}, "policy: Input should be 'strict', 'default' or 'warn', found 'lax'"),
        ({"memberAddresses": "drop"}, "memberAddresses: Input should be 'flush', 'refuse' or"),
        ({"linksInContainer": "perhaps", "links": LINKS}, "linksInContainer: expected true or"),
        ({"linksInContainer": False}, "linksInContainer: false needs `links`"),
        ({"logFile": "log.txt"}, "logFile: expected an absolute path, found 'log.txt'"),
        ({"links": ["net1"]}, 'links: expected "auto", or a list such as [{"name": "net1"}, '),
        ({"links": {"name": "net1"}}, "found {'name': 'net1'}"),
        ({"links": [{}]}, "links.0: expected one of name, network, resource, pci, pf"),
        ({"links": [{"name": "n" * 128}]}, "links.0: an interface's name has at most 127"),
        (
            {"links": [{"name": "a"}, {"name": "b", "prio": "x"}]},
            "links.1.prio: expected a number from -",
        ),
        (
            {"links": [{"name": "a", "queueId": -1}]},
            "links.0.queue_id: expected a number from 0 to 65535",
        ),
        ({"links": LINKS + LINKS}, "links ask for name 'net1' 2 times"),
        ({"ipam": "host-local"}, "ipam: expected an object with a type, found 'host-local'"),
        ({"ipam": {"type": 5}}, "ipam: expected an object with a type, found 5 as its type"),
        ({"ipam": {"type": ["secret"]}}, "with a type, found a list as its type"),
        ({"ipam": {"type": {"a": "secret"}}}, "with a type, found an object as its type"),
        ({"ipam": ["secret"]}, "ipam: expected an object with a type, found a list"),
        ({"ipam": ""}, "ipam: expected an object with a type, found ''"),
        ({"ipam": 0}, "ipam: expected an object with a type, found 0"),
        ({"ipam": False}, "ipam: expected an object with a type, found False"),
        ({"ipam": {"type": "sriovbond"}}, "ipam.type: 'sriovbond' is this plugin itself"),
        (
            {"ipam": {"type": "host-device"}},
            "ipam.type: 'host-device' is no IPAM plugin; name one, such as host-local",
        ),
        (
            {"failOverMac": "passive"},
            "failOverMac: expected one of auto, none (0), active (1), follow (2)",
        ),
    ],
)
def test_a_bad_key_of_ours_is_refused_with_its_name(keys: dict[str, Any], words: str) -> None:
    assert words in refused(**keys)


@pytest.mark.parametrize("given", ["yes", "true", "false", 1, 0, "1", []])
def test_links_in_container_is_true_or_false_as_go_has_it(given: object) -> None:
    told = refused(linksInContainer=given, links=LINKS)

    assert f"linksInContainer: expected true or false, found {given!r}" in told


def test_a_mac_of_a_group_is_reported_once() -> None:
    assert refused(mac="01:00:5e:00:00:01").count("01:00:5e:00:00:01") == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"mtu": 1500}, {"MTU": 9000}),
        ({"linksInContainer": True}, {"links_in_container": False}),
        ({"links": LINKS}, {"Links": LINKS[:1]}),
        ({"links": "auto"}, {"LINKS": LINKS}),
        ({"minMembers": 1}, {"min-members": "2"}),
    ],
)
def test_a_key_given_twice_must_say_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    ((first_key, first),) = one.items()
    ((key, value),) = other.items()

    told = refused(**one, **other)

    assert f"{key}: {value!r} contradicts {first_key} {first!r} given beside it" in told


def test_a_selector_given_twice_must_say_the_same() -> None:
    told = refused(links=[{"name": "net1", "Name": "net2"}])

    assert "links.0.Name: 'net2' contradicts links.0.name 'net1' given beside it" in told


def test_a_key_given_twice_may_say_the_same() -> None:
    config = a_netconf(mtu=1500, MTU="1500", links=LINKS, Links=LINKS)

    assert config.mtu == 1500


@pytest.mark.parametrize("ipam", [{"subnet": "198.51.100.0/24"}, {"type": "", "ranges": []}])
def test_ipam_that_no_plugin_would_read_is_a_warning(ipam: dict[str, object]) -> None:
    config = a_netconf(ipam=ipam)

    assert (warned(config), config.ipam_type) == (["ipam-without-type"], "")


@pytest.mark.parametrize("ipam", [{}, {"ipam": None}, {"ipam": {}}, {"ipam": {"type": ""}}])
def test_addresses_that_the_pod_asks_for_are_not_dropped_without_a_word(
    ipam: dict[str, object],
) -> None:
    asked = {"ips": ["192.0.2.7/24", "2001:db8::7/64"]}
    config = a_netconf(**ipam, runtimeConfig=asked)
    by_ipam = a_netconf(ipam={"type": "static"}, runtimeConfig=asked)

    assert [finding.rule for finding in config.warnings] == ["ipam-without-type"]
    assert "192.0.2.7/24, 2001:db8::7/64" in str(config.warnings[0])
    assert by_ipam.warnings == a_netconf(**ipam, runtimeConfig={"ips": []}).warnings == ()


@pytest.mark.parametrize("ipam", [None, {}, {"type": ""}, {"type": None}])
def test_no_ipam_is_no_fault(ipam: object) -> None:
    config = a_netconf(ipam=ipam)

    assert (warned(config), config.ipam_type) == ([], "")


def test_all_faults_are_reported_at_once() -> None:
    message = refused(mode="fast", miimmon=1, mtu="x", policy="y", ipam=1, links=[{"prio": 1.5}])

    for words in ("mode: ", "'miimmon'", "mtu: ", "policy: ", "ipam: ", "links.0.prio: "):
        assert words in message


def test_faults_of_keys_and_of_their_combination_are_reported_at_once() -> None:
    message = refused(mtu="x", miimon=100, arp_interval=100, arp_ip_target=["192.0.2.1"])

    assert "mtu: " in message
    assert "[two-monitors]" in message


def test_a_fault_of_ipam_does_not_hide_those_of_combinations() -> None:
    message = refused(ipam=1, miimon=100, arp_interval=100, arp_ip_target=["192.0.2.1"])

    assert "ipam: " in message
    assert "[two-monitors]" in message


def test_a_combination_is_not_judged_while_an_option_is_not_understood() -> None:
    message = refused(mode="802.3add", lacp_rate="fast")

    assert "mode: " in message
    assert "lacp_rate" not in message


def test_active_slave_is_refused_with_a_word_on_primary() -> None:
    for key in ("active_slave", "activeSlave"):
        message = refused(**{key: "net1"})

        assert f"{key} 'net1'" in message
        assert "name the member to prefer with `primary`" in message


def test_two_spellings_that_contradict_each_other_are_refused() -> None:
    message = refused(num_grat_arp=1, num_unsol_na=2)

    assert "num_unsol_na: 2 contradicts num_grat_arp 1 given beside it" in message


def test_two_spellings_that_agree_are_one() -> None:
    assert value(a_netconf(num_grat_arp=3, num_unsol_na="3"), "num_grat_arp") == 3


def test_auto_beside_another_fail_over_mac_is_refused() -> None:
    assert "contradicts" in refused(failOverMac="auto", fail_over_mac="none")


LINKS_ELSEWHERE = (
    "slaves", "Slave", "port", "ports", "ports-config", "interfaces", "interface", "members",
    "member", "nics", "ifaces",
)  # fmt: skip


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("miimmon", "miimon"),
        ("mimon", "miimon"),
        ("modes", "mode"),
        ("failOvrMac", "fail_over_mac"),
        ("arpIpTargets", "arp_ip_target"),
        ("linkInContainer", "linksInContainer"),
        ("link", "links"),
        ("minMember", "minMembers"),
        ("primry", "primary"),
        ("lacp_rates", "lacp_rate"),
        ("memberAdresses", "memberAddresses"),
        ("logfiles", "logFile"),
        ("polciy", "policy"),
        ("macs", "mac"),
        *((key, "links") for key in LINKS_ELSEWHERE),
        ("bond_mode", "mode"),
        ("bonding-mode", "mode"),
    ],
)
def test_a_near_miss_is_refused_with_the_name_meant(key: str, meant: str) -> None:
    assert f"{key!r} is unknown; did you mean {meant!r}?" in refused(**{key: 1})


def test_a_near_miss_in_a_link_is_refused_with_the_name_meant() -> None:
    message = refused(links=[{"name": "net1", "queue_ids": 1}])

    assert "'links.0.queue_ids' is unknown; did you mean 'queue_id'?" in message


def test_a_refusal_names_the_keys_that_were_ignored() -> None:
    message = refused(mode="fast", vlan=7, links=[{"name": "net1", "comment": "left"}, *LINKS])

    assert "mode: expected one of " in message
    assert message.endswith("; unknown and ignored: 'vlan', 'links.0.comment' [unknown-key]")


def test_of_many_unknown_keys_a_refusal_names_a_few_and_their_number() -> None:
    message = refused(mode="fast", **{f"x{number}{'x' * 200}": 1 for number in range(100)})

    assert "and 90 more" not in message
    assert "90 more [unknown-key]" in message
    assert len(message) < 2000


def test_a_configuration_has_a_bounded_number_of_keys_and_links() -> None:
    assert "expected at most 256 keys" in refused(**{f"x{one}": 1 for one in range(257)})
    names = [{"name": f"net{number}"} for number in range(65)]
    assert "links: expected at most 64, found 65" in refused(links=names)
    keys = {"name": "net1", **{f"x{one}": 1 for one in range(256)}}
    assert "links.0: expected at most 256 keys, found 257" in refused(links=[keys])


CALICO = {
    "datastore_type": "kubernetes",
    "kubernetes": {"kubeconfig": "/etc/cni/net.d/calico-kubeconfig"},
    "log_level": "info",
    "nodename": "worker-0",
    "policy": {"type": "k8s"},
    "ipam": {"type": "calico-ipam", "assign_ipv4": "true"},
}


def test_keys_of_calico_ipam_beside_ipam_are_ignored_silently() -> None:
    config = a_netconf(**CALICO)

    assert config.warnings == ()
    assert config.policy is Policy.DEFAULT


@pytest.mark.parametrize("type_", ["host-local", "whereabouts", "some-ipam"])
def test_beside_another_ipam_plugin_calicos_policy_is_a_fault(type_: str) -> None:
    assert "policy: Input should be 'strict'" in refused(**{**CALICO, "ipam": {"type": type_}})


def test_a_policy_of_ours_holds_beside_calico_ipam() -> None:
    config = a_netconf(**{**CALICO, "policy": "strict"})

    assert (config.policy, config.warnings) == (Policy.STRICT, ())


@pytest.mark.parametrize(
    ("ipam", "level"),
    [
        ({}, Level.WARNING),
        ({"type": "host-local"}, Level.WARNING),
        ({"type": "calico-ipam"}, Level.WARNING),
        ({"type": "some-ipam"}, Level.NOTICE),
    ],
    ids=str,
)
def test_strict_refuses_an_unknown_key_only_where_no_ipam_plugin_can_mean_it(
    ipam: dict[str, str], level: Level
) -> None:
    config = a_netconf(ipam=ipam, vlan=7, policy="strict")

    assert [(one.rule, one.level) for one in config.warnings] == [("unknown-key", level)]


@pytest.mark.parametrize("type_", ["calico-ipam", "some-ipam"])
def test_a_near_miss_is_an_error_beside_any_ipam_plugin(type_: str) -> None:
    assert "did you mean 'miimon'?" in refused(ipam={"type": type_}, miimmon=100)
    assert "did you mean 'links'?" in refused(ipam={"type": type_}, slaves=[])


@pytest.mark.parametrize("version", [{}, {"cniVersion": ""}, {"cniVersion": None}], ids=str)
def test_a_missing_version_is_a_warning_with_its_consequence(version: dict[str, Any]) -> None:
    [warning] = parse_config({"type": "sriovbond", **version}).warnings

    assert warning.rule == "cni-version-missing"
    assert "no interface and no MAC" in warning.text


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("tlb", "balance-tlb"),
        ("alb", "balance-alb"),
        ("xor", "balance-xor"),
        ("rr", "balance-rr"),
        ("8023ad", "802.3ad"),
        ("802.3-AD", "802.3ad"),
        ("active_backup", "active-backup"),
        ("activebackup", "active-backup"),
        ("Active Backup", "active-backup"),
        ("brodcast", "broadcast"),
    ],
)
def test_a_wrong_spelling_of_a_mode_is_refused_with_the_right_one(given: str, meant: str) -> None:
    message = refused(mode=given)

    assert f"found {given!r}; did you mean {meant!r}?" in message


@pytest.mark.parametrize("given", ["fast", "balance", "", "lb", "x" * 5000])
def test_a_spelling_that_is_near_no_mode_has_no_hint(given: str) -> None:
    assert "did you mean" not in refused(mode=given)


def test_the_hint_is_for_every_option_with_names() -> None:
    assert "did you mean 'layer3+4'?" in refused(mode="lacp", xmit_hash_policy="layer3_4")
    assert "did you mean 'active'?" in refused(failOverMac="actve")


V6 = "2001:db8::5/64"


@pytest.mark.parametrize(
    "keys",
    [
        {"ipam": {"type": "static", "addresses": [{"address": "192.0.2.1/24"}, {"address": V6}]}},
        {"ipam": {"type": "static"}, "runtimeConfig": {"ips": ["192.0.2.1/24", V6]}},
        {"ipam": {"type": "static"}, "args": {"cni": {"ips": [V6]}}},
        {"ipam": {"type": "host-local", "subnet": "2001:db8::/64"}},
        {"ipam": {"type": "host-local", "ranges": [[{"subnet": "2001:db8::/64"}]]}},
        {"ipam": {"type": "whereabouts", "range": "2001:db8::5-2001:db8::9/64"}},
        {"ipam": {"type": "whereabouts", "ipRanges": [{"range": "2001:db8::/64"}]}},
    ],
    ids=str,
)
def test_an_mtu_that_ipv6_does_not_fit_into_is_refused_beside_an_ipv6_address(
    keys: dict[str, Any],
) -> None:
    assert "[address-needs-larger-mtu]" in refused(mtu=500, **keys)
    assert a_netconf(mtu=1280, **keys).ipv6 != ""


@pytest.mark.parametrize(
    "keys",
    [
        {"ipam": {"type": "static", "addresses": [{"address": "192.0.2.1/24"}]}},
        {
            "ipam": {"type": "static", "addresses": [{"address": V6}]},
            "runtimeConfig": {"ips": ["192.0.2.1/24"]},
        },
        {"ipam": {"addresses": [{"address": V6}]}},
        {"runtimeConfig": {"ips": [V6]}},
        {"ipam": {"type": "static", "addresses": [{"address": 7}, "x"], "ranges": [7, [7]]}},
    ],
    ids=str,
)
def test_a_small_mtu_is_taken_where_no_ipv6_address_is_requested(keys: dict[str, Any]) -> None:
    assert a_netconf(mtu=500, **keys).mtu == 500


def test_of_very_many_ranges_the_first_are_looked_at() -> None:
    ranges = [[{"subnet": "192.0.2.0/24"}]] * 256

    config = a_netconf(ipam={"type": "host-local", "ranges": [*ranges, [{"subnet": "fd00::/64"}]]})

    assert config.ipv6 == ""


def test_an_ipv6_address_of_cni_args_needs_its_mtu() -> None:
    raw = {"cniVersion": "1.0.0", "mtu": 500, "ipam": {"type": "static"}}

    with pytest.raises(ConfigError, match="address-needs-larger-mtu"):
        parse_config(raw, {"IP": f"192.0.2.1/24,{V6}"})


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"links": []}, "`links` names 0 and minMembers is 2"),
        ({"links": [], "minMembers": 1}, "`links` names 0 and minMembers is 1"),
        ({"links": LINKS[:1]}, "`links` names 1 and minMembers is 2"),
        ({"links": LINKS, "minMembers": 3}, "`links` names 2 and minMembers is 3"),
    ],
    ids=str,
)
def test_names_that_can_never_be_enough_are_refused(keys: dict[str, Any], words: str) -> None:
    message = refused(**keys)

    assert words in message
    assert "[too-few-links]" in message


@pytest.mark.parametrize(
    "keys",
    [
        {"links": LINKS[:1], "minMembers": 1},
        {"links": [{"name": "net*"}]},
        {"links": [{"resource": "example.com/vf"}]},
    ],
    ids=str,
)
def test_links_that_may_be_enough_are_taken(keys: dict[str, Any]) -> None:
    assert a_netconf(**keys).links is not None


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"name": "net*"}, {"name": "net1"}),
        ({"name": "net1"}, {"name": "net1", "network": "a"}),
        ({"network": "a*"}, {"network": "a1", "pf": "ens*"}),
        ({"resource": "x/*"}, {"resource": "x/y"}),
        ({"pci": "0000:01:*"}, {"pci": "0000:01:10.0"}),
        ({"pci": "0000:0A:10.0"}, {"pci": "0a:10.0"}),
        ({"name": "*"}, {"name": "net*"}),
        ({"name": "n*"}, {"name": "net?"}),
    ],
    ids=str,
)
def test_an_entry_that_an_earlier_one_leaves_nothing_is_refused(
    first: dict[str, str], second: dict[str, str]
) -> None:
    message = refused(links=[first, second])

    assert "links.1 asks for " in message
    assert "all of which links.0, " in message
    assert "[member-twice]" in message


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"name": "net1"}, {"name": "net*"}),
        ({"name": "net1", "network": "a"}, {"network": "a"}),
        ({"network": "a*"}, {"network": "*a"}),
        ({"name": "net?"}, {"name": "net*"}),
        ({"name": "*a*"}, {"name": "[ab]*"}),
        ({"name": "[ab]"}, {"name": "*"}),
        ({"name": "net1"}, {"pf": "net1"}),
    ],
    ids=str,
)
def test_an_entry_for_which_something_may_be_left_is_taken(
    first: dict[str, str], second: dict[str, str]
) -> None:
    assert len(a_netconf(links=[first, second]).links or ()) == 2


@pytest.mark.parametrize("name", ["a/b", "..", ".", "a\\b", "a\0b"])
def test_an_ipam_plugin_is_named_by_a_file_name(name: str) -> None:
    told = refused(ipam={"type": name})

    assert f"ipam.type: expected the file name of an IPAM plugin, found {name!r}" in told


OTHERS_KEYS = """
    vlan vlanId vlanQoS vlanProto vlanTrunk bandwidth master bridge delegate delegates trust
    promisc promiscuous spoofchk macspoofchk link_state linkState min_tx_rate max_tx_rate qos
    logLevel logToStderr kubeconfig ibKubernetesEnabled rdmaIsolation pkey link_guid state
    sysctl allmulti txQLen hwaddr kernelpath device bond description
    labels namespace confDir binDir readinessindicatorfile dpMode host uplink node timeout
    isolated ranges dataDir mask keepalive disableContainerInterface preserveDefaultVlan ips
""".split()  # noqa: SIM905 - a list of words reads better so


@pytest.mark.parametrize("key", OTHERS_KEYS)
def test_a_key_of_another_plugin_is_ignored_with_a_warning(key: str) -> None:
    config = a_netconf(**{key: "1"})

    assert warned(config) == ["unknown-key"]
    assert f"the key {key!r} is unknown and ignored" in config.warnings[0].text


def test_a_name_of_the_bond_in_its_configuration_is_ignored_with_a_notice() -> None:
    config = a_netconf(ifname="bond0", policy="strict")

    [notice] = config.warnings
    assert (notice.rule, notice.level) == ("unknown-key", Level.NOTICE)
    assert "ifname 'bond0' is ignored: the bond has the name that the runtime chose" in notice.text
    assert "NETWORK@NAME" in notice.remedy


@pytest.mark.parametrize("key", [*IGNORED_KEYS, "cni.dev/valid-attachments", "cni.dev/anything"])
def test_a_key_that_others_put_there_is_ignored_silently(key: str) -> None:
    raw = {
        "type": "sriovbond",
        "cniVersion": "1.0.0",
        key: {"type": "host-local"} if key == "ipam" else "1",
    }

    assert parse_config(raw).warnings == ()


@pytest.mark.parametrize(
    ("keys", "name", "expected"),
    [
        ({}, "mode", "active-backup"),
        ({}, "miimon", 100),
        ({"mode": "balance-rr"}, "miimon", 100),
        ({"arp_interval": 200, "arp_ip_target": ["192.0.2.1"]}, "miimon", None),
        ({"arp_interval": 0}, "miimon", 100),
        ({"miimon": 0}, "miimon", 0),
        ({}, "fail_over_mac", "active"),
        ({"failOverMac": "auto"}, "fail_over_mac", "active"),
        ({"failOverMac": "Auto"}, "fail_over_mac", "active"),
        ({"mac": "02:00:00:00:00:01"}, "fail_over_mac", None),
        ({"failOverMac": "auto", "mac": "02:00:00:00:00:01"}, "fail_over_mac", "none"),
        ({"mode": "balance-xor"}, "fail_over_mac", None),
        ({"mode": "balance-xor", "failOverMac": "auto"}, "fail_over_mac", "none"),
        ({"failOverMac": 0}, "fail_over_mac", "none"),
        ({"mode": "lacp"}, "mode", "802.3ad"),
        ({"mode": 4}, "mode", "802.3ad"),
        ({"mode": "1"}, "mode", "active-backup"),
    ],
)
def test_defaults_are_those_that_work(keys: dict[str, Any], name: str, expected: object) -> None:
    config = a_netconf(**keys)

    assert value(config, name) == expected
    assert config.warnings == () or value(config, "miimon") == 0


def test_own_keys_have_their_defaults() -> None:
    config = a_netconf()

    assert config.links is None
    assert config.links_in_container is None
    assert (config.min_members, config.mtu, config.mac) == (2, None, None)
    assert config.member_addresses is MemberAddresses.FLUSH
    assert config.policy is Policy.DEFAULT


def test_own_keys_are_read_in_any_case_and_as_text() -> None:
    config = a_netconf(
        MinMembers="1",
        MTU="1400",
        member_addresses="keep",
        POLICY="strict",
        links=[{"Name": "net1", "priority": "-7", "queueId": "3"}, {"name": "net2"}],
        LinksInContainer=True,
    )

    assert config.links is not None
    assert (config.min_members, config.mtu) == (1, 1400)
    assert (config.links[0].name, config.links[0].prio, config.links[0].queue_id) == ("net1", -7, 3)
    assert config.links_in_container is True


RUNTIME, ARGS, OWN = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"


@pytest.mark.parametrize(
    ("raw", "cni_args", "expected"),
    [
        ({"mac": OWN, "runtimeConfig": {"mac": RUNTIME}}, {"MAC": ARGS}, RUNTIME),
        ({"mac": OWN, "runtimeConfig": {}}, {"MAC": ARGS}, ARGS),
        ({"mac": OWN, "runtimeConfig": {"mac": ""}}, {"MAC": ""}, OWN),
        ({"mac": OWN.upper()}, {}, OWN),
        ({"runtimeConfig": None}, {}, None),
        ({}, {}, None),
    ],
)
def test_the_mac_of_the_attachment_comes_before_that_of_the_network(
    raw: dict[str, Any], cni_args: dict[str, str], expected: str | None
) -> None:
    assert parse_config(raw, cni_args).mac == expected


def test_a_bad_mac_of_the_runtime_is_refused() -> None:
    with pytest.raises(ConfigError, match=re.escape("found 'zz'")):
        parse_config({"type": "sriovbond"}, {"MAC": "zz"})


@pytest.mark.parametrize(
    ("keys", "rule"),
    [
        ({"mode": "active-backup", "xmit_hash_policy": "layer2"}, "option-without-effect"),
        ({"mode": "balance-rr", "failOverMac": 1}, "option-without-effect"),
        ({"mode": "balance-xor", "all_slaves_active": 1}, "option-without-effect"),
        ({"mode": "broadcast", "resend_igmp": 2}, "option-without-effect"),
        ({"arp_ip_target": ["192.0.2.1"]}, "targets-without-probes"),
        ({"miimon": 0}, "no-link-monitoring"),
    ],
)
def test_an_option_without_effect_is_a_warning(keys: dict[str, Any], rule: str) -> None:
    assert warned(a_netconf(**keys)) == [rule]


@pytest.mark.parametrize("mode", BondMode)
def test_no_default_of_ours_is_called_without_effect(mode: BondMode) -> None:
    assert a_netconf(mode=mode, failOverMac="auto").warnings == ()


@given(
    st.dictionaries(
        st.one_of(st.sampled_from([row.name for row in OPTIONS] + ["links", "mtu"]), st.text()),
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=5,
        ),
        max_size=6,
    )
)
def test_no_json_object_ends_in_anything_but_a_configuration_or_its_faults(
    raw: dict[str, Any],
) -> None:
    with contextlib.suppress(ConfigError):
        assert parse_config(raw).mode in BondMode


@pytest.mark.parametrize(
    ("keys", "may_mean_host"),
    [
        ({}, False),
        ({"links": LINKS}, True),
        ({"links": [{"name": "net*"}]}, False),
        ({"links": [*LINKS, {"resource": "example.com/a"}]}, False),
        ({"links": [{"name": "ens*"}], "linksInContainer": False}, True),
        ({"links": LINKS, "linksInContainer": True}, False),
    ],
    ids=str,
)
def test_the_host_is_looked_at_only_where_links_may_mean_it(
    keys: dict[str, Any],
    may_mean_host: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert a_netconf(**keys).may_mean_host is may_mean_host
