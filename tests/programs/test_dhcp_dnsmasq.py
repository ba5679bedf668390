"""Debian's dnsmasq as the server of DHCP: it knows a client by its id, and compresses domains.

For the node's own client, and for the dhcp plugin over a pod's bond.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sriovbond.dhcp.packet import DhcpOption
from sriovbond.dhcp.wish import DhcpWish, make_id
from sriovbond.host import Host
from tests.support import dhcp
from tests.support.agents import wait_for
from tests.support.calls import Runtime, a_config
from tests.support.dhcp_clients import MAC, LeasedNode, a_leased_node, requests_to
from tests.support.pods import a_pod, bridge_over, wire_up
from tests.support.watching import active

OPTIONS = (
    "option:classless-static-route,10.0.0.0/8,192.0.2.7,0.0.0.0/0,192.0.2.1",
    "option:domain-search,eng.example.org,marketing.example.org",
    "option:dns-server,192.0.2.53",
    "26,1400",
)


@pytest.fixture
def leased(tmp_path: Path) -> Iterator[LeasedNode]:
    with a_leased_node(tmp_path) as made:
        yield made


def test_a_lease_of_dnsmasq_is_used_whole_and_stays_with_another_mac(leased: LeasedNode) -> None:
    with dhcp.dnsmasq(leased.far, "far1", *OPTIONS):
        leased.start()
        leased.await_lease()
        before = leased.addresses(), leased.routes(), leased.resolv_conf
        with requests_to(leased.far, "far1") as requests:
            leased.node.ip(
                "link set eth1 down", "link set eth1 address 02:00:00:00:00:77", "link set eth1 up"
            )
            asked = leased.await_requests(requests)
            leased.await_lease()

    assert before[1] == {"10.0.0.0/8": "192.0.2.7", "default": "192.0.2.1"}
    assert before[2] == (
        "# by hand\nsearch eng.example.org marketing.example.org\nnameserver 192.0.2.53\n"
    )
    assert (leased.addresses(), leased.routes(), leased.resolv_conf) == before
    assert {message.mac.hex() for message in asked} == {"020000000077"}
    assert leased.node.site.link("eth1").number(4) == 1400


@pytest.mark.parametrize("text", ["iaid+duid", "ff:0:a1:1", "node-7"])
def test_the_server_gets_the_client_id_of_the_document(leased: LeasedNode, text: str) -> None:
    id_ = make_id(text, "eth1", MAC, "machine")

    with (
        dhcp.dnsmasq(leased.far, "far1"),
        requests_to(leased.far, "far1") as requests,
    ):
        leased.start(DhcpWish(id_.hex(), dhcp_client_id=text))
        leased.await_lease()
        sent = requests()

    assert {message.options[DhcpOption.CLIENT_ID] for message in sent} == {id_}


def test_a_pods_address_by_its_client_id_outlives_a_failover_that_changes_the_bonds_mac(
    tmp_path: Path,
) -> None:
    """The dhcp plugin asks anew when 85 % of the lease are over, here 120 s."""
    links = [{"name": "net1"}, {"name": "net2"}]
    config = a_config(links=links, ipam=dhcp.IPAM, failOverMac="active")
    client, server = tmp_path / "client", tmp_path / "server"
    with a_pod() as pod, a_pod("far") as far:
        wire_up(pod, far)
        bridge_over(far, "192.0.2.1/24")
        runtime = Runtime(Host(state=tmp_path / "state", run=tmp_path / "run"), pod)
        with dhcp.dnsmasq(far, "br0", log=server), dhcp.daemon(client, *dhcp.SOON):
            (leased,) = runtime.add(config).ok()["ips"]
            before = pod.the_bond().mac
            far.ip(f"link set {active(pod).replace('net', 'far')} down")
            wait_for(lambda: "lease rebound" in client.read_text(), 240)
            after = pod.the_bond().mac
            runtime.delete(config).ok()

    assert after != before
    assert f"DHCPACK(br0) {leased['address'].partition('/')[0]} {after}" in server.read_text()
