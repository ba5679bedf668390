"""The bond is verified: by ADD before it answers, by CHECK against record and prevResult."""

from pathlib import Path

import pytest

from sriovbond.upkeep import examination
from sriovbond.upkeep.repair import Repairs
from tests.kernel.conftest import Wires
from tests.support import ipams, wire
from tests.support.agents import wait_for
from tests.support.calls import Runtime, a_config
from tests.support.leases import IPV4, IPV6, addresses, give_default_network, static
from tests.support.pods import Pod

Config = dict[str, object]


@pytest.fixture
def config(wires: Wires, tmp_path: Path) -> Config:
    """A bond over the wires, with addresses and routes."""
    return a_config(links=wires.links, failOverMac="none", ipam=ipams.host_local(tmp_path))


TAMPERINGS = {
    "an option": ("link set bond0 type bond miimon 200", "miimon is 200 instead of 100"),
    "a member": ("link set net2 nomaster", "net2 is not in bond0"),
    "the bond's MTU": ("link set bond0 mtu 1300", "the MTU of bond0 is 1300 instead of 1500"),
    "the bond's MAC": ("link set bond0 address 02:00:00:00:77:77", "the MAC of bond0 is"),
    "up and down": ("link set bond0 down", "bond0 is down"),
    "a member's up and down": ("link set net2 down", "net2 is down"),
    "a member's MAC": ("link set net2 address 02:00:00:00:66:66", "the MAC of net2 is"),
}
LATER = {
    "an address": ("addr del {ipv4} dev bond0", "bond0 is missing the address {ipv4}"),
    "an IPv6 address": ("addr del {ipv6} dev bond0", "bond0 is missing the address {ipv6}"),
    "a route": (
        "route del 203.0.113.0/24 dev bond0",
        "bond0 is missing the route to 203.0.113.0/24",
    ),
    "an IPv6 route": (
        "route del 2001:db8:52::/64 dev bond0",
        "bond0 is missing the route to 2001:db8:52::/64",
    ),
    "a foreign member": ("link set net3 master bond0", "net3 is in bond0 and was not asked for"),
    "the bond": ("link del bond0", "bond0 is gone"),
    "a member's MTU": ("link set bond0 mtu 1400", "the MTU of net1"),
}


@pytest.mark.parametrize(("line", "words"), TAMPERINGS.values(), ids=TAMPERINGS.keys())
def test_add_fails_when_something_changed_before_it_was_read_back(
    runtime: Runtime, wires: Wires, line: str, words: str
) -> None:
    config = a_config(links=wires.links, failOverMac="none")

    with wire.before_proof(lambda: wires.pod.ip(line)):
        reply = runtime.add(config)

    assert reply.code == 102
    assert words in reply.msg
    assert wires.pod.link("bond0") is None
    assert list(runtime.host.records.glob("*")) == []


@pytest.mark.parametrize("change", ["an address", "an IPv6 address", "a route", "an IPv6 route"])
def test_add_fails_when_an_address_or_route_of_ipam_vanishes_before_it_is_read_back(
    runtime: Runtime, wires: Wires, config: Config, tmp_path: Path, change: str
) -> None:
    line, words = (
        text.format(ipv4="198.51.100.2/24", ipv6="2001:db8:51::2/64") for text in LATER[change]
    )

    with wire.before_proof(lambda: wires.pod.ip(line), last="add the route to 2001:db8:52::/64"):
        reply = runtime.add(config)

    assert reply.code == 102
    assert words in reply.msg
    assert wires.pod.link("bond0") is None
    assert ipams.leases(tmp_path) == []


@pytest.mark.parametrize(
    ("line", "words"), {**TAMPERINGS, **LATER}.values(), ids={**TAMPERINGS, **LATER}.keys()
)
def test_check_names_each_change_since_add(
    runtime: Runtime, wires: Wires, config: Config, line: str, words: str
) -> None:
    result = runtime.add(config).ok()
    ipv4, ipv6 = (one["address"] for one in result["ips"])
    runtime.check(config, result).ok()
    wires.pod.batch("link add net3 type dummy", line.format(ipv4=ipv4, ipv6=ipv6))

    reply = runtime.check(config, result)

    assert reply.code == 102
    assert words.format(ipv4=ipv4, ipv6=ipv6) in reply.msg


def test_check_names_every_difference(runtime: Runtime, wires: Wires, config: Config) -> None:
    result = runtime.add(config).ok()
    wires.pod.batch("link set bond0 type bond miimon 300", "link set net1 nomaster")

    reply = runtime.check(config, result)

    assert "miimon is 300" in reply.msg
    assert "net1 is not in bond0" in reply.msg


def test_check_wants_prev_result(runtime: Runtime, config: Config) -> None:
    runtime.add(config).ok()

    reply = runtime.call("CHECK", config)

    assert reply.code == 7
    assert "prevResult" in reply.msg


def test_check_without_a_record_says_so(runtime: Runtime, config: Config) -> None:
    result = runtime.add(config).ok()
    (record,) = runtime.host.records.glob("*.json")
    record.unlink()

    reply = runtime.check(config, result)

    assert reply.code == 102
    assert "no record" in reply.msg


def test_check_asks_ipam_too(runtime: Runtime, config: Config, tmp_path: Path) -> None:
    result = runtime.add(config).ok()
    for lease in (tmp_path / "leases").rglob("*"):
        if lease.name in ipams.leases(tmp_path):
            lease.unlink()

    reply = runtime.check(config, result)

    assert reply.status == 1
    assert "host-local" in reply.msg


@pytest.mark.parametrize("fail_over_mac", ["active", "follow"])
def test_check_ignores_the_changes_of_a_failover(
    runtime: Runtime, wires: Wires, fail_over_mac: str
) -> None:
    config = a_config(links=wires.links, failOverMac=fail_over_mac)
    result = runtime.add(config).ok()
    before = wires.pod.the_bond()
    other = next(one.name for one in before.members if not one.is_active)

    wires.pod.ip(f"link set bond0 type bond active_slave {other}")

    after = wires.pod.the_bond()
    assert [one.is_active for one in after.members] != [one.is_active for one in before.members]
    runtime.check(config, result).ok()


def test_check_overlooks_a_carrier_that_is_gone(runtime: Runtime, wires: Wires) -> None:
    config = a_config(links=wires.links)
    result = runtime.add(config).ok()

    wires.far.batch("link set far1 down", "link set far2 down")

    runtime.check(config, result).ok()


def test_check_takes_a_result_of_the_oldest_version_that_has_check(
    runtime: Runtime, config: Config
) -> None:
    old = {**config, "cniVersion": "0.4.0"}
    result = runtime.add(old).ok()

    runtime.check(old, result).ok()


def test_check_claims_nothing_that_an_earlier_plugin_of_the_chain_gave(
    runtime: Runtime, config: Config
) -> None:
    before = {
        "cniVersion": "1.1.0",
        "interfaces": [{"name": "eth0", "sandbox": runtime.pod.path}],
        "ips": [{"address": "10.0.0.5/24", "interface": 0}],
        "routes": [{"dst": "0.0.0.0/0", "gw": "10.0.0.1"}],
    }
    result = runtime.add({**config, "prevResult": before}).ok()

    runtime.check(config, result).ok()


def agent_finds(runtime: Runtime) -> tuple[str, ...]:
    """Return the differences that the agent's round would report of the bond."""
    key = runtime.pod.key()
    return examination.examine(runtime.host, key, Repairs(), examination.no_doubt).drift


def far_host(wires: Wires) -> None:
    """Give a host on the far side the IPv6 address too."""
    wires.far.batch(
        "link add br0 up type bridge",
        "link set far1 master br0",
        "link set far2 master br0",
        f"addr add {IPV6} dev br0 nodad",
    )


def is_detected_anew(pod: Pod) -> bool:
    """Restart DAD: the kernel runs it once, when an address is added, and may receive nothing."""
    pod.batch(f"addr del {IPV6} dev bond0", f"addr add {IPV6} dev bond0")
    wait_for(
        lambda: (
            {"dadfailed"} & addresses(pod)[IPV6].keys() or "tentative" not in addresses(pod)[IPV6]
        )
    )
    return "dadfailed" in addresses(pod)[IPV6]


def test_an_ipv6_address_that_another_host_has_is_reported_by_check_and_by_the_agent(
    runtime: Runtime, wires: Wires
) -> None:
    config = a_config(links=wires.links, ipam=static(IPV6))
    result = runtime.add(config).ok()
    far_host(wires)
    wait_for(lambda: is_detected_anew(wires.pod))

    reply = runtime.check(config, result)
    (drift,) = agent_finds(runtime)

    words = f"bond0 cannot use the address {IPV6}: another host has it"
    assert reply.code == 102
    assert words in reply.msg
    assert words in drift


def test_an_add_whose_address_another_host_has_already_been_heard_to_have_is_refused(
    runtime: Runtime, wires: Wires
) -> None:
    """It does not wait for DAD: mostly the duplicate is detected only after its answer."""
    far_host(wires)
    config = a_config(links=wires.links, ipam=static(IPV6))

    with wire.before_proof(
        lambda: wait_for(lambda: addresses(wires.pod)[IPV6].get("dadfailed")),
        last="put the address",
    ):
        reply = runtime.add(config)

    assert reply.code == 102
    assert "another host has it" in reply.msg
    assert wires.pod.bond() is None


@pytest.mark.parametrize("other", ["eth0", ""])
def test_a_default_route_that_multus_gave_to_another_network_is_no_drift(
    runtime: Runtime, wires: Wires, other: str
) -> None:
    """Multus' netutils.DeleteDefaultGW removes it from all networks but those of default-route."""
    routes = [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]
    config = a_config(links=wires.links, ipam=static(IPV4, IPV6, routes=routes))
    result = runtime.add(config).ok()
    wires.pod.batch("route del default dev bond0", "route del ::/0 dev bond0")
    if other:
        give_default_network(wires.pod)

    reply = runtime.check(config, result)
    drift = agent_finds(runtime)

    if other:
        reply.ok()
        assert drift == ()
    else:
        for words in ("is missing the route to 0.0.0.0/0", "is missing the route to ::/0"):
            assert words in reply.msg
            assert any(words in one for one in drift)


def test_a_default_route_by_another_gateway_of_the_bond_is_no_drift(
    runtime: Runtime, wires: Wires
) -> None:
    """Multus' netutils.SetDefaultGW makes it for `default-route` of the bond's own network."""
    routes = [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]
    config = a_config(links=wires.links, ipam=static(IPV4, IPV6, routes=routes))
    result = runtime.add(config).ok()
    wires.pod.batch(
        *(f"route del {route['dst']} dev bond0" for route in routes),
        "route add default via 192.0.2.254 dev bond0",
        "route add ::/0 via 2001:db8::fe dev bond0",
    )

    runtime.check(config, result).ok()

    assert agent_finds(runtime) == ()
