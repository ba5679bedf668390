"""A change with DHCP: the lease comes within it, moves with the uplink, and goes as it came."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sriovbond.dhcp import files
from sriovbond.dhcp.packet import DhcpOption
from sriovbond.kernel.messages import IFLA_MTU
from sriovbond.trial import booting
from sriovbond.trial.transaction import ChangeOutcome, RevertedError
from tests.support import dhcp
from tests.support.changes import Changes
from tests.support.dhcp_clients import MAC, OPTIONS, LeasedNode, a_leased_node, requests_to

ETH1 = "interfaces: [{name: eth1, type: ethernet, ipv4: {enabled: true, dhcp: true}}]\n"
BRIDGE = """
interfaces:
- name: br0
  type: linux-bridge
  ipv4: {enabled: true, dhcp: true}
  bridge: {options: {stp: {enabled: false}}, port: [{name: eth1}]}
"""
DNS = "dns-resolver: {config: {server: [192.0.2.54]}}\n"
SHORT_S = 30.0  # a watchdog needs ten to begin in an emulator
PROMOTING = "ipv4/conf/eth1/promote_secondaries"


@pytest.fixture
def leased(tmp_path: Path) -> Iterator[LeasedNode]:
    with a_leased_node(tmp_path) as made:
        yield made


@pytest.fixture
def changes(leased: LeasedNode) -> Changes:
    return Changes(leased.node, [])


def test_a_lease_is_part_of_a_change_and_the_same_again_is_quiet(
    leased: LeasedNode, changes: Changes
) -> None:
    with dhcp.server(leased.far, "far1", *OPTIONS):
        first = changes.apply(ETH1 + DNS)
        changes.node.sent.clear()
        again = changes.apply(ETH1 + DNS)

    assert (first, again) == (ChangeOutcome.COMMITTED, ChangeOutcome.NOTHING_TO_DO)
    assert "1. eth1: ask for an address by DHCP" in changes.said
    assert changes.node.sent == []
    assert len(leased.addresses()) == 1
    assert "nameserver 192.0.2.54\nsearch" in leased.resolv_conf
    assert leased.resolv_conf.endswith("nameserver 192.0.2.53\n")


def test_without_a_server_a_change_is_reverted_and_reports_the_requests_sent(
    leased: LeasedNode, changes: Changes
) -> None:
    before = leased.node.settle()

    with pytest.raises(
        RevertedError, match=rf"no lease of DHCP on eth1 in .*{MAC.hex(':')}.*0 offers"
    ):
        changes.apply(ETH1, SHORT_S)

    leased.node.assert_is(before)
    assert files.names(leased.node.host) == ()
    assert not files.is_running(leased.node.host, "eth1")


def test_an_uplink_moves_into_a_bridge_with_its_lease_and_back(
    leased: LeasedNode, changes: Changes
) -> None:
    with dhcp.server(leased.far, "far1", *OPTIONS), requests_to(leased.far, "far1") as requests:
        changes.apply(ETH1)
        before = leased.addresses()
        requests()
        changes.apply(BRIDGE)
        moved = leased.addresses("br0"), leased.addresses()
        sent = requests()

    assert moved == (before, [])
    assert {message.options[DhcpOption.CLIENT_ID] for message in sent} == {b"\x01" + MAC}
    assert not files.is_running(leased.node.host, "eth1")


def test_a_move_that_fails_gives_the_lease_back_to_its_interface(
    leased: LeasedNode, changes: Changes
) -> None:
    with dhcp.server(leased.far, "far1", *OPTIONS):
        changes.apply(ETH1 + DNS)
        addresses, routes, resolv_conf = leased.addresses(), leased.routes(), leased.resolv_conf
        with pytest.raises(RevertedError, match=r"198\.18\.0\.1"):
            changes.apply(
                BRIDGE
                + "routes: {config: [{destination: 172.16.0.0/12, next-hop-interface: br0, "
                + "next-hop-address: 198.18.0.1}]}\n"
                + DNS.replace(".54", ".55")
            )
        leased.await_lease()

    assert (leased.addresses(), leased.routes()) == (addresses, routes)
    assert leased.resolv_conf == resolv_conf
    assert files.names(leased.node.host) == ("eth1",)


def of_itself(leased: LeasedNode) -> tuple[str | None, int]:
    """Return what a lease changes of eth1 beside addresses and routes."""
    return leased.node.site.node.sysctl(PROMOTING), leased.node.site.link("eth1").number(IFLA_MTU)


@contextmanager
def a_lease_that_changes_eth1(leased: LeasedNode, changes: Changes) -> Iterator[None]:
    """Have a server, and a lease of it that changes promote_secondaries and the MTU of eth1."""
    leased.node.site.node.set_sysctls({PROMOTING: "0"})
    with dhcp.server(leased.far, "far1", *OPTIONS):
        changes.apply(ETH1)
        yield


def test_a_lease_that_moves_leaves_its_interface_as_it_was_before(
    leased: LeasedNode, changes: Changes
) -> None:
    with a_lease_that_changes_eth1(leased, changes):
        meanwhile = of_itself(leased)
        changes.apply(BRIDGE)

    assert meanwhile == ("1", 1400)
    assert of_itself(leased) == ("0", 1500)


def test_a_lease_whose_move_is_reverted_leaves_its_interface_as_it_was_when_it_ends(
    leased: LeasedNode, changes: Changes
) -> None:
    with a_lease_that_changes_eth1(leased, changes):
        changes.apply(BRIDGE, is_waiting=True)
        changes.rollback()
        leased.await_lease()
        meanwhile = of_itself(leased)
        changes.apply("interfaces: [{name: eth1, ipv4: {enabled: false}}]")

    assert meanwhile == ("1", 1400)
    assert of_itself(leased) == ("0", 1500)


def test_a_change_that_is_not_kept_ends_its_client(leased: LeasedNode, changes: Changes) -> None:
    before = leased.node.settle()

    with dhcp.server(leased.far, "far1", *OPTIONS):
        changes.apply(ETH1, is_waiting=True)
        assert leased.addresses()
        changes.rollback()

    leased.node.assert_is(before)
    assert not files.is_running(leased.node.host, "eth1")


def test_dhcp_that_ends_leaves_its_address_as_a_static_one(
    leased: LeasedNode, changes: Changes
) -> None:
    with dhcp.server(leased.far, "far1", *OPTIONS):
        changes.apply(ETH1)
        before = leased.addresses()
        changes.apply(ETH1.replace("dhcp: true", "dhcp: false"))

    (row,) = leased.node.pod.ip("-j -4 address show dev eth1")[0]["addr_info"]
    assert leased.addresses() == before
    assert "dynamic" not in row
    assert leased.routes() == {}
    assert leased.resolv_conf == "# by hand\n"
    assert files.names(leased.node.host) == ()


@pytest.mark.parametrize("there", [(), ("198.51.100.7",)], ids=("empty", "met already"))
def test_dhcp_that_ends_with_a_list_leaves_no_other_address(
    leased: LeasedNode, changes: Changes, there: tuple[str, ...]
) -> None:
    rows = ", ".join(f"{{ip: {address}, prefix-length: 24}}" for address in there)
    text = ETH1.replace("dhcp: true", f"dhcp: false, address: [{rows}]")
    with dhcp.server(leased.far, "far1", *OPTIONS):
        changes.apply(ETH1)
        leased.node.ip(*(f"address add {address}/24 dev eth1" for address in there))
        outcomes = [changes.apply(text) for _ in range(2)]

    assert outcomes == [ChangeOutcome.COMMITTED, ChangeOutcome.NOTHING_TO_DO]
    assert leased.addresses() == [f"{address}/24" for address in there]


TO_STATIC = """
capture:
  nic: interfaces.name == "eth1"
  its-routes: routes.running.next-hop-interface == "eth1"
  dns: dns-resolver.running
desired:
  interfaces:
  - name: eth1
    type: ethernet
    state: up
    ipv4: {enabled: true, dhcp: false, address: "{{ capture.nic.interfaces.0.ipv4.address }}"}
  routes: {config: "{{ capture.its-routes.routes.running }}"}
  dns-resolver: {config: "{{ capture.dns.dns-resolver.running }}"}
"""


@pytest.mark.parametrize("text", [TO_STATIC, ETH1.replace("dhcp: true", "dhcp: false")])
def test_a_lease_that_becomes_static_is_so_after_a_boot_too(
    leased: LeasedNode, changes: Changes, text: str
) -> None:
    """The policy is nmstate's example of a lease that is converted."""
    with dhcp.server(leased.far, "far1", *OPTIONS):
        changes.apply(ETH1)
        before = leased.addresses()
        outcomes = [changes.apply(text, name="uplink") for _ in range(2)]
    leased.node.ip("address flush dev eth1", "link set eth1 down")

    failures = changes.inside(lambda: booting.boot(leased.node.site, leased.node.host, print))

    assert outcomes == [ChangeOutcome.COMMITTED, ChangeOutcome.NOTHING_TO_DO]
    assert failures == []
    assert leased.addresses() == before


def test_a_boot_goes_on_without_a_server_and_its_client_asks_on(
    leased: LeasedNode, changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(booting, "_LEASE_S", 1.0)
    with dhcp.server(leased.far, "far1", *OPTIONS):
        changes.apply(ETH1, name="uplink")
        (address,) = leased.addresses()
    leased.stop()
    leased.node.ip("address flush dev eth1")
    said: list[str] = []

    failed = changes.inside(lambda: booting.boot(leased.node.site, leased.node.host, said.append))
    status = leased.await_status(lambda one: one.is_holding)
    with dhcp.server(leased.far, "far1", *OPTIONS):
        leased.await_lease()
    assert failed == []
    assert not status.is_confirmed
    assert leased.addresses() == [address]


def test_two_documents_have_a_client_each_and_one_that_is_silent_holds_no_other(
    leased: LeasedNode, changes: Changes
) -> None:
    with dhcp.server(leased.far, "far1", lease_s=20):
        changes.apply(ETH1, name="first")
        changes.apply(ETH1.replace("eth1", "eth2"), name="second")
        first = leased.addresses(), leased.addresses("eth2")
        leased.node.ip("link set wire2 down")
        leased.await_status(lambda status: not status.is_holding, "eth2")
        second = leased.addresses(), leased.addresses("eth2")

    assert all(len(addresses) == 1 for addresses in first)
    assert first[0] != first[1]
    assert second == (first[0], [])
    assert leased.status().is_leased
