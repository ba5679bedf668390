"""A consumer without Kubernetes: libcni, a named namespace, runtimeConfig, no K8S_POD_*."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from sriovbond import records
from sriovbond.host import Host
from tests.kernel.conftest import Wires
from tests.support.agents import an_agent
from tests.support.calls import a_config
from tests.support.leases import IPV4, IPV6
from tests.support.libcni import Tool, a_tool
from tests.support.pods import Pod
from tests.support.shims import Shim

pytestmark = pytest.mark.long

MAC = "02:00:00:00:00:77"
ASKED = {"ips": [IPV4, IPV6], "mac": MAC}


@pytest.fixture(params=["thin", "thick"])
def consumer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Tool, Host]]:
    """Yield cnitool with the plugin in thin mode, and with the shim before an agent."""
    with ExitStack() as held:
        if request.param == "thin":
            yield a_tool(tmp_path, Path(sys.executable).with_name("sriovbond")), Host()
            return
        shim: Shim = request.getfixturevalue("shim")
        held.enter_context(an_agent(shim))
        yield a_tool(tmp_path, shim.program), Host(state=shim.state)


def asking(links: object) -> dict[str, object]:
    return a_config(
        links=links,
        ipam={"type": "static"},
        capabilities={"mac": True, "ips": True},
        policy="strict",
        redundancy="off",
    )


def addresses(pod: Pod) -> set[str]:
    [link] = pod.ip("-j address show dev bond0")
    told: list[dict[str, Any]] = link["addr_info"]
    return {f"{one['local']}/{one['prefixlen']}" for one in told if one["scope"] == "global"}


def test_libcni_alone_adds_checks_and_deletes_with_the_mac_and_addresses_it_asks_for(
    consumer: tuple[Tool, Host], wires: Wires
) -> None:
    tool, host = consumer
    tool.define(asking(wires.links))
    before = {name: wires.pod.link(name) for name in wires.names}

    result = tool.ok("add", wires.pod.path, ASKED)
    bond, found = wires.pod.bond(), addresses(wires.pod)
    [record] = records.read_all(host)[0]
    tool.ok("check", wires.pod.path, ASKED)
    wires.pod.ip(f"address del {IPV4} dev bond0")
    checked = tool.run("check", wires.pod.path, ASKED)
    tool.ok("del", wires.pod.path, ASKED)

    assert bond is not None
    assert (bond.mac, found) == (MAC, {IPV4, IPV6})
    assert [member.name for member in bond.members] == list(wires.names)
    assert [one["address"] for one in result["ips"]] == [IPV4, IPV6]
    assert result["interfaces"] == [
        {"name": "bond0", "mac": MAC, "mtu": bond.mtu, "sandbox": wires.pod.path}
    ]
    assert record.pod == ("", "", "")
    assert checked.returncode != 0
    assert IPV4 in checked.stdout + checked.stderr
    assert wires.pod.bond() is None
    assert records.read_all(host)[0] == []
    macs = [link.mac for link in before.values() if link]
    assert [link.mac for name in wires.names if (link := wires.pod.link(name))] == macs


def test_an_mtu_that_the_asked_ipv6_address_does_not_fit_into_is_refused_untouched(
    consumer: tuple[Tool, Host], wires: Wires
) -> None:
    tool, host = consumer
    tool.define({**asking(wires.links), "mtu": 500})

    refused = tool.run("add", wires.pod.path, ASKED)

    assert refused.returncode != 0
    assert "[address-needs-larger-mtu]" in refused.stdout + refused.stderr
    assert (wires.pod.bond(), records.read_all(host)[0]) == (None, [])


def test_two_of_our_bonds_in_one_list_are_refused_and_the_first_is_undone(
    consumer: tuple[Tool, Host], wires: Wires
) -> None:
    tool, host = consumer
    tool.define(asking(wires.links), asking("auto"))

    refused = tool.run("add", wires.pod.path, ASKED)
    tool.ok("del", wires.pod.path, ASKED)

    assert refused.returncode != 0
    told = refused.stdout + refused.stderr
    assert "an earlier plugin of this list made bond0; give the bond a network of its own" in told
    assert (wires.pod.bond(), records.read_all(host)[0]) == (None, [])
