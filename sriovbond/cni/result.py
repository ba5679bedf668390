"""The result of ADD: read from any version of the specification, written in any."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sriovbond.cni.decoding import IpAddress, IpInterface, IpNetwork, JsonObject
from sriovbond.cni.versions import (
    CURRENT_VERSION,
    SUPPORTED_VERSIONS,
    check_version,
    is_at_least,
)

# Key -> the first version that has it (SPEC section 5 at the tags spec-v0.1.0 to spec-v1.1.0).
_INTERFACE_KEYS = {
    "name": "0.3.0",
    "mac": "0.3.0",
    "sandbox": "0.3.0",
    "mtu": "1.1.0",
    "socketPath": "1.1.0",
    "pciID": "1.1.0",
}
_IP_KEYS = {
    "address": "0.3.0",
    "gateway": "0.3.0",
    "interface": "0.3.0",
}
_OLD_IP_KEYS = {
    "ip": "0.1.0",
    "gateway": "0.1.0",
    "routes": "0.1.0",
}
_ROUTE_KEYS = {
    "dst": "0.1.0",
    "gw": "0.1.0",
    "mtu": "1.1.0",
    "advmss": "1.1.0",
    "priority": "1.1.0",
    "table": "1.1.0",
    "scope": "1.1.0",
}
_DNS_KEYS = {
    "nameservers": "0.1.0",
    "domain": "0.1.0",
    "search": "0.1.0",
    "options": "0.1.0",
}
_OLD_FAMILIES = {
    "ip4": 4,
    "ip6": 6,
}


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface that an attachment made; `sandbox` is "" on the host."""

    name: str
    mac: str = ""
    mtu: int | None = None
    sandbox: str = ""
    socket_path: str = ""
    pci_id: str = ""
    extra: Mapping[str, object] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class IpConfig:
    """An address; `interface` is an index into the result's interfaces, and may point nowhere."""

    address: IpInterface
    gateway: IpAddress | None = None
    interface: int | None = None
    extra: Mapping[str, object] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Route:
    """A route; what is None was not said."""

    dst: IpNetwork
    gw: IpAddress | None = None
    mtu: int | None = None
    advmss: int | None = None
    priority: int | None = None
    table: int | None = None
    scope: int | None = None
    extra: Mapping[str, object] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Dns:
    """What the network knows of name servers."""

    nameservers: tuple[str, ...] = ()
    domain: str = ""
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    extra: Mapping[str, object] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class CniResult:
    """What ADD answers (SPEC section 5, ADD Success).

    `extra`, here and in the parts, keeps what `cni_version` does not define, so that a prevResult
    passes through unharmed; it is written again only in that version.
    """

    interfaces: tuple[Interface, ...] = ()
    ips: tuple[IpConfig, ...] = ()
    routes: tuple[Route, ...] = ()
    dns: Dns = field(default_factory=Dns)
    cni_version: str = CURRENT_VERSION
    extra: Mapping[str, object] = field(default_factory=dict, hash=False)

    @staticmethod
    def from_json(
        values: Mapping[str, object],
        assumed_version: str = CURRENT_VERSION,
        where: str = "result",
    ) -> "CniResult":
        """Read a result of any version; one that names none has `assumed_version`, as in libcni.

        Fields of a later version are read as well, since Go's plugins give them in each.
        Raises CniError 6 with the place of what is malformed.
        """
        node = JsonObject(values, where)
        version = node.text("cniVersion") or assumed_version
        if version not in SUPPORTED_VERSIONS:
            node.refuse("cniVersion", f"be one of {', '.join(SUPPORTED_VERSIONS)}")
        return _read_old(node, version) if _is_old(version) else _read(node, version)

    def to_json(self, version: str) -> dict[str, object]:
        """Return the result as an object of `version`, without what that does not have.

        0.1.0 and 0.2.0 hold the first address of each family, and the routes of that family.
        """
        writer = _Writer(check_version(version), keeps_extra=version == self.cni_version)
        body = writer.old_body(self) if _is_old(version) else writer.body(self)
        extra = self.extra if writer.keeps_extra else {}
        return {"cniVersion": version, **extra, **body}


def _is_old(version: str) -> bool:
    return not is_at_least(version, "0.3.0")


def _read(node: JsonObject, version: str) -> CniResult:
    return CniResult(
        interfaces=tuple(_read_interface(i, version) for i in node.children("interfaces")),
        ips=tuple(_read_ip(i, version) for i in node.children("ips")),
        routes=tuple(_read_route(r, version) for r in node.children("routes")),
        dns=_read_dns(node.child("dns"), version),
        cni_version=version,
        extra=_without(node.values, "cniVersion", "interfaces", "ips", "routes", "dns"),
    )


def _read_old(node: JsonObject, version: str) -> CniResult:
    families = [node.child(key) for key in _OLD_FAMILIES if node.has(key)]
    return CniResult(
        ips=tuple(_read_old_ip(family, version) for family in families),
        routes=tuple(
            _read_route(route, version)
            for family in families
            for route in family.children("routes")
        ),
        dns=_read_dns(node.child("dns"), version),
        cni_version=version,
        extra=_without(node.values, "cniVersion", *_OLD_FAMILIES, "dns"),
    )


def _read_interface(node: JsonObject, version: str) -> Interface:
    return Interface(
        name=node.required_text("name"),
        mac=node.text("mac"),
        mtu=node.number("mtu"),
        sandbox=node.text("sandbox"),
        socket_path=node.text("socketPath"),
        pci_id=node.text("pciID"),
        extra=_extra(node, _INTERFACE_KEYS, version),
    )


def _read_ip(node: JsonObject, version: str) -> IpConfig:
    extra = _extra(node, _IP_KEYS, version)
    return IpConfig(
        address=node.interface("address"),
        gateway=node.address("gateway"),
        interface=node.number("interface"),
        extra=_without(extra, "version") if _says_family(version) else extra,
    )


def _read_old_ip(node: JsonObject, version: str) -> IpConfig:
    return IpConfig(
        address=node.interface("ip"),
        gateway=node.address("gateway"),
        extra=_extra(node, _OLD_IP_KEYS, version),
    )


def _read_route(node: JsonObject, version: str) -> Route:
    return Route(
        dst=node.network("dst"),
        gw=node.address("gw"),
        mtu=node.number("mtu"),
        advmss=node.number("advmss"),
        priority=node.number("priority"),
        table=node.number("table"),
        scope=node.number("scope"),
        extra=_extra(node, _ROUTE_KEYS, version),
    )


def _read_dns(node: JsonObject, version: str) -> Dns:
    return Dns(
        nameservers=node.texts("nameservers"),
        domain=node.text("domain"),
        search=node.texts("search"),
        options=node.texts("options"),
        extra=_extra(node, _DNS_KEYS, version),
    )


def _says_family(version: str) -> bool:
    """Say whether `ips` carry `version`: SPEC 0.3.0 to 0.4.0."""
    return is_at_least(version, "0.3.0") and not is_at_least(version, "1.0.0")


def _extra(node: JsonObject, keys: Mapping[str, str], version: str) -> dict[str, object]:
    """Return what `version` does not define, be it unknown or of a later version."""
    return {
        key: value
        for key, value in node.values.items()
        if key not in keys or (value is not None and not is_at_least(version, keys[key]))
    }


def _without(values: Mapping[str, object], *keys: str) -> dict[str, object]:
    return {key: value for key, value in values.items() if key not in keys}


@dataclass(frozen=True, slots=True)
class _Writer:
    version: str
    keeps_extra: bool

    def body(self, result: CniResult) -> dict[str, object]:
        return _drop_absent(
            interfaces=[self._interface(interface) for interface in result.interfaces],
            ips=[self._ip(ip) for ip in result.ips],
            routes=[self._route(route) for route in result.routes],
            dns=self._dns(result.dns),
        )

    def old_body(self, result: CniResult) -> dict[str, object]:
        families = {
            key: self._old_ip(result, family)
            for key, family in _OLD_FAMILIES.items()
            if any(ip.address.version == family for ip in result.ips)
        }
        return _drop_absent(**families, dns=self._dns(result.dns))

    def _interface(self, interface: Interface) -> dict[str, object]:
        fields = _drop_absent(
            mac=interface.mac,
            mtu=interface.mtu,
            sandbox=interface.sandbox,
            socketPath=interface.socket_path,
            pciID=interface.pci_id,
        )
        return self._part({"name": interface.name, **fields}, _INTERFACE_KEYS, interface.extra)

    def _ip(self, ip: IpConfig) -> dict[str, object]:
        family = {"version": str(ip.address.version)} if _says_family(self.version) else {}
        fields = _drop_absent(
            address=str(ip.address),
            gateway=_text(ip.gateway),
            interface=ip.interface,
        )
        return {**self._part(fields, _IP_KEYS, ip.extra), **family}

    def _old_ip(self, result: CniResult, family: int) -> dict[str, object]:
        ip = next(ip for ip in result.ips if ip.address.version == family)
        fields = _drop_absent(
            ip=str(ip.address),
            gateway=_text(ip.gateway),
            routes=[self._route(route) for route in result.routes if route.dst.version == family],
        )
        return self._part(fields, _OLD_IP_KEYS, ip.extra)

    def _route(self, route: Route) -> dict[str, object]:
        fields = _drop_absent(
            dst=str(route.dst),
            gw=_text(route.gw),
            mtu=route.mtu,
            advmss=route.advmss,
            priority=route.priority,
            table=route.table,
            scope=route.scope,
        )
        return self._part(fields, _ROUTE_KEYS, route.extra)

    def _dns(self, dns: Dns) -> dict[str, object]:
        fields = _drop_absent(
            nameservers=list(dns.nameservers),
            domain=dns.domain,
            search=list(dns.search),
            options=list(dns.options),
        )
        return self._part(fields, _DNS_KEYS, dns.extra)

    def _part(
        self, fields: Mapping[str, object], keys: Mapping[str, str], extra: Mapping[str, object]
    ) -> dict[str, object]:
        """Join `extra` with those fields that the version has, or that the giver had said."""
        kept = extra if self.keeps_extra else {}
        defined = {
            key: value
            for key, value in fields.items()
            if key in kept or is_at_least(self.version, keys[key])
        }
        return {**kept, **defined}


def _drop_absent(**fields: object) -> dict[str, object]:
    """Leave out what is absent or empty; 0 is a value."""
    return {key: value for key, value in fields.items() if value not in (None, "", [], {})}


def _text(address: IpAddress | None) -> str:
    return "" if address is None else str(address)
