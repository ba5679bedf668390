"""Programs that manage interfaces, by the files that each has: which ones, and how to end it.

None is asked over D-Bus: the answers must be there without it, for a node that boots, too.
"""

import configparser
import fnmatch
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from deviceinfo import plainfile
from deviceinfo.plainfile import UnreadableError

_MOST_BYTES: Final = 1 << 20
_MOST_FILES: Final = 256
_UNIT: Final = "NetworkManager.service"
_WANTS: Final = ("/etc/systemd/system", "/run/systemd/generator", "/usr/lib/systemd/system")
_INVOCATION: Final = f"/run/systemd/units/invocation:{_UNIT}"
"""A link that systemd has while the unit runs (unit_export_invocation_id() in unit.c)."""
_GROUPS: Final = (
    f"/sys/fs/cgroup/system.slice/{_UNIT}",
    f"/sys/fs/cgroup/systemd/system.slice/{_UNIT}",
)
"""The unit's control group; systemd removes it with the last process."""
_PROFILES: Final = (
    "/etc/NetworkManager/system-connections",
    "/run/NetworkManager/system-connections",
    "/usr/lib/NetworkManager/system-connections",
)
_CONF_FOLDERS: Final = tuple(
    f"{folder}/NetworkManager/conf.d" for folder in ("/etc", "/run", "/usr/lib")
)
_FALSE: Final = frozenset({"0", "false", "no", "off"})
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_NETPLAN_FOLDERS: Final = ("/etc/netplan", "/run/netplan", "/usr/lib/netplan", "/lib/netplan")
_NETPLAN_KINDS: Final = (
    "ethernets", "bonds", "bridges", "vlans", "vrfs", "dummy-devices", "virtual-ethernets",
)  # fmt: skip
_MADE_BY_NETPLAN: Final = "10-netplan-"
_NOT_MANAGING: Final = frozenset({"unmanaged", "linger", ""})
_KUBERNETES_NMSTATE: Final = "/var/k8s_nmstate/handler_lock"
"""The lock of kubernetes-nmstate's handler (its deploy/handler/operator.yaml)."""

_OF_SRIOV_OPERATOR: Final = "/etc/sriov-operator/pci"
"""What the SR-IOV network operator has applied, a file for each PF (its pkg/host/store)."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Who manages an interface: the program, the file that says so, and what hands it over."""

    program: str
    file: str
    handover: str


Links = Mapping[str, int]
"""The indexes of the interfaces, by name."""


def network_manager(root: Path, links: Links) -> Iterator[tuple[str, Owner]]:
    """Yield what NetworkManager says that it manages (nm_config_device_state_write()).

    Its files outlive it: they count while it runs, or is started at boot. One that has no word of
    a device is written for it only when it has a carrier: then its profiles have it.
    """
    if not _is_network_manager_in_use(root):
        return
    profiles, exclusions = dict(_profiles(root)), list(_exclusions(root))
    for name, index in links.items():
        file = f"/run/NetworkManager/devices/{index}"
        word = _ini(root, file).get("device", "managed", fallback="").lower()
        if word in _TRUE:
            yield name, _network_manager(root, name, index, file)
        elif not word and name in profiles and not any(_may_mean(row, name) for row in exclusions):
            yield name, _network_manager(root, name, index, profiles[name])


def network_manager_by_default(root: Path, links: Links) -> Iterator[tuple[str, Owner]]:
    """Yield the NICs of which NetworkManager has no file yet: without other word it manages all."""
    if not _is_network_manager_in_use(root):
        return
    exclusions = list(_exclusions(root))
    for name, index in links.items():
        is_known = (root / f"run/NetworkManager/devices/{index}").exists()
        is_nic = (root / f"sys/class/net/{name}/device").exists()
        if is_nic and not is_known and not any(_may_mean(row, name) for row in exclusions):
            yield name, _network_manager(root, name, index, "it manages what nothing excludes")


def _network_manager(root: Path, name: str, index: int, file: str) -> Owner:
    """Return the owner; what it has of the device outlives a restart, and overrules `managed=0`."""
    handler = (root / _KUBERNETES_NMSTATE.lstrip("/")).exists()
    program = "kubernetes-nmstate, by NetworkManager" if handler else "NetworkManager"
    conf = f"/etc/NetworkManager/conf.d/90-sriovbond-{name}.conf"
    lines = rf"[keyfile]\nunmanaged-devices+=interface-name:{name}\n"
    first = f"take {name} out of its policies (`kubectl get nncp`), then " if handler else ""
    restart = f"rm -f /run/NetworkManager/devices/{index} && systemctl start NetworkManager"
    handover = f"{first}`printf '{lines}' > {conf} && systemctl stop NetworkManager && {restart}`"
    return Owner(program, file, handover)


def networkd(root: Path, links: Links) -> Iterator[tuple[str, Owner]]:
    """Yield what systemd-networkd has configured (link_save() in networkd-state-file.c)."""
    for name, index in links.items():
        state = _assignments(root, f"/run/systemd/netif/links/{index}")
        if state.get("ADMIN_STATE", "") in _NOT_MANAGING or not state.get("NETWORK_FILE"):
            continue
        path, file = f"/etc/systemd/network/00-sriovbond-{name}.network", state["NETWORK_FILE"]
        lines = rf"[Match]\nName={name}\n[Link]\nUnmanaged=yes\n"
        first = _kept_lease(file) if _has_lease(root, index) else ""
        handover = f"{first}`printf '{lines}' > {path} && systemctl restart systemd-networkd`"
        yield name, Owner("systemd-networkd", file, handover)


def _has_lease(root: Path, index: int) -> bool:
    """Return whether an address is from networkd's own DHCP client (link_save())."""
    return os.path.lexists(f"{root}/run/systemd/netif/leases/{index}")


def _kept_lease(file: str) -> str:
    """Say what keeps an address that networkd would take off when it stops."""
    name = os.path.basename(file)  # noqa: PTH119 - of a text
    folder = f"/etc/systemd/network/{name}.d"
    lines = r"[Network]\nKeepConfiguration=dhcp-on-stop\n"
    return (
        "its address is a DHCP lease, which systemd-networkd releases when it stops, and which "
        f"nothing renews afterwards; to keep it: `mkdir -p {folder} && printf '{lines}' > "
        f"{folder}/90-sriovbond.conf && networkctl reload`, then "
    )


def netplan(root: Path, links: Links) -> Iterator[tuple[str, Owner]]:
    """Yield what netplan's files name, and what systemd-networkd has of the files that it makes.

    Where the renderer is NetworkManager, that has the interface, and is to be handed over, too.
    """
    files = _files(root, _NETPLAN_FOLDERS, ".yaml")
    managed = dict(network_manager(root, links)) if files else {}
    made = {}
    for name, index in links.items():
        state = _assignments(root, f"/run/systemd/netif/links/{index}")
        file = os.path.basename(state.get("NETWORK_FILE", ""))  # noqa: PTH119 - of a text
        if file.startswith(_MADE_BY_NETPLAN):
            made[file.removeprefix(_MADE_BY_NETPLAN).removesuffix(".network")] = name
    for file in files:
        for kind, id_, name in _netplan_entries(_yaml(root, file)):
            link = made.get(id_, name)
            removal = f"netplan set {kind}.{id_}=NULL && netplan generate"
            if link in managed:
                handover = f"`{removal}`, then {managed[link].handover}"
            else:
                is_leased = link in links and _has_lease(root, links[link])
                first = _kept_lease(f"{_MADE_BY_NETPLAN}{id_}.network") if is_leased else ""
                handover = f"{first}`{removal} && systemctl restart systemd-networkd`"
            yield link, Owner("netplan", file, handover)


def ifupdown(root: Path, _links: Links) -> Iterator[tuple[str, Owner]]:
    """Yield what interfaces(5) has a stanza for, where ifup is installed."""
    if not any((root / path).exists() for path in ("sbin/ifup", "usr/sbin/ifup")):
        return
    for file, line in _stanzas(root, "/etc/network/interfaces", {}):
        words = line.split()
        if words[:1] == ["iface"] and len(words) > 1:
            name = words[1].partition(":")[0]
            handover = (
                f"take `iface {name}` out of {file}, then "
                f"`sed -i '/^{name}=/d' /run/network/ifstate`"
            )
            yield name, Owner("ifupdown", file, handover)


def nmstate_service(root: Path, _links: Links) -> Iterator[tuple[str, Owner]]:
    """Yield what nmstate.service applies at boot, where nmstatectl is installed."""
    if not (root / "usr/bin/nmstatectl").exists():
        return
    for file in _files(root, ("/etc/nmstate",), ".yml"):
        entries = _yaml(root, file).get("interfaces")
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict) and entry.get("state") != "ignore":
                name = str(entry.get("name"))
                yield name, Owner("nmstate.service", file, f"take {name} out of {file}")


def sriov_operator(root: Path, pci_address: str) -> str:
    """Return the file by which the SR-IOV network operator makes the VFs of a PF, empty for none.

    VFs that its policy calls externally managed are another's.
    """
    file = f"{_OF_SRIOV_OPERATOR}/{pci_address}"
    applied = _yaml(root, file)
    return file if applied.get("numVfs") and not applied.get("externallyManaged") else ""


def _is_network_manager_in_use(root: Path) -> bool:
    """Return whether it runs, by whatever started it, or is started at boot."""
    wants = [f"{root}{folder}" for folder in _WANTS]
    if any(_is_wanted(folder) for folder in wants) or os.path.lexists(f"{root}{_INVOCATION}"):
        return True
    if any((root / group.lstrip("/") / "cgroup.procs").exists() for group in _GROUPS):
        return True
    number = _read(root, "/run/NetworkManager/NetworkManager.pid").strip()
    return number.isdecimal() and "NetworkManager" in _read(root, f"/proc/{number}/comm")


def _is_wanted(folder: str) -> bool:
    """Return whether a target or a unit there has it started: multi-user.target.wants, and such."""
    with suppress(OSError):
        names = [name for name in os.listdir(folder) if name.endswith((".wants", ".requires"))]  # noqa: PTH208 - names alone
        return any(os.path.lexists(f"{folder}/{name}/{_UNIT}") for name in names)
    return False


def _profiles(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the interfaces that NetworkManager's keyfiles name, with the file."""
    for file in _files(root, _PROFILES, ""):
        name = _ini(root, file).get("connection", "interface-name", fallback="")
        if name:
            yield name, file


def _exclusions(root: Path) -> Iterator[str]:
    """Yield the device specs that NetworkManager.conf(5) has as not managed."""
    for file in ("/etc/NetworkManager/NetworkManager.conf", *_files(root, _CONF_FOLDERS, ".conf")):
        conf = _ini(root, file)
        for section in conf.sections():
            row = conf[section]
            if section == "keyfile":
                for key in ("unmanaged-devices", "unmanaged-devices+"):
                    yield from re.split("[;,]", row.get(key, ""))
            elif section.startswith("device") and row.get("managed", "").lower() in _FALSE:
                yield from re.split("[;,]", row.get("match-device", "*"))


def _may_mean(spec: str, name: str) -> bool:
    """Return whether a device spec may mean an interface: by MAC or driver it may mean any."""
    kind, _, value = spec.strip().rpartition(":") if spec.count(":") == 1 else ("", "", spec)
    if kind == "interface-name":
        return fnmatch.fnmatchcase(name, value.removeprefix("="))
    return bool(spec.strip())


def _netplan_entries(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield kind, id and interface of each; the interface is empty where only a match knows it."""
    network = document.get("network")
    for kind in _NETPLAN_KINDS if isinstance(network, dict) else ():
        entries = network.get(kind) if isinstance(network, dict) else None
        for id_, entry in entries.items() if isinstance(entries, dict) else ():
            settings = entry if isinstance(entry, dict) else {}
            name = settings.get("set-name") or ("" if "match" in settings else id_)
            yield kind, str(id_), str(name)


def _stanzas(root: Path, path: str, seen: dict[str, bool]) -> Iterator[tuple[str, str]]:
    """Yield file and line of interfaces(5) and of what it sources, each file once."""
    if path in seen or len(seen) >= _MOST_FILES:
        return
    seen[path] = True
    for line in _read(root, path).replace("\\\n", " ").splitlines():
        word, *rest = line.split(maxsplit=1) or [""]
        if word in {"source", "source-directory"}:
            for source in _sources(root, path, word, "".join(rest).strip()):
                yield from _stanzas(root, source, seen)
        else:
            yield path, line


def _sources(root: Path, path: str, word: str, pattern: str) -> list[str]:
    """Return the files that a line sources, without the root."""
    whole = os.path.join(os.path.dirname(path), pattern)  # noqa: PTH118, PTH120 - of another root
    whole = f"{whole}/*" if word == "source-directory" else whole
    with suppress(ValueError, OSError, RecursionError):
        found = sorted(root.glob(whole.lstrip("/")))[:_MOST_FILES]
        return [f"/{file.relative_to(root)}" for file in found]
    return []


def _files(root: Path, folders: tuple[str, ...], ending: str) -> list[str]:
    """Return the files of these folders; of two with one name the first, which hides the other."""
    files: dict[str, str] = {}
    for folder in folders:
        with suppress(OSError):
            for name in sorted(os.listdir(f"{root}{folder}")):  # noqa: PTH208 - names alone
                if name.endswith(ending):
                    files.setdefault(name, f"{folder}/{name}")
    return list(files.values())[:_MOST_FILES]


def _yaml(root: Path, path: str) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(_read(root, path))
    except Exception:  # noqa: BLE001 - a tag may raise anything, and no change may end by it
        return {}
    return content if isinstance(content, dict) else {}


def _ini(root: Path, path: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False)
    with suppress(configparser.Error):
        parser.read_string(_read(root, path))
    return parser


def _assignments(root: Path, path: str) -> dict[str, str]:
    """Return a file of systemd's as variables."""
    lines = (line.partition("=") for line in _read(root, path).splitlines())
    return {name: value.strip('"') for name, _, value in lines}


def _read(root: Path, path: str) -> str:
    with suppress(OSError, UnreadableError):
        return plainfile.read(f"{root}{path}", _MOST_BYTES).decode("utf-8", "replace")
    return ""
