"""The result of ADD: read from and written as any version of the specification."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from sriovbond.cni.decoding import IpAddress, IpInterface, IpNetwork, JsonObject
from sriovbond.cni.versions import (
    CURRENT_VERSION,
    SUPPORTED_VERSIONS,
    check_version,
    is_at_least,
)

_OLD_FAMILIES: Final = {"ip4": 4, "ip6": 6}
_LATER: Final = "1.1.0"
"""The version that defines all the keys missing in the first ones."""


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface of an attachment; `sandbox` is "" on the host."""

    name: str
    mac: str = ""
    mtu: int | None = None
    sandbox: str = ""
    socket_path: str = ""
    pci_id: str = ""
    extra: Mapping[str, object] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class IpConfig:
    """An address; `interface` is an index into the result's interfaces and may be out of range."""

    address: IpInterface
    gateway: IpAddress | None = None
    interface: int | None = None
    extra: Mapping[str, object] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Route:
    """A route; None is a key that is absent."""

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
    """The network's DNS settings."""

    nameservers: tuple[str, ...] = ()
    domain: str = ""
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    extra: Mapping[str, object] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class CniResult:
    """The result of an ADD (SPEC section 5, ADD Success).

    `extra`, here and in the parts, keeps the keys that `cni_version` does not define, so that a
    prevResult passes through unchanged; they are written only when the version is the same.
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
        """Read a result of any version; without cniVersion it has `assumed_version`, as in libcni.

        Fields of later versions are read as well, since Go's plugins write them in each.
        Raises CniError 6 with the path of the malformed value.
        """
        node = JsonObject(values, where)
        version = node.text("cniVersion") or assumed_version
        if version not in SUPPORTED_VERSIONS:
            node.refuse("cniVersion", f"be one of {', '.join(SUPPORTED_VERSIONS)}")
        return _read_old(node, version) if _is_old(version) else _read(node, version)

    def to_json(self, version: str) -> dict[str, object]:
        """Return the result as an object of `version`, without the fields undefined in it.

        0.1.0 and 0.2.0 hold the first address of each family, and the routes of that family.
        """
        writer = _Writer(check_version(version), keeps_extra=version == self.cni_version)
        body = writer.old_body(self) if _is_old(version) else writer.body(self)
        extra = self.extra if writer.keeps_extra else {}
        return {"cniVersion": version, **extra, **body}


def _is_old(version: str) -> bool:
    return not is_at_least(version, "0.3.0")


@dataclass(frozen=True, slots=True)
class _Key:
    """A field in JSON: its key, and how it is read and written.

    `is_later` marks those added in 1.1.0; `write` is None where JSON has the value unchanged;
    `attribute` is "" where it has the key's name.
    """

    name: str
    read: Callable[[JsonObject, str], object]
    write: Callable[[Any], object] | None = None
    is_later: bool = False
    attribute: str = ""
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class _Shape:
    """The fields of one part of a result, and the keys that each version defines."""

    keys: tuple[_Key, ...]
    names: frozenset[str]
    defined: Mapping[str, frozenset[str]]


def _shape(*keys: _Key) -> _Shape:
    names = frozenset(key.name for key in keys)
    later = frozenset(key.name for key in keys if key.is_later)
    defined = {
        version: names if is_at_least(version, _LATER) else names - later
        for version in SUPPORTED_VERSIONS
    }
    return _Shape(keys, names, defined)


# SPEC section 5 at the tags spec-v0.1.0 to spec-v1.1.0
_INTERFACE: Final = _shape(
    _Key("name", JsonObject.required_text, is_required=True),
    _Key("mac", JsonObject.text),
    _Key("mtu", JsonObject.number, is_later=True),
    _Key("sandbox", JsonObject.text),
    _Key("socketPath", JsonObject.text, is_later=True, attribute="socket_path"),
    _Key("pciID", JsonObject.text, is_later=True, attribute="pci_id"),
)
_IP: Final = _shape(
    _Key("address", JsonObject.interface, str),
    _Key("gateway", JsonObject.address, str),
    _Key("interface", JsonObject.number),
)
_OLD_IP: Final = _shape(
    _Key("ip", JsonObject.interface, str, attribute="address"),
    _Key("gateway", JsonObject.address, str),
)
_ROUTE: Final = _shape(
    _Key("dst", JsonObject.network, str),
    _Key("gw", JsonObject.address, str),
    _Key("mtu", JsonObject.word, is_later=True),
    _Key("advmss", JsonObject.word, is_later=True),
    _Key("priority", JsonObject.word, is_later=True),
    _Key("table", JsonObject.word, is_later=True),
    _Key("scope", JsonObject.octet, is_later=True),
)
_DNS: Final = _shape(
    _Key("nameservers", JsonObject.texts, list),
    _Key("domain", JsonObject.text),
    _Key("search", JsonObject.texts, list),
    _Key("options", JsonObject.texts, list),
)

_UNSAID: Final[tuple[object, ...]] = (None, "", [], {})
"""Values that count as absent; 0 does not."""

_Part = TypeVar("_Part", Interface, IpConfig, Route, Dns)


def _read(node: JsonObject, version: str) -> CniResult:
    return CniResult(
        interfaces=tuple(
            _read_part(Interface, _INTERFACE, interface, version)
            for interface in node.children("interfaces")
        ),
        ips=tuple(_read_ip(ip, version) for ip in node.children("ips")),
        routes=tuple(
            _read_part(Route, _ROUTE, route, version) for route in node.children("routes")
        ),
        dns=_read_part(Dns, _DNS, node.child("dns"), version),
        cni_version=version,
        extra=_without(node.values, "cniVersion", "interfaces", "ips", "routes", "dns"),
    )


def _read_old(node: JsonObject, version: str) -> CniResult:
    families = [node.child(key) for key in _OLD_FAMILIES if node.has(key)]
    return CniResult(
        ips=tuple(
            _read_part(IpConfig, _OLD_IP, family, version, beside="routes") for family in families
        ),
        routes=tuple(
            _read_part(Route, _ROUTE, route, version)
            for family in families
            for route in family.children("routes")
        ),
        dns=_read_part(Dns, _DNS, node.child("dns"), version),
        cni_version=version,
        extra=_without(node.values, "cniVersion", *_OLD_FAMILIES, "dns"),
    )


def _read_ip(node: JsonObject, version: str) -> IpConfig:
    beside = "version" if _says_family(version) else ""
    return _read_part(IpConfig, _IP, node, version, beside)


def _read_part(
    kind: type[_Part], shape: _Shape, node: JsonObject, version: str, beside: str = ""
) -> _Part:
    """Read a part by its shape; `extra` gets the keys undefined in `version`, except `beside`."""
    values: dict[str, Any] = {
        key.attribute or key.name: key.read(node, key.name) for key in shape.keys
    }
    defined = shape.defined[version]
    extra = {
        name: value
        for name, value in node.values.items()
        if not (name in defined or name == beside or (name in shape.names and value is None))
    }
    return kind(**values, extra=extra)


def _says_family(version: str) -> bool:
    """Return whether `ips` have the key `version`: SPEC 0.3.0 to 0.4.0."""
    return is_at_least(version, "0.3.0") and not is_at_least(version, "1.0.0")


def _without(values: Mapping[str, object], *keys: str) -> dict[str, object]:
    return {key: value for key, value in values.items() if key not in keys}


@dataclass(frozen=True, slots=True)
class _Writer:
    version: str
    keeps_extra: bool

    def body(self, result: CniResult) -> dict[str, object]:
        return _drop_absent(
            interfaces=[self._part(_INTERFACE, interface) for interface in result.interfaces],
            ips=[self._ip(ip) for ip in result.ips],
            routes=[self._part(_ROUTE, route) for route in result.routes],
            dns=self._part(_DNS, result.dns),
        )

    def old_body(self, result: CniResult) -> dict[str, object]:
        families = {
            key: self._old_ip(result, family)
            for key, family in _OLD_FAMILIES.items()
            if any(ip.address.version == family for ip in result.ips)
        }
        return _drop_absent(**families, dns=self._part(_DNS, result.dns))

    def _ip(self, ip: IpConfig) -> dict[str, object]:
        family = {"version": str(ip.address.version)} if _says_family(self.version) else {}
        return {**self._part(_IP, ip), **family}

    def _old_ip(self, result: CniResult, family: int) -> dict[str, object]:
        ip = next(ip for ip in result.ips if ip.address.version == family)
        routes = [
            self._part(_ROUTE, route) for route in result.routes if route.dst.version == family
        ]
        return {**self._part(_OLD_IP, ip), **_drop_absent(routes=routes)}

    def _part(self, shape: _Shape, part: _Part) -> dict[str, object]:
        """Join `extra` with the fields that the version defines or that were present when read."""
        members = dict(part.extra) if self.keeps_extra else {}
        defined = shape.defined[self.version]
        for key in shape.keys:
            value = getattr(part, key.attribute or key.name)
            if key.write and value is not None:
                value = key.write(value)
            is_said = key.is_required or value not in _UNSAID
            if is_said and (key.name in defined or key.name in members):
                members[key.name] = value
        return members


def _drop_absent(**fields: object) -> dict[str, object]:
    return {key: value for key, value in fields.items() if value not in _UNSAID}
