"""IPAM sections of configurations, and IPAM's addresses and routes in a pod."""

from pathlib import Path
from typing import Any, Protocol

from tests.support.calls import a_config
from tests.support.pods import Pod


class HasLinks(Protocol):
    """Links as a configuration names them."""

    @property
    def links(self) -> list[dict[str, str]]: ...


IPV4, IPV6 = "192.0.2.10/24", "2001:db8::10/64"
GATEWAYS = {IPV4: "192.0.2.1", IPV6: "2001:db8::1"}


def static(*addresses: str, **keys: object) -> dict[str, object]:
    entries = [{"address": address, "gateway": GATEWAYS[address]} for address in addresses]
    return {"type": "static", "addresses": entries, **keys}


def give_default_network(pod: Pod) -> None:
    """Give a pod the interface of its default network, with a default route of each family."""
    pod.batch(
        "link add eth0 up type dummy",
        "addr add 198.51.100.5/24 dev eth0",
        "addr add 2001:db8:51::5/64 dev eth0 nodad",
        "route add default via 198.51.100.1 dev eth0",
        "route add ::/0 via 2001:db8:51::1 dev eth0",
    )


def addresses(pod: Pod, name: str = "bond0") -> dict[str, dict[str, Any]]:
    """Return the configured addresses, with the kernel's attributes of each."""
    (link,) = pod.ip(f"-j addr show {name}")
    return {
        f"{address['local']}/{address['prefixlen']}": address
        for address in link["addr_info"]
        if address["scope"] == "global"
    }


def routes(pod: Pod, name: str = "bond0") -> list[dict[str, Any]]:
    """Return the configured routes."""
    all_routes = [
        *pod.ip(f"-4 -d -j route show table all dev {name}"),
        *pod.ip(f"-6 -d -j route show table all dev {name}"),
    ]
    return [route for route in all_routes if route.get("protocol") == "boot"]


def network(address: str) -> str:
    return "192.0.2.0/24" if address == IPV4 else "2001:db8::/64"


def reserved_in(folder: Path) -> set[str]:
    return {file.name for file in folder.rglob("*") if file.is_file() and file.name[0].isdigit()}


def over(wires: HasLinks, ipam: object, **keys: object) -> dict[str, object]:
    """Return a configuration of ours over these links."""
    return a_config(links=wires.links, ipam=ipam, **keys)
