"""IPAM's result on the bond: addresses, routes and sysctls in the kernel."""

import itertools
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sriovbond import ipam
from sriovbond.cni.request import parse_request
from sriovbond.host import Host
from sriovbond.ipam import IpamError
from sriovbond.kernel import netns
from tests.kernel.conftest import Wires
from tests.support import ipams
from tests.support.agents import wait_for
from tests.support.calls import Runtime, a_config
from tests.support.leases import (
    GATEWAYS,
    IPV4,
    IPV6,
    addresses,
    give_default_network,
    network,
    over,
    reserved_in,
    routes,
    static,
)
from tests.support.pods import Pod, ip
from tests.support.shims import variables

FAMILIES = {"ipv4": (IPV4,), "ipv6": (IPV6,), "dual": (IPV4, IPV6)}
LOOK = ("arp_notify", "ndisc_notify", "disable_ipv6", "keep_addr_on_down")


def sysctls(pod: Pod, name: str = "bond0") -> dict[str, str | None]:
    keys = [f"ipv4/conf/{name}/arp_notify", *(f"ipv6/conf/{name}/{one}" for one in LOOK[1:])]
    with netns.opened(pod.path) as inside:
        return {key.split("/")[-1]: inside.sysctl(key) for key in keys}


@pytest.mark.parametrize("family", FAMILIES)
def test_static_addresses_are_set_on_the_bond_and_in_the_result(
    runtime: Runtime, wires: Wires, family: str
) -> None:
    asked = FAMILIES[family]
    config = over(wires, static(*asked))

    result = runtime.add(config).ok()

    assert set(addresses(wires.pod)) == set(asked)
    assert result["ips"] == [
        {"address": one, "gateway": GATEWAYS[one], "interface": 0} for one in asked
    ]
    runtime.check(config, result).ok()
    runtime.delete(config).ok()
    assert wires.pod.bond() is None


@pytest.mark.parametrize("family", FAMILIES)
def test_addresses_of_host_local_are_reserved_at_add_and_released_at_del(
    runtime: Runtime, wires: Wires, family: str, tmp_path: Path
) -> None:
    ranges = [[{"subnet": str(network(one))}] for one in FAMILIES[family]]
    config = over(
        wires, {"type": "host-local", "dataDir": str(tmp_path / "ipam"), "ranges": ranges}
    )

    result = runtime.add(config).ok()
    reserved = reserved_in(tmp_path / "ipam")
    runtime.check(config, result).ok()
    standing = set(addresses(wires.pod))
    runtime.delete(config).ok()

    assert standing == {one["address"] for one in result["ips"]}
    assert reserved == {one.split("/")[0] for one in standing}
    assert reserved_in(tmp_path / "ipam") == set()


def test_a_result_without_ipam_holds_the_bond_alone(runtime: Runtime, wires: Wires) -> None:
    result = runtime.add(a_config(links=wires.links)).ok()

    assert result.keys() == {"cniVersion", "interfaces"}
    assert addresses(wires.pod) == {}


Fields = dict[str, object]
ROUTES: dict[str, tuple[Fields, Fields]] = {
    "via-the-gateway-of-the-address": (
        {"dst": "198.51.100.0/24"},
        {"dst": "198.51.100.0/24", "gateway": "192.0.2.1"},
    ),
    "via-its-own-gateway": (
        {"dst": "198.51.100.0/24", "gw": "192.0.2.7"},
        {"dst": "198.51.100.0/24", "gateway": "192.0.2.7"},
    ),
    "default": ({"dst": "0.0.0.0/0"}, {"dst": "default", "gateway": "192.0.2.1"}),
    "default-of-ipv6": ({"dst": "::/0"}, {"dst": "default", "gateway": "2001:db8::1"}),
    "ipv6": (
        {"dst": "2001:db8:7::/48", "gw": "2001:db8::7"},
        {"dst": "2001:db8:7::/48", "gateway": "2001:db8::7"},
    ),
    "mtu-and-advmss": (
        {"dst": "198.51.100.0/24", "mtu": 1300, "advmss": 1200},
        {"metrics": [{"mtu": 1300, "advmss": 1200}]},
    ),
    "mtu-and-advmss-of-ipv6": (
        {"dst": "2001:db8:7::/48", "mtu": 1300, "advmss": 1220},
        {"metrics": [{"mtu": 1300, "advmss": 1220}]},
    ),
    "priority": ({"dst": "198.51.100.0/24", "priority": 77}, {"metric": 77}),
    "priority-of-ipv6": ({"dst": "2001:db8:7::/48", "priority": 77}, {"metric": 77}),
    "table": ({"dst": "198.51.100.0/24", "table": 1234}, {"table": "1234"}),
    "table-of-ipv6": ({"dst": "2001:db8:7::/48", "table": 1234}, {"table": "1234"}),
    "scope-link": ({"dst": "198.51.100.0/24", "scope": 253}, {"scope": "link"}),
    "all": (
        {
            "dst": "198.51.100.0/24",
            "gw": "192.0.2.7",
            "mtu": 1300,
            "advmss": 1200,
            "priority": 77,
            "table": 1234,
            "scope": 0,
        },
        {"gateway": "192.0.2.7", "metric": 77, "table": "1234", "scope": "global"},
    ),
}


@pytest.mark.parametrize("row", ROUTES)
def test_a_route_is_set_with_all_its_fields(runtime: Runtime, wires: Wires, row: str) -> None:
    asked, expected = ROUTES[row]
    config = over(wires, static(IPV4, IPV6, routes=[asked]))

    result = runtime.add(config).ok()

    (found,) = routes(wires.pod)
    assert expected.items() <= found.items(), found
    assert ("gateway" in found) == (row != "scope-link")
    assert result["routes"] == [asked]
    runtime.check(config, result).ok()


def test_a_thousand_routes_are_set_and_found_among_a_thousand_others(
    runtime: Runtime, wires: Wires
) -> None:
    targets = [f"10.{number >> 8}.{number & 255}.0/24" for number in range(1000)]
    config = over(wires, static(IPV4, routes=[{"dst": target} for target in targets]))

    result = runtime.add(config).ok()
    others = (target.replace("10.", "172.", 1) for target in targets)
    wires.pod.batch(*(f"route add {other} dev bond0" for other in others))
    runtime.check(config, result).ok()
    wires.pod.ip(f"route del {targets[-1]}")
    drift = runtime.check(config, result)

    assert len(result["routes"]) == len(targets)
    assert f"missing the route to {targets[-1]} via" in drift.msg


def test_dns_of_ipam_is_in_the_result(runtime: Runtime, wires: Wires) -> None:
    dns = {"nameservers": ["192.0.2.53"], "domain": "example.com", "search": ["example.com"]}

    result = runtime.add(over(wires, static(IPV4, dns=dns))).ok()

    assert result["dns"] == dns


def test_dns_of_the_configuration_is_in_the_result_before_that_of_ipam(
    runtime: Runtime, wires: Wires
) -> None:
    own = {"nameservers": ["192.0.2.1"]}
    ipam = static(IPV4, dns={"nameservers": ["192.0.2.53"]})

    result = runtime.add(over(wires, ipam, dns=own)).ok()

    assert result["dns"] == own


@pytest.mark.parametrize("asked", [(), (IPV4,), (IPV6,)], ids=["no-ipam", "ipv4", "ipv6"])
def test_the_bond_has_the_sysctls_of_well_kept_plugins(
    runtime: Runtime, wires: Wires, asked: tuple[str, ...]
) -> None:
    runtime.add(over(wires, static(*asked)) if asked else a_config(links=wires.links)).ok()

    keeps = "1" if IPV6 in asked else "0"
    assert sysctls(wires.pod) == {
        "arp_notify": "1",
        "ndisc_notify": "1",
        "disable_ipv6": "0",
        "keep_addr_on_down": keeps,
    }


@pytest.mark.parametrize("key", ["all", "default"])
def test_ipv6_is_switched_on_for_the_bond_of_a_pod_that_has_it_off(
    runtime: Runtime, wires: Wires, key: str
) -> None:
    with netns.opened(wires.pod.path) as pod:
        pod.set_sysctls({f"ipv6/conf/{key}/disable_ipv6": "1"})

    runtime.add(over(wires, static(IPV6, routes=[{"dst": "::/0"}]))).ok()

    assert sysctls(wires.pod)["disable_ipv6"] == "0"
    assert set(addresses(wires.pod)) == {IPV6}
    assert [route["dst"] for route in routes(wires.pod)] == ["default"]


def test_a_pod_that_began_without_ipv6_reaches_its_own_address(
    runtime: Runtime, wires: Wires
) -> None:
    wires.pod.ip("link set lo up")
    with netns.opened(wires.pod.path) as pod:
        pod.set_sysctls({"ipv6/conf/all/disable_ipv6": "1"})

    runtime.add(over(wires, static(IPV6))).ok()

    wait_for(lambda: not addresses(wires.pod)[IPV6].get("tentative"))
    own = IPV6.partition("/")[0]
    assert wires.pod.run("ping", "-n", "-c1", "-W2", own).returncode == 0


def test_ipv6_stays_off_on_the_bond_of_a_pod_that_has_it_off_and_asks_for_none(
    runtime: Runtime, wires: Wires
) -> None:
    with netns.opened(wires.pod.path) as pod:
        pod.set_sysctls({"ipv6/conf/default/disable_ipv6": "1"})

    runtime.add(over(wires, static(IPV4))).ok()

    assert sysctls(wires.pod)["disable_ipv6"] == "1"


def test_add_waits_neither_for_a_carrier_nor_for_dad(
    runtime: Runtime, wires: Wires, note: Callable[[str], None]
) -> None:
    for number in (1, 2):
        wires.far.ip(f"link set far{number} down")
    config = over(wires, static(IPV4, IPV6))
    started = time.monotonic()

    result = runtime.add(config).ok()

    took = time.monotonic() - started
    note(f"ADD over veth without a carrier, with IPAM (exec of static): {took:.2f} s")
    state = wires.pod.bond()
    assert state is not None
    assert not state.has_carrier
    assert addresses(wires.pod)[IPV6].get("tentative")
    runtime.check(config, result).ok()


def test_the_bonds_ipv6_address_is_usable_once_the_carrier_has_come(
    runtime: Runtime, wires: Wires
) -> None:
    for number in (1, 2):
        wires.far.ip(f"link set far{number} down")
    runtime.add(over(wires, static(IPV6))).ok()

    for number in (1, 2):
        wires.far.ip(f"link set far{number} up")

    wait_for(lambda: not addresses(wires.pod)[IPV6].get("tentative"))


def test_each_bond_of_a_pod_has_addresses_of_its_own(
    runtime: Runtime, wires: Wires, tmp_path: Path
) -> None:
    for number, name in itertools.product((3, 4), ("net",)):
        ip(f"link add {name}{number} netns {wires.pod.name} type dummy")
    ipam = {
        "type": "host-local",
        "dataDir": str(tmp_path / "ipam"),
        "ranges": [[{"subnet": "192.0.2.0/24"}]],
    }
    second = Runtime(runtime.host, runtime.pod, ifname="bond1")
    others = a_config(links=[{"name": "net3"}, {"name": "net4"}], ipam=ipam)

    runtime.add(over(wires, ipam)).ok()
    second.add(others).ok()
    runtime.delete(over(wires, ipam)).ok()

    assert len(addresses(wires.pod, "bond1")) == 1
    assert len(reserved_in(tmp_path / "ipam")) == 1
    second.delete(others).ok()


def test_a_default_route_of_the_bond_is_set_beside_that_of_the_default_network(
    runtime: Runtime, wires: Wires
) -> None:
    """bond-cni's README has such a route, and every pod has one by eth0."""
    give_default_network(wires.pod)
    routes = [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]
    config = over(wires, static(IPV4, IPV6, routes=routes))

    result = runtime.add(config).ok()
    runtime.check(config, result).ok()
    runtime.delete(config).ok()

    assert "eth0" in str(wires.pod.ip("-4 route show default"))
    assert "eth0" in str(wires.pod.ip("-6 route show default"))


def test_a_route_by_a_gateway_of_zeros_is_one_over_the_bond_alone(
    runtime: Runtime, wires: Wires
) -> None:
    """As the reference plugins make it; the kernel reports no such gateway."""
    asked = {"dst": "203.0.113.0/24", "gw": "0.0.0.0"}  # noqa: S104 - no bind
    config = over(wires, static(IPV4, routes=[asked]))

    result = runtime.add(config).ok()

    assert result["routes"] == [asked]
    runtime.check(config, result).ok()
    assert "via" not in wires.pod.ip("route show 203.0.113.0/24")
    runtime.delete(config).ok()


@contextmanager
def a_frozen_disk(folder: Path) -> Iterator[Path]:
    """Mount a frozen file system: a writer waits in the kernel, where no signal reaches it."""
    image, disk = folder / "image", folder / "frozen"
    disk.mkdir()
    with image.open("wb") as file:
        file.truncate(8 << 20)
    subprocess.run(["modprobe", "loop"], check=False)  # it may be built in
    for line in (
        f"mke2fs -q -F -t ext4 {image}",
        f"mount -o loop {image} {disk}",
        f"fsfreeze --freeze {disk}",
    ):
        subprocess.run(line.split(), check=True)
    try:
        yield disk
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", disk], check=True)
        subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_a_plugin_that_no_signal_ends_is_left_and_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with a_frozen_disk(tmp_path) as disk:
        path = ipams.scripted(tmp_path, f"echo $$ >{tmp_path}/pid; echo >{disk}/file")
        config = a_config(ipam={"type": "scripted-ipam"})
        request = parse_request(variables("DEL", CNI_PATH=path), json.dumps(config).encode())
        started = time.monotonic()

        with pytest.raises(IpamError, match="it did not end within 1 s and was killed"):
            ipam.delete(request, Host(ipam_timeout_s=1.0))
        took_s = time.monotonic() - started
        still = Path("/proc", (tmp_path / "pid").read_text().strip(), "stat").read_text()

    assert took_s < 30  # of the default 60 s
    assert still.rpartition(") ")[2][0] == "D"
    assert "an IPAM plugin was killed and does not end" in capsys.readouterr().err
