"""The network configuration: what stdin may say of a bond, parsed once, all faults at once."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
)

from sriovbond.bond.kinds import INT_MAX, Mac, Number, absolute, in_words, whole_number
from sriovbond.bond.options import (
    MEMBER_OPTIONS,
    OPTIONS,
    BondMode,
    Option,
    Setting,
    by_key,
    normal_key,
)
from sriovbond.bond.rules import Finding, Level, judge
from sriovbond.bond.selector import SELECTORS, LinkSelector, parsed_by
from sriovbond.bond.situation import Redundancy, RedundancyLevel, Situation
from sriovbond.errors import ConfigError

DEFAULT_MIIMON_MS = 100
# at a carrier that comes after the bond one fewer is sent: with 1 none (DECISIONS 21)
DEFAULT_ANNOUNCEMENTS = 15
IGNORED_KEYS = (
    # the specification's own, and those that Multus, flannel and others put into any delegate
    "args", "capabilities", "cniVersion", "cniVersions", "deviceID", "disableCheck", "disableGC",
    "dns", "forceAddress", "hairpinMode", "ifname", "ipMasq", "ipam", "isDefaultGateway",
    "isGateway", "loadOnlyInlinedPlugins", "name", "pciBusID", "plugins", "prevResult",
    "promiscMode", "resourceName", "routes", "runtimeConfig", "type",
)  # fmt: skip
_IGNORED = {normal_key(key) for key in IGNORED_KEYS}
_OPTION_KEYS = by_key(OPTIONS)
_LINK_KEYS = {
    **{key: key for key in SELECTORS},
    **{key: row.name for key, row in by_key(MEMBER_OPTIONS).items()},
}
_FAIL_OVER_MAC = "fail_over_mac"
AUTO = "auto"
_NEAR = 0.81  # of difflib's ratio: modes is near mode, dpMode (userspace CNI's) is not
_NEAR_LETTERS = 2
_MTU = Number(1, INT_MAX)


class Policy(StrEnum):
    """What becomes of warnings: refused, logged, or passed over."""

    STRICT = "strict"
    DEFAULT = "default"
    WARN = "warn"


class MemberAddresses(StrEnum):
    """What becomes of addresses and routes that members carry."""

    FLUSH = "flush"
    REFUSE = "refuse"
    KEEP = "keep"


def _mtu(given: object) -> object:
    # bond-cni takes 0 for "not given"
    return None if given is None or whole_number(given) == 0 else _MTU.parse(given)


def _truth(given: object) -> object:
    if given is None or isinstance(given, bool):
        return given
    raise ValueError(f"true or false is wanted, {given!r} was found")


class NetConf(BaseModel):
    """A valid configuration; `settings` holds the kernel's options with defaults filled in."""

    model_config = ConfigDict(frozen=True)

    links: Annotated[
        tuple[LinkSelector, ...] | None,
        Field(
            description="What to bond: names, or selectors by network, resource, pci, pf; "
            "absent or auto: every VF of a kernel driver in the pod"
        ),
    ] = None
    links_in_container: Annotated[
        bool | None,
        BeforeValidator(_truth),
        Field(
            alias="linksInContainer",
            description="true: `links` stand in the pod; false: on the host; absent: where all are",
        ),
    ] = None
    min_members: Annotated[
        int,
        parsed_by(Number(1, INT_MAX)),
        WithJsonSchema(Number(1, INT_MAX).schema()),
        Field(alias="minMembers", description="The fewest members that will do"),
    ] = 2
    mtu: Annotated[
        int | None,
        BeforeValidator(_mtu),
        WithJsonSchema(Number(0, INT_MAX).schema()),
        Field(description="The MTU of bond and members; absent or 0: the smallest of theirs"),
    ] = None
    mac: Annotated[
        str | None,
        parsed_by(Mac()),
        WithJsonSchema(Mac().schema()),
        Field(description="The bond's MAC, also by runtimeConfig.mac or CNI_ARGS MAC"),
    ] = None
    member_addresses: Annotated[
        MemberAddresses,
        Field(
            alias="memberAddresses",
            description="What becomes of addresses that members carry: flush, refuse or keep",
        ),
    ] = MemberAddresses.FLUSH
    redundancy: Annotated[
        Redundancy,
        Field(
            description="Members that fail together: require refuses, prefer warns, off is silent"
        ),
    ] = Redundancy.PREFER
    redundancy_level: Annotated[
        RedundancyLevel,
        Field(
            alias="redundancyLevel",
            description="What members must not share: pf, or nic (PCI slot of the PF)",
        ),
    ] = RedundancyLevel.PF
    policy: Annotated[
        Policy,
        Field(description="What becomes of warnings: strict refuses, default logs, warn is silent"),
    ] = Policy.DEFAULT
    log_file: Annotated[
        str | None,
        BeforeValidator(absolute),
        WithJsonSchema({"type": "string", "pattern": "^/"}),
        Field(alias="logFile", description="A file below /var/log for the log; absent: stderr"),
    ] = None
    settings: Annotated[tuple[Setting, ...], Field(exclude=True)] = ()
    fail_over_mac: Annotated[str, Field(exclude=True)] = AUTO
    ipam_type: Annotated[str, Field(exclude=True)] = ""
    warnings: Annotated[tuple[Finding, ...], Field(exclude=True)] = ()

    @property
    def may_mean_host(self) -> bool:
        """True where `links` may mean interfaces of the host: names alone, or where it is said."""
        if self.links is None or self.links_in_container is not None:
            return self.links_in_container is False
        return all(link.is_exact for link in self.links)

    @property
    def mode(self) -> BondMode:
        """The bonding mode."""
        return BondMode(str(self._by_name["mode"].value))

    @property
    def _by_name(self) -> dict[str, Setting]:
        return {setting.name: setting for setting in self.settings}

    def situation(self) -> Situation:
        """Return what rules may judge of the configuration alone."""
        return Situation(
            mode=self.mode,
            settings=self._by_name,
            fail_over_mac=self.resolved_fail_over_mac(),
            mac=self.mac,
            mtu=self.mtu,
            is_mtu_asked=self.mtu is not None,
            member_addresses=self.member_addresses,
            redundancy=self.redundancy,
            redundancy_level=self.redundancy_level,
            wanted=tuple(str(link) for link in self.links or ()),
            wanted_settings=tuple(one for link in self.links or () for one in link.settings),
        )

    def resolved_fail_over_mac(self) -> str:
        """Return what `auto` means: active in active-backup, none with a fixed MAC."""
        if self.fail_over_mac != AUTO:
            return self.fail_over_mac
        return "active" if self.mode is BondMode.ACTIVE_BACKUP and not self.mac else "none"


OWN_FIELDS = {
    name: field.alias or name for name, field in NetConf.model_fields.items() if not field.exclude
}
_OWN_KEYS = {normal_key(key): key for key in OWN_FIELDS.values()}
_KNOWN_KEYS = {**{key: row.name for key, row in _OPTION_KEYS.items()}, **_OWN_KEYS}


@dataclass(slots=True)
class _Reading:
    """What one pass over the keys has found so far."""

    fields: dict[str, Any] = field(default_factory=dict)
    given: dict[str, tuple[str, object]] = field(default_factory=dict)
    settings: dict[str, Setting] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)


def parse_config(raw: Mapping[str, Any], cni_args: Mapping[str, str] | None = None) -> NetConf:
    """Return the configuration that stdin's object and CNI_ARGS describe.

    Raises ConfigError with every fault that was found, not only the first; what the options mean
    together is judged once each of them is understood.
    """
    reading = _Reading()
    for key, value in raw.items():
        if value is not None:  # as good as absent, as in Go's JSON
            _read_key(reading, key, value)
    is_understood = not reading.faults
    reading.fields.update(_asked_mac(raw, cni_args or {}))
    _fill_defaults(reading)
    config = _config(reading, _ipam_type(reading, raw))
    findings = judge(config.situation()) if is_understood else ()
    reading.faults += [str(finding) for finding in findings if finding.level is Level.CONFIG]
    if reading.faults:
        raise ConfigError("cannot use the network configuration: " + "; ".join(reading.faults))
    warnings = [finding for finding in findings if finding.level in (Level.WARNING, Level.NOTICE)]
    return config.model_copy(update={"warnings": (*reading.warnings, *warnings)})


def _read_key(reading: _Reading, key: str, value: object) -> None:
    normal = normal_key(key)
    if normal in _OWN_KEYS:
        reading.faults += _contradiction(reading.given, normal, key, value)
    if normal == "activeslave":
        reading.faults.append(
            f"{key} {value!r}: the kernel makes only a member with carrier the active one, and a "
            "VF has none yet; name the member to prefer with `primary`"
        )
    elif normal == "links":
        _read_links(reading, key, value)
    elif normal in _OPTION_KEYS:
        _read_option(reading, key, _OPTION_KEYS[normal], value)
    elif normal in _OWN_KEYS:
        reading.fields[_OWN_KEYS[normal]] = value
    elif normal not in _IGNORED and not key.startswith("cni.dev/"):
        _unknown_key(reading, key, key, _KNOWN_KEYS)


def _contradiction(
    given: dict[str, tuple[str, object]], known: str, key: str, value: object
) -> list[str]:
    """Note what a key says; tell where another spelling of it has said something else."""
    first_key, first = given.setdefault(known, (key, value))
    number = whole_number(value)
    if first == value or (number is not None and number == whole_number(first)):
        return []
    return [f"{key}: {value!r} contradicts {first_key} {first!r} given beside it"]


def _read_links(reading: _Reading, key: str, given: object) -> None:
    if given == AUTO:
        return
    if not isinstance(given, list) or not all(isinstance(entry, dict) for entry in given):
        wanted = '"auto", or a list such as [{"name": "net1"}, {"network": "sriov-*"}] is wanted'
        reading.faults.append(f"{key}: {wanted}, {given!r} was found")
        return
    reading.fields["links"] = [
        _link(reading, f"{key}.{place}", entry) for place, entry in enumerate(given)
    ]


def _link(reading: _Reading, where: str, entry: Mapping[str, object]) -> dict[str, object]:
    read: dict[str, object] = {}
    given: dict[str, tuple[str, object]] = {}
    for key, value in entry.items():
        known = _LINK_KEYS.get(normal_key(key))
        if known:
            reading.faults += _contradiction(given, known, f"{where}.{key}", value)
            read[known] = value
        else:
            _unknown_key(reading, f"{where}.{key}", key, _LINK_KEYS)
    return read


def _read_option(reading: _Reading, key: str, row: Option, given: object) -> None:
    try:
        setting = Setting(row.name, row.kind.parse(given))
    except ValueError as fault:
        reading.faults.append(f"{key}: {fault}")
        return
    before = reading.settings.get(row.name)
    if before and before.value != setting.value:
        reading.faults.append(f"{key}: {setting.value!r} contradicts {before} given beside it")
    reading.settings[row.name] = setting


def _unknown_key(reading: _Reading, where: str, key: str, known: Mapping[str, str]) -> None:
    normal = normal_key(key)
    alike = [one for one in known if abs(len(one) - len(normal)) <= _NEAR_LETTERS]
    close = difflib.get_close_matches(normal, alike, n=1, cutoff=_NEAR)
    if close:
        reading.faults.append(f"{where!r} is no key of ours; did you mean {known[close[0]]!r}?")
    else:
        text = (
            f"the key {where!r} is not known and is passed over; remove it if it was meant for us"
        )
        reading.warnings.append(Finding("unknown-key", Level.WARNING, text))


def _asked_mac(raw: Mapping[str, Any], cni_args: Mapping[str, str]) -> dict[str, object]:
    """Find the MAC of this attachment: the capability, then CNI_ARGS, then the config's own."""
    runtime = raw.get("runtimeConfig")
    if isinstance(runtime, Mapping) and runtime.get("mac"):
        return {"mac": runtime["mac"]}
    return {"mac": cni_args["MAC"]} if cni_args.get("MAC") else {}


def _fill_defaults(reading: _Reading) -> None:
    settings = reading.settings
    settings.setdefault("mode", Setting("mode", BondMode.ACTIVE_BACKUP.value, is_default=True))
    probes = settings.get("arp_interval")
    if "miimon" not in settings and not (probes and probes.value):
        settings["miimon"] = Setting("miimon", DEFAULT_MIIMON_MS, is_default=True)
    if settings["mode"].value == BondMode.ACTIVE_BACKUP:
        default = Setting("num_grat_arp", DEFAULT_ANNOUNCEMENTS, is_default=True)
        settings.setdefault("num_grat_arp", default)


def _ipam_type(reading: _Reading, raw: Mapping[str, Any]) -> str:
    ipam = {} if raw.get("ipam") is None else raw["ipam"]
    if not isinstance(ipam, Mapping) or not isinstance(ipam.get("type"), str | None):
        reading.faults.append(f"ipam: an object with a type is wanted, {ipam!r} was found")
        return ""
    kind = ipam.get("type") or ""
    if kind and kind == raw.get("type"):
        reading.faults.append(f"ipam.type: {kind!r} is this plugin itself; name an IPAM plugin")
    rest = ", ".join(sorted(ipam.keys() - {"type"}))
    if rest and not kind:
        text = f"ipam has {rest} and no type; name an IPAM plugin in ipam.type, or leave ipam out"
        reading.warnings.append(Finding("ipam-without-type", Level.WARNING, text))
    return kind


def _config(reading: _Reading, ipam_type: str) -> NetConf:
    """Return what could be understood; what could not is noted in `reading`."""
    asked = reading.settings.get(_FAIL_OVER_MAC)
    understood = _model(reading).model_copy(
        update={
            "settings": tuple(reading.settings.values()),
            "fail_over_mac": str(asked.value) if asked else AUTO,
            "ipam_type": ipam_type,
        }
    )
    if understood.links_in_container is False:
        reading.faults += _host_faults(understood.links)
    resolved = understood.resolved_fail_over_mac()
    if asked or resolved != "none":
        is_default = understood.fail_over_mac == AUTO
        reading.settings[_FAIL_OVER_MAC] = Setting(_FAIL_OVER_MAC, resolved, is_default=is_default)
    return understood.model_copy(update={"settings": tuple(reading.settings.values())})


def _host_faults(links: tuple[LinkSelector, ...] | None) -> list[str]:
    if links is None:
        return ["linksInContainer: false needs `links`: name the host's interfaces"]
    return [
        f"links.{place}: {link} cannot be found on the host: kubelet gives devices to pods; "
        "select by name, pci or pf, or leave linksInContainer out"
        for place, link in enumerate(links)
        if link.network or link.resource
    ]


def _model(reading: _Reading) -> NetConf:
    try:
        return NetConf.model_validate(reading.fields)
    except ValidationError as error:
        faults = error.errors(include_url=False)
    reading.faults += [_fault_words(fault) for fault in faults]
    broken = {fault["loc"][0] for fault in faults}
    sound = {key: value for key, value in reading.fields.items() if key not in broken}
    return NetConf.model_validate(sound)


def _fault_words(fault: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    where = ".".join(str(part) for part in fault["loc"])
    return f"{where}: {in_words(fault)}"
