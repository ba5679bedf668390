"""A route whose source is a new IPv6 address: the kernel takes none that it still asks for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.changes import Changes
from tests.support.sites import NodeUnderTest, a_node_with_wires

SOURCE = "2001:db8::9"
ROUTE = f"{{destination: '2001:db8:9::/48', next-hop-interface: eth2, source: '{SOURCE}'}}"
ADDRESS = f"[{{ip: '{SOURCE}', prefix-length: 64}}]"
TEXT = f"""
interfaces:
- {{name: eth1, ipv6: {{enabled: true, dhcp: false, autoconf: false, address: {ADDRESS}}}}}
routes: {{config: [{ROUTE}]}}
"""


pytestmark = pytest.mark.usefixtures("without_watchdog")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeUnderTest]:
    with a_node_with_wires(tmp_path) as made:
        yield made


def test_a_route_by_a_new_address_is_made_when_the_kernel_has_asked_for_it(
    node: NodeUnderTest,
) -> None:
    Changes(node, []).assert_reverted_whole(TEXT)


def test_a_route_by_an_address_that_goes_is_reverted_when_that_is_back(node: NodeUnderTest) -> None:
    node.ip(f"address add {SOURCE}/64 dev eth1")
    node.settle()
    node.ip(f"route add 2001:db8:9::/48 dev eth2 src {SOURCE}")
    before, changes = node.settle(), Changes(node, [])
    none = "interfaces: [{name: eth1, ipv6: {enabled: true, dhcp: false, address: []}}]"
    changes.apply(none, is_waiting=True)

    changes.rollback()

    node.assert_is(before)
