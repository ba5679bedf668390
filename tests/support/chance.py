"""Documents by chance: NICs, bonds, bridges, VLANs, addresses, routes, rules and DNS of a node."""

from collections.abc import Sequence
from random import Random

NICS = ("eth1", "eth2", "eth3")
_ROUTES = 3


class Chance:
    """Documents that come from one seed, one after the other."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 - nothing is kept secret by it

    def document(self) -> str:
        """Return the next document."""
        free = list(NICS)
        self._random.shuffle(free)
        bonds = self._bonds(free)
        bridges = self._bridges(free)
        rows = [*bonds, *bridges, *self._vlans(), *self._nics(free)]
        return "".join(
            [
                "interfaces: [\n  " + ",\n  ".join(rows) + "]\n",
                "routes: {config: [\n  " + ",\n  ".join(self._routes()) + "]}\n",
                self._rarely("route-rules: {config: [{ip-from: 192.0.2.0/24, route-table: 77}]}\n"),
                self._rarely("dns-resolver: {config: {server: [192.0.2.53]}}\n"),
            ]
        )

    def _rarely(self, text: str, odds: float = 0.2) -> str:
        return text if self._random.random() < odds else ""

    def _bonds(self, free: list[str]) -> list[str]:
        if self._random.random() < 0.6:
            return []
        if self._random.random() < 0.2:
            return ["{name: bond0, type: bond, state: absent}"]
        ports = [free.pop() for _ in range(self._random.randint(1, 2))]
        mode = self._random.choice(("active-backup", "balance-xor", "802.3ad"))
        miimon = self._random.choice((50, 100))
        bond = f"{{mode: {mode}, options: {{miimon: {miimon}}}, port: [{', '.join(ports)}]}}"
        return [self._link("bond0", "bond", f"link-aggregation: {bond}", has_addresses=True)]

    def _bridges(self, free: list[str]) -> list[str]:
        rows = []
        for name in self._random.sample(("br0", "br1"), self._random.randint(0, 2)):
            if self._random.random() < 0.25:
                rows.append(f"{{name: {name}, type: linux-bridge, state: absent}}")
                continue
            ports = [free.pop() for _ in range(min(len(free), self._random.randint(0, 2)))]
            options = self._rarely("options: {stp: {enabled: false}, mac-ageing-time: 200}, ", 0.6)
            entries = ", ".join(f"{{name: {port}{self._port()}}}" for port in ports)
            bridge = f"bridge: {{{options}port: [{entries}]}}"
            rows.append(self._link(name, "linux-bridge", bridge, has_addresses=True))
        return rows

    def _port(self) -> str:
        return self._random.choice(("", ", stp-path-cost: 77", ", stp-hairpin-mode: true"))

    def _vlans(self) -> list[str]:
        base = self._random.choice(NICS)
        name = f"{base}.7"
        if self._random.random() < 0.2:
            return [f"{{name: {name}, type: vlan, state: absent}}"]
        vlan = f"vlan: {{base-iface: {base}, id: 7}}"
        row = self._link(name, "vlan", vlan, has_addresses=True)
        return [row] if self._rarely(row, 0.3) else []

    def _nics(self, free: Sequence[str]) -> list[str]:
        rows = []
        for name in NICS:
            parts = [
                self._rarely(f"mac-address: 02:00:00:00:0f:0{self._random.randint(1, 9)}", 0.15),
                self._rarely("description: 'a b'", 0.1),
                self._rarely(f"alt-names: [{{name: other-{name}}}]", 0.1),
                self._rarely("accept-all-mac-addresses: true", 0.1),
            ]
            row = self._link(name, "ethernet", *filter(None, parts), has_addresses=name in free)
            rows += [row] if self._rarely(row, 0.5) else []
        return rows

    def _link(self, name: str, kind: str, *parts: str, has_addresses: bool) -> str:
        states = ("state: up", "state: up", "state: down")
        mtu = f"mtu: {self._random.choice((1400, 1450, 1500))}"
        more = [self._random.choice(states), self._rarely(mtu, 0.3)]
        more += [self._ipv4(), self._ipv6()] if has_addresses else []
        return "{" + ", ".join(filter(None, (f"name: {name}, type: {kind}", *parts, *more))) + "}"

    def _ipv4(self) -> str:
        addresses = [
            f"{{ip: 192.0.{self._random.choice((2, 3))}.{self._random.randint(2, 9)}, "
            f"prefix-length: {self._random.choice((24, 24, 25, 32))}}}"
            for _ in range(self._random.randint(0, 3))
        ]
        more = self._random.choice(("", ", forwarding: true", ", prefix-route-metric: 77"))
        return self._rarely(_ip("ipv4", f"dhcp: false{more}", addresses), 0.6)

    def _ipv6(self) -> str:
        addresses = [
            f"{{ip: '2001:db8:{self._random.choice('12')}::{self._random.randint(2, 9)}', "
            f"prefix-length: {self._random.choice((64, 64, 128))}}}"
            for _ in range(self._random.randint(0, 2))
        ]
        autoconf = self._random.choice(("autoconf: true", "autoconf: false"))
        more = self._random.choice(("", ", addr-gen-mode: none", ", forwarding: true"))
        return self._rarely(_ip("ipv6", f"dhcp: false, {autoconf}{more}", addresses), 0.5)

    def _routes(self) -> list[str]:
        return [self._route() for _ in range(self._random.randint(0, _ROUTES))]

    def _route(self) -> str:
        name = self._random.choice((*NICS, "br0", "bond0"))
        kind = self._random.random()
        if kind < 0.2:
            return f"{{destination: 10.{self._random.randint(1, 3)}.0.0/16, route-type: blackhole}}"
        if kind < 0.4:
            return f"{{state: absent, next-hop-interface: {name}}}"
        target, gateway = self._random.choice(
            (
                ("0.0.0.0/0", "192.0.2.1"),
                ("10.1.0.0/16", "192.0.2.1"),
                ("'2001:db8:9::/48'", "2001:db8:1::1"),
            )
        )
        via = self._rarely(f", next-hop-address: {gateway}", 0.7)
        more = self._random.choice(("", ", metric: 50", ", table-id: 77", ", advmss: 1300"))
        return f"{{destination: {target}, next-hop-interface: {name}{via}{more}}}"


def _ip(family: str, settings: str, addresses: Sequence[str]) -> str:
    """Return a family's section: off without addresses."""
    if not addresses:
        return f"{family}: {{enabled: false}}"
    listed = ", ".join(dict.fromkeys(addresses))
    return f"{family}: {{enabled: true, {settings}, address: [{listed}]}}"
