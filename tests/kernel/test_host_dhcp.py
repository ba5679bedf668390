"""A client of DHCP gets a lease from a real server, uses all of it, and keeps it when killed."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from sriovbond.dhcp import files, holding
from sriovbond.dhcp.packet import DhcpOption
from tests.support import dhcp
from tests.support.dhcp_clients import MAC, OPTIONS, LeasedNode, a_leased_node, requests_to

ID = "01" + MAC.hex()


@pytest.fixture
def leased(tmp_path: Path) -> Iterator[LeasedNode]:
    with a_leased_node(tmp_path) as made:
        yield made


def test_a_lease_is_used_whole_and_taken_off_whole(leased: LeasedNode) -> None:
    with dhcp.server(leased.far, "far1", *OPTIONS), requests_to(leased.far, "far1") as requests:
        leased.start()
        status = leased.await_lease()
        sent = requests()
    (address,) = leased.addresses()
    routes, resolv_conf = leased.routes(), leased.resolv_conf
    mtu = leased.node.site.link("eth1").number(4)

    assert address in status.note
    assert routes == {"10.0.0.0/8": "192.0.2.7", "default": "192.0.2.9"}
    assert resolv_conf == (
        "# by hand\nsearch corp.example.org x.example.org\nnameserver 192.0.2.53\n"
    )
    assert mtu == 1400
    assert {message.options[DhcpOption.CLIENT_ID].hex() for message in sent} == {ID}
    leased.stop()
    holding.take_off(leased.node.site.netlink, leased.node.site.link("eth1"))
    assert leased.addresses() == []
    assert leased.routes() == {}


def test_a_killed_client_keeps_its_address_when_it_begins_anew(leased: LeasedNode) -> None:
    with dhcp.server(leased.far, "far1"):
        leased.start()
        leased.await_lease()
        before = leased.addresses()
        os.kill(int(files.lock_path(leased.node.host, "eth1").read_text()), signal.SIGKILL)
        while files.is_running(leased.node.host, "eth1"):
            pass
        assert leased.addresses() == before
        leased.start()
        leased.await_lease()

    assert leased.addresses() == before
