"""Sorts the keys of a configuration: ours, others', or a misspelling of ours."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from sriovbond.bond import rules
from sriovbond.bond.kinds import whole_number
from sriovbond.bond.options import normal_key
from sriovbond.bond.rules import Finding, Level
from sriovbond.errors import Fault

IGNORED_KEYS = (
    # the specification's own, and those that Multus, flannel and others add to any delegate
    "args", "capabilities", "cniVersion", "cniVersions", "deviceID", "disableCheck", "disableGC",
    "dns", "forceAddress", "hairpinMode", "ipMasq", "ipam", "isDefaultGateway",
    "isGateway", "loadOnlyInlinedPlugins", "name", "pciBusID", "plugins", "prevResult",
    "promiscMode", "resourceName", "routes", "runtimeConfig", "type",
)  # fmt: skip
IGNORED: Final = frozenset(normal_key(key) for key in IGNORED_KEYS)

OWN_NAME: Final = "ifname"
"""The bond's name in configurations of early bond-cni; the runtime's counts, as in later ones."""

WORDS_OF_OTHERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        # names of members and mode in nmstate, netplan, iproute2, ifcfg files and NetworkManager
        **dict.fromkeys(
            (
                "iface", "ifaces", "interface", "interfaces", "member", "members", "nic", "nics",
                "port", "ports", "portsconfig", "slave", "slaves",
            ),
            "links",
        ),
        **dict.fromkeys(("bondmode", "bondingmode"), "mode"),
    }
)  # fmt: skip
"""Normal keys with the meaning of a key of ours: if ignored, the bond would differ from them."""

DHCP = "dhcp"
_CONTAINERNETWORKING = (DHCP, "host-local", "static")  # plugins/ipam: they read `ipam` alone
_CALICO = """
    container_settings dataplane_options datastore_type endpoint_status_dir etcd_authority
    etcd_ca_cert_file etcd_cert_file etcd_discovery_srv etcd_endpoints etcd_key_file etcd_scheme
    feature_control hostname include_default_routes ipam_lock_file kubernetes log_file_max_age
    log_file_max_count log_file_max_size log_file_path log_level nodename nodename_file
    nodename_file_optional num_queues policy policy_setup_timeout_seconds readiness_gates
    require_mtu_file
""".split()  # noqa: SIM905 - a list of words reads better so

KEYS_OF_IPAM: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        **dict.fromkeys((*_CONTAINERNETWORKING, "whereabouts"), frozenset[str]()),
        # projectcalico/calico: cni-plugin/pkg/types/types.go, NetConf
        "calico-ipam": frozenset(normal_key(key) for key in _CALICO),
    }
)
"""By ipam.type, the normal keys beside `ipam` that the IPAM plugin reads."""

_NEAR = 0.81  # of difflib's ratio: modes is near mode, dpMode (userspace CNI's) is not
_NEAR_LETTERS = 2
_MOST_TOLD = 10
_MOST_CHARACTERS = 80


def find_meant_key(normal: str, known: Mapping[str, str]) -> str:
    """Return the known key that is probably meant, "" if none is near."""
    alike = [key for key in known if abs(len(key) - len(normal)) <= _NEAR_LETTERS]
    close = difflib.get_close_matches(normal, alike, n=1, cutoff=_NEAR)
    return known[close[0]] if close else ""


def unknown_keys(places: Iterable[str], ipam_type: str) -> Iterator[Finding]:
    """Yield a finding for each unknown key.

    An unknown IPAM plugin may read it: then `policy: strict` must not refuse it.
    """
    is_surely_unread = not ipam_type or ipam_type in KEYS_OF_IPAM
    level = Level.WARNING if is_surely_unread else Level.NOTICE
    for place in places:
        text = f"the key {place[:_MOST_CHARACTERS]!r} is unknown and ignored"
        yield rules.UNKNOWN_KEY.finding(text, level=level)


def find_own_name(name: object) -> Finding:
    """Return the notice that the bond is not called as its configuration says."""
    return rules.UNKNOWN_KEY.finding(
        f"{OWN_NAME} {name!r:.80} is ignored: the bond has the name that the runtime chose, net1, "
        "net2 and so on in a pod that asks for none",
        f"ask for it in the pod's annotation, as NETWORK@NAME, and remove {OWN_NAME}",
        level=Level.NOTICE,
    )


def passed_over(places: Sequence[str]) -> tuple[Fault, ...]:
    """Return the unknown keys, as hints in the error of a refused ADD."""
    if not places:
        return ()
    more = len(places) - _MOST_TOLD
    names = [repr(place[:_MOST_CHARACTERS]) for place in places[:_MOST_TOLD]]
    names += [f"{more} more"] if more > 0 else []
    return (Fault(f"unknown and ignored: {', '.join(names)}", rule=rules.UNKNOWN_KEY.id),)


def find_missing_version(raw: Mapping[str, object]) -> Iterator[Finding]:
    """Yield a warning when the configuration has no cniVersion."""
    if not raw.get("cniVersion"):
        yield rules.CNI_VERSION_MISSING.finding(
            "cniVersion is missing, which means 0.1.0: its results have no interface and no MAC, "
            "so network-status has neither"
        )


def contradiction(
    first_values: dict[str, tuple[str, object]], known_key: str, key: str, value: object
) -> list[str]:
    """Record a key's value; return a fault if another spelling of it has a different value."""
    first_key, first = first_values.setdefault(known_key, (key, value))
    number = whole_number(value)
    if first == value or (number is not None and number == whole_number(first)):
        return []
    return [f"{key}: {value!r} contradicts {first_key} {first!r} given beside it"]
