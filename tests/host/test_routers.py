"""SLAAC in a document: of a router's word an interface takes what the document says."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sriovbond.trial.transaction import ChangeOutcome, RevertedError
from tests.support.agents import wait_for
from tests.support.background import repeated
from tests.support.changes import Changes
from tests.support.dhcp_clients import a_switch
from tests.support.pods import a_pod
from tests.support.routers import ROUTE, Router
from tests.support.sites import NodeUnderTest, a_node

ETH1 = "interfaces: [{name: eth1, type: ethernet, ipv6: {enabled: true, autoconf: true%s}}]"
DEFAULT = "default"
SOON_S = 10.0
"""A slow machine needs longer for the rest, and reverts then for the time that is over."""


@pytest.fixture
def advertised(tmp_path: Path) -> Iterator[tuple[NodeUnderTest, Router]]:
    """A node with eth1 on a switch, and a router behind that."""
    with a_pod("far") as far, a_node(tmp_path) as node:
        a_switch(node.pod, far)
        # else its answers say that it is no router, and the kernel forgets it as a gateway
        far.run("sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
        yield node, Router(far, "far1")


def routes(node: NodeUnderTest) -> dict[str, int]:
    """Return the metric of each route of a router, by its network."""
    rows = node.pod.ip("-j -6 route show dev eth1 proto ra")
    return {row["dst"]: row["metric"] for row in rows}


def await_routes(node: NodeUnderTest, router: Router, expected: set[str]) -> None:
    """Have the router advertise itself until these are there, and no others."""

    def are_there() -> bool:
        router.advertise()
        return set(routes(node)) == expected

    wait_for(are_there)


@pytest.mark.usefixtures("without_watchdog")
def test_a_change_waits_for_the_address_of_a_router(
    advertised: tuple[NodeUnderTest, Router],
) -> None:
    node, router = advertised
    changes, before = Changes(node, []), node.settle()
    text = (ETH1 % "").replace("type: ethernet", "type: ethernet, wait-ip: ipv6, mtu: 1400")

    with pytest.raises(RevertedError, match=r"wait-ip waits|longer than its time"):
        changes.apply(text, SOON_S)
    node.assert_is(before)

    with repeated(router.advertise, 0.2):
        assert changes.apply(text) is ChangeOutcome.COMMITTED
    assert "2001:db8:5:" in node.pod.run("ip", "-6", "address", "show", "eth1").stdout


def test_gateway_and_routes_of_a_router_are_taken_as_the_document_says(
    advertised: tuple[NodeUnderTest, Router],
) -> None:
    node, router = advertised
    theirs = f"{ROUTE}/48"

    assert node.apply(ETH1 % "") == []
    await_routes(node, router, {DEFAULT})
    assert node.is_quiet_on_repeat(ETH1 % "")

    without_gateway = ETH1 % ", auto-gateway: false, auto-routes: true"
    assert node.apply(without_gateway) == []
    assert DEFAULT not in routes(node)
    await_routes(node, router, {theirs})
    assert node.is_quiet_on_repeat(without_gateway)
    assert node.is_quiet_on_repeat(node.show())

    without_routes = ETH1 % ", auto-gateway: true, auto-routes: false, auto-route-metric: 50"
    assert node.apply(without_routes) == []
    assert theirs not in routes(node)
    await_routes(node, router, {DEFAULT})
    assert routes(node)[DEFAULT] == 50
    assert node.is_quiet_on_repeat(without_routes)
    assert node.is_quiet_on_repeat(node.show())


OWN = "2001:db8::9"
WITH_OWN = f", address: [{{ip: '{OWN}', prefix-length: 64}}]"
LISTS = {"left out": "", "empty": ", address: []", "met already": WITH_OWN}
STAYS = {"left out": True, "empty": False, "met already": False}


@pytest.fixture
def addressed(advertised: tuple[NodeUnderTest, Router]) -> NodeUnderTest:
    """The node with an address of its own, one of the router, and the router as its gateway."""
    node, router = advertised
    assert node.apply(ETH1 % WITH_OWN) == []
    await_routes(node, router, {DEFAULT})
    return node


def without_slaac(row: str) -> str:
    text = ETH1 % f", dhcp: false{LISTS[row]}"
    return text.replace("autoconf: true", "autoconf: false")


@pytest.mark.parametrize("row", LISTS)
def test_addresses_of_a_router_stay_without_slaac_unless_a_list_says_otherwise(
    addressed: NodeUnderTest, row: str
) -> None:
    text = without_slaac(row)

    assert Changes(addressed, []).apply(text) is ChangeOutcome.COMMITTED

    after = addressed.pod.run("ip", "-6", "address", "show", "eth1").stdout
    assert ("2001:db8:5:" in after) is STAYS[row]
    assert (OWN in after) is (row != "empty")
    assert routes(addressed) == {}
    assert addressed.is_quiet_on_repeat(text)


@pytest.mark.parametrize("row", LISTS)
def test_a_revert_puts_back_addresses_and_routes_of_a_router(
    addressed: NodeUnderTest, row: str
) -> None:
    before, changes = addressed.settle(), Changes(addressed, [])
    refused = (
        "routes: {config: [{destination: '2001:db8:99::/48', next-hop-interface: eth1,"
        " next-hop-address: '2001:db8:77::1'}]}"
    )

    with pytest.raises(RevertedError):
        changes.apply(f"{without_slaac(row)}\n{refused}")

    addressed.assert_is(before)
