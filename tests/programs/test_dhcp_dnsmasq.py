"""Debian's dnsmasq as the server of DHCP: it knows a client by its id, and compresses domains."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sriovbond.dhcp.packet import DhcpOption
from sriovbond.dhcp.wish import DhcpWish, make_id
from tests.support import dhcp
from tests.support.dhcp_clients import MAC, LeasedNode, a_leased_node, requests_to

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
