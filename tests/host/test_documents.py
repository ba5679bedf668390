"""Documents as operators have them, word for word: a worker's policies, and those of the docs.

The node's NICs have the names that the documents use.
"""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from sriovbond.dhcp import files
from sriovbond.nodenet import document
from sriovbond.survey import diagnosis, lacp
from sriovbond.survey.diagnosis import Patient
from sriovbond.trial.transaction import ChangeOutcome
from tests.docs_tables import CHECKOUT
from tests.support import dhcp
from tests.support.changes import Changes
from tests.support.dhcp_clients import LeasedNode, a_leased_node
from tests.support.sites import NodeUnderTest, a_node_with_wires

DATA = CHECKOUT / "tests/data/host"
NICS = ("ens224", "ens256")
OF_THE_PAGE = ("enp7s0", "enp8s0")
FASTER = {"miimon": 50, "downdelay": 200, "updelay": 200}


def policy(name: str) -> str:
    return (DATA / f"worker-bond-{name}.yml").read_text("utf-8")


def of_the_page() -> tuple[str, str]:
    """Return the documents that take the place of nmcli: a bond with addresses, a bridge."""
    page = (CHECKOUT / "docs/host.md").read_text("utf-8")
    section = page.partition("## From nmcli to a document")[2].partition("\n## ")[0]
    with_addresses, with_a_bridge = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    return with_addresses, with_a_bridge


def rename(node: NodeUnderTest, names: tuple[str, str]) -> None:
    for former, name in zip(("eth1", "eth2"), names, strict=True):
        node.ip(f"link set {former} down", f"link set {former} name {name}")
        node.ip(f"link set {name} up")


@pytest.fixture
def leased(tmp_path: Path) -> Iterator[LeasedNode]:
    """A worker node with ens224 and ens256, and a far side for a DHCP server."""
    with a_leased_node(tmp_path) as made:
        rename(made.node, NICS)
        yield made


@pytest.fixture
def page_node(tmp_path: Path) -> Iterator[NodeUnderTest]:
    with a_node_with_wires(tmp_path) as made:
        rename(made, OF_THE_PAGE)
        yield made


def addresses(node: NodeUnderTest, name: str) -> list[str]:
    rows = node.pod.ip(f"-j address show dev {name}")
    return [
        f"{one['local']}/{one['prefixlen']}"
        for row in rows
        for one in row["addr_info"]
        if one["scope"] == "global"
    ]


def apply_twice(changes: Changes, text: str) -> None:
    assert changes.apply(text) is ChangeOutcome.COMMITTED
    changes.node.sent.clear()
    assert changes.apply(text) is ChangeOutcome.NOTHING_TO_DO
    assert changes.node.sent == []


POLICIES = {
    "lacp": (
        {"mode": "802.3ad", "miimon": 100, "lacp_rate": "fast", "xmit_hash_policy": "layer3+4"},
        "192.168.100.10/24",
    ),
    "active-backup": (
        {"mode": "active-backup", "miimon": 100, "primary": "ens224"},
        "10.10.0.10/24",
    ),
    "rr": ({"mode": "balance-rr", "miimon": 100}, "192.0.2.10"),
}


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_of_a_worker_is_applied_as_it_is_written(leased: LeasedNode, name: str) -> None:
    expected, address = POLICIES[name]
    server: AbstractContextManager[None] = nullcontext()
    if name == "rr":
        server = dhcp.server(leased.far, "far1")

    with server:
        apply_twice(Changes(leased.node, []), policy(name))

    bond = leased.node.pod.the_bond()
    settings = dict(bond.settings)
    assert {key: settings.get(key) for key in expected} == expected
    assert {member.name for member in bond.members} == {*NICS}
    assert [row.startswith(address) for row in addresses(leased.node, "bond0")] == [True]
    assert [addresses(leased.node, nic) for nic in NICS] == [[], []]
    assert files.names(leased.node.host) == (("bond0",) if name == "rr" else ())


def test_the_policys_bond_notices_a_failure_faster_in_place(leased: LeasedNode) -> None:
    changes = Changes(leased.node, [])
    changes.apply(policy("lacp"))
    options = "".join(f'            {key}: "{value}"\n' for key, value in FASTER.items())
    text = policy("lacp").replace('            miimon: "100"\n', options)
    changes.node.sent.clear()

    assert changes.apply(text) is ChangeOutcome.COMMITTED

    assert len(changes.node.sent) == 1
    settings = dict(leased.node.pod.the_bond().settings)
    assert {key: settings[key] for key in FASTER} == FASTER


def findings(node: NodeUnderTest, text: str) -> set[str]:
    state = node.read()
    wish = document.unite(document.read(text, state)).state
    patient = Patient(state, lacp.read(node.site.node), wish)
    return {str(row.rule) for row in diagnosis.examine(patient)}


def test_a_port_with_an_address_and_one_that_left_are_found(leased: LeasedNode) -> None:
    """The commonest reasons for a bond without connectivity, as the kernel shows them."""
    text = policy("active-backup")
    Changes(leased.node, []).apply(text)
    fine = findings(leased.node, text)

    leased.node.ip("address add 10.10.0.11/24 dev ens224", "link set ens256 nomaster")

    assert fine == set()
    assert findings(leased.node, text) == {"port-carries-addresses", "port-not-enslaved"}


def test_the_documents_for_nmcli_are_applied_one_after_the_other(page_node: NodeUnderTest) -> None:
    with_addresses, with_a_bridge = of_the_page()
    changes = Changes(page_node, [])

    apply_twice(changes, with_addresses)

    assert addresses(page_node, "bond0") == ["192.0.2.1/24", "2001:db8:1::1/64"]
    gateways = {
        row["gateway"]
        for family in ("-4", "-6")
        for row in page_node.pod.ip(f"-j {family} route show default")
    }
    assert gateways == {"192.0.2.254", "2001:db8:1::fffe"}
    resolver = (page_node.host.root / "etc/resolv.conf").read_text("ascii").splitlines()
    assert {"search example.com", "nameserver 192.0.2.253", "nameserver 2001:db8:1::fffd"} <= {
        *resolver
    }
    assert page_node.pod.the_bond().settings["mode"] == "active-backup"

    apply_twice(changes, with_a_bridge)

    masters = {row["ifname"]: row.get("master") for row in page_node.pod.ip("-j link")}
    assert [masters[nic] for nic in OF_THE_PAGE] == ["bond0", "bond0"]
    assert masters["bond0"] == "br0"
    assert addresses(page_node, "bond0") + addresses(page_node, "br0") == []
