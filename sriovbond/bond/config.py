"""Parses the network configuration of a bond; reports all faults at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from sriovbond.bond.addressing import (
    find_requested_ipv6,
    find_requested_mac,
    ipam_plugin,
    unread_ipam,
)
from sriovbond.bond.checks import judge
from sriovbond.bond.keys import (
    IGNORED,
    KEYS_OF_IPAM,
    OWN_NAME,
    WORDS_OF_OTHERS,
    contradiction,
    find_meant_key,
    find_missing_version,
    find_own_name,
    passed_over,
    unknown_keys,
)
from sriovbond.bond.kinds import in_words
from sriovbond.bond.options import (
    MEMBER_OPTIONS,
    OPTIONS,
    BondMode,
    Option,
    Setting,
    by_key,
    normal_key,
)
from sriovbond.bond.ownkeys import OWN_FIELDS, MemberAddresses, OwnKeys, Policy
from sriovbond.bond.rules import Finding, Level
from sriovbond.bond.selector import (
    SELECTORS,
    LinkSelector,
    find_shadowed,
    host_faults,
    most_members,
)
from sriovbond.bond.situation import Redundancy, RedundancyLevel, Situation
from sriovbond.errors import ConfigError, Fault

DEFAULT_MIIMON_MS = 100
# when the carrier comes after the bond one fewer is sent: none with 1 (DECISIONS 21)
DEFAULT_ANNOUNCEMENTS = 15
_OPTION_KEYS = by_key(OPTIONS)
_LINK_KEYS = {
    **{key: key for key in SELECTORS},
    **{key: row.name for key, row in by_key(MEMBER_OPTIONS).items()},
}
_FAIL_OVER_MAC = "fail_over_mac"
AUTO = "auto"
_MOST_KEYS = 256  # each is compared with all of ours; the longest list of an IPAM plugin has 30
MOST_LINKS = 64  # each is compared with each; a pod has no more VFs


@dataclass(frozen=True)  # no slots: `situation` is cached
class NetConf:
    """A valid configuration, with defaults filled in.

    `settings` are the kernel's options, `fail_over_mac` is the value that `auto` resolved to,
    `ipam_type` is empty without IPAM, `ipv6` is the address requested in CNI_ARGS, `passed_over`
    the unknown keys, as hints in the error of a refused ADD.
    """

    links: tuple[LinkSelector, ...] | None
    links_in_container: bool | None
    min_members: int
    mtu: int | None
    mac: str | None
    member_addresses: MemberAddresses
    redundancy: Redundancy
    redundancy_level: RedundancyLevel
    switch_lag: bool | None
    policy: Policy
    log_file: str | None
    settings: tuple[Setting, ...]
    fail_over_mac: str
    ipam_type: str
    ipv6: str
    passed_over: tuple[Fault, ...]
    warnings: tuple[Finding, ...]

    @property
    def may_mean_host(self) -> bool:
        """Whether `links` may name host links: by names alone, or explicitly."""
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

    @cached_property
    def situation(self) -> Situation:
        """The situation of the configuration alone."""
        links = self.links or ()
        return Situation(
            mode=self.mode,
            settings=self._by_name,
            fail_over_mac=self.fail_over_mac,
            mac=self.mac,
            mtu=self.mtu,
            is_mtu_asked=self.mtu is not None,
            member_addresses=self.member_addresses,
            redundancy=self.redundancy,
            redundancy_level=self.redundancy_level,
            switch_lag=bool(self.switch_lag),
            ipam_type=self.ipam_type,
            ipv6=self.ipv6,
            min_members=self.min_members,
            most_members=most_members(self.links),
            entries=tuple(map(str, links)),
            left_nothing=tuple(find_shadowed(links)),
            entry_settings=tuple(setting for link in links for setting in link.settings),
            is_host_asked=self.links_in_container is False,
        )


_OWN_KEYS = {normal_key(key): key for key in OWN_FIELDS.values()}
_KNOWN_KEYS = {**{key: row.name for key, row in _OPTION_KEYS.items()}, **_OWN_KEYS}
_ACTIVE_SLAVE = "activeslave"
REFUSED_KEYS = frozenset({_ACTIVE_SLAVE, *WORDS_OF_OTHERS})


@dataclass(slots=True)
class _Reading:
    """The faults and findings of one pass over the keys."""

    fields: dict[str, Any] = field(default_factory=dict)
    own_values: dict[str, tuple[str, object]] = field(default_factory=dict)
    settings: dict[str, Setting] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)
    keys_of_ipam: frozenset[str] = frozenset()


def parse_config(
    raw: Mapping[str, Any],
    cni_args: Mapping[str, str] | None = None,
    faults: Sequence[str] = (),
) -> NetConf:
    """Parse the configuration from stdin's object and CNI_ARGS.

    `faults` are those of its text. Raises ConfigError with every fault, not only the first; the
    combination of options is judged once each of them is valid.
    """
    ipam_type, ipam_faults = ipam_plugin(raw)
    reading = _Reading(warnings=list(unread_ipam(raw)))
    _read_keys(reading, raw, ipam_type)
    is_understood = not reading.faults
    reading.faults += [*faults, *ipam_faults]
    reading.fields.update(find_requested_mac(raw, cni_args or {}))
    _fill_defaults(reading)
    config = _config(reading, ipam_type, find_requested_ipv6(raw, cni_args or {}))
    findings = judge(config.situation) if is_understood else ()
    broken = [finding for finding in findings if finding.level is Level.CONFIG]
    if reading.faults or broken:
        every = [*map(Fault, reading.faults), *broken]
        raise ConfigError.of("cannot use the network configuration", every, config.passed_over)
    reading.warnings += [
        finding for finding in findings if finding.level in (Level.WARNING, Level.NOTICE)
    ]
    return replace(config, warnings=tuple(reading.warnings)) if reading.warnings else config


def _read_keys(reading: _Reading, raw: Mapping[str, Any], ipam_type: str) -> None:
    if len(raw) > _MOST_KEYS:
        reading.faults.append(f"expected at most {_MOST_KEYS} keys, found {len(raw)}")
        return
    reading.keys_of_ipam = KEYS_OF_IPAM.get(ipam_type, frozenset())
    for key, value in raw.items():
        if value is not None:  # null counts as absent, as in Go's JSON
            _read_key(reading, key, value)
    reading.warnings += unknown_keys(reading.unknown, ipam_type)
    reading.warnings += find_missing_version(raw)


def _read_key(reading: _Reading, key: str, value: object) -> None:
    normal = normal_key(key)
    if normal in reading.keys_of_ipam and (normal not in _KNOWN_KEYS or isinstance(value, Mapping)):
        return
    if normal in _OWN_KEYS:
        reading.faults += contradiction(reading.own_values, normal, key, value)
    if normal == _ACTIVE_SLAVE:
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
    elif normal not in IGNORED and not key.startswith("cni.dev/"):
        _read_unknown(reading, key, value)


def _read_unknown(reading: _Reading, key: str, value: object) -> None:
    if normal_key(key) == OWN_NAME:
        reading.warnings.append(find_own_name(value))
    else:
        _unknown_key(reading, key, key, _KNOWN_KEYS)


def _read_links(reading: _Reading, key: str, json_value: object) -> None:
    if json_value == AUTO:
        return
    if not isinstance(json_value, list) or not all(isinstance(entry, dict) for entry in json_value):
        expected = 'expected "auto", or a list such as [{"name": "net1"}, {"network": "sriov-*"}]'
        reading.faults.append(f"{key}: {expected}, found {json_value!r}")
        return
    if len(json_value) > MOST_LINKS:
        reading.faults.append(f"{key}: expected at most {MOST_LINKS}, found {len(json_value)}")
        return
    reading.fields["links"] = [
        _link(reading, f"{key}.{place}", entry) for place, entry in enumerate(json_value)
    ]


def _link(reading: _Reading, where: str, entry: Mapping[str, object]) -> dict[str, object]:
    read: dict[str, object] = {}
    first_values: dict[str, tuple[str, object]] = {}
    if len(entry) > _MOST_KEYS:
        most = f"expected at most {_MOST_KEYS} keys"
        reading.faults.append(f"{where}: {most}, found {len(entry)}")
        return read
    for key, value in entry.items():
        known = _LINK_KEYS.get(normal_key(key))
        if known:
            reading.faults += contradiction(first_values, known, f"{where}.{key}", value)
            read[known] = value
        else:
            _unknown_key(reading, f"{where}.{key}", key, _LINK_KEYS)
    return read


def _read_option(reading: _Reading, key: str, row: Option, json_value: object) -> None:
    try:
        setting = Setting(row.name, row.kind.parse(json_value))
    except ValueError as fault:
        reading.faults.append(f"{key}: {fault}")
        return
    before = reading.settings.get(row.name)
    if before and before.value != setting.value:
        reading.faults.append(f"{key}: {setting.value!r} contradicts {before} given beside it")
    reading.settings[row.name] = setting


def _unknown_key(reading: _Reading, where: str, key: str, known: Mapping[str, str]) -> None:
    normal = normal_key(key)
    ours = WORDS_OF_OTHERS.get(normal) if known is _KNOWN_KEYS else None
    ours = ours or find_meant_key(normal, known)
    if ours:
        reading.faults.append(f"{where!r} is unknown; did you mean {ours!r}?")
    else:
        reading.unknown.append(where)


def _fill_defaults(reading: _Reading) -> None:
    settings = reading.settings
    settings.setdefault("mode", Setting("mode", BondMode.ACTIVE_BACKUP.value, is_default=True))
    probes = settings.get("arp_interval")
    if "miimon" not in settings and not (probes and probes.value):
        settings["miimon"] = Setting("miimon", DEFAULT_MIIMON_MS, is_default=True)
    if settings["mode"].value == BondMode.ACTIVE_BACKUP:
        default = Setting("num_grat_arp", DEFAULT_ANNOUNCEMENTS, is_default=True)
        settings.setdefault("num_grat_arp", default)


def _config(reading: _Reading, ipam_type: str, ipv6: str) -> NetConf:
    """Return the configuration of the valid keys; the faults of the others are in `reading`."""
    own = _own_keys(reading)
    if own.links_in_container is False:
        reading.faults += host_faults(own.links)
    fail_over_mac = _settle_fail_over_mac(reading.settings, own.mac)
    return NetConf(
        **dict(own),
        fail_over_mac=fail_over_mac,
        settings=tuple(reading.settings.values()),
        ipam_type=ipam_type,
        ipv6=ipv6,
        passed_over=passed_over(reading.unknown),
        warnings=(),
    )


def _own_keys(reading: _Reading) -> OwnKeys:
    try:
        return OwnKeys.model_validate(reading.fields)
    except ValidationError as error:
        faults = error.errors(include_url=False)
    reading.faults += [f"{'.'.join(map(str, fault['loc']))}: {in_words(fault)}" for fault in faults]
    broken = {fault["loc"][0] for fault in faults}
    sound = {key: value for key, value in reading.fields.items() if key not in broken}
    return OwnKeys.model_validate(sound)


def _settle_fail_over_mac(settings: dict[str, Setting], mac: str | None) -> str:
    """Resolve and return it: `auto` is active in active-backup, none with a fixed MAC."""
    said = settings.get(_FAIL_OVER_MAC)
    meant = str(said.value) if said else AUTO
    is_default = meant == AUTO
    if is_default:
        is_active = settings["mode"].value == BondMode.ACTIVE_BACKUP and not mac
        meant = "active" if is_active else "none"
    if said or meant != "none":
        settings[_FAIL_OVER_MAC] = Setting(_FAIL_OVER_MAC, meant, is_default=is_default)
    return meant
