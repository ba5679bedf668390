"""Parses what pods and NetworkAttachmentDefinitions say about devices; no I/O.

Source: the Kubernetes Network Plumbing Working Group's specifications of the
NetworkAttachmentDefinition and of device-info 1.1; and Multus' parser, which refuses the same
(parsePodNetworkAnnotation in pkg/k8sclient/k8sclient.go).
"""

import re
import reprlib
from dataclasses import dataclass, field, replace
from typing import Final

from deviceinfo import DeviceId, PodRef, Source, Statement, parse_device_id
from deviceinfo.infofiles import parse_info
from deviceinfo.jsonfile import Fields, is_ifname, parse_list, parse_object, some_of
from deviceinfo.networks import first_plugin, outline, parse_given_device
from deviceinfo.plainfile import UnreadableError

MOST_NETWORKS: Final = 32
_LONG_CHARACTERS: Final = 1 << 14  # of a network, of which an outline is kept then
_MOST_STATUSES: Final = 256

_NETWORKS: Final = "k8s.v1.cni.cncf.io/networks"
_STATUS: Final = "k8s.v1.cni.cncf.io/network-status"
_RESOURCE: Final = "k8s.v1.cni.cncf.io/resourceName"
# Kubelet's UID of a static pod, whose mirror in the API has a UID of its own.
_STATIC_UID: Final = "kubernetes.io/config.hash"

_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_NAME: Final = re.compile(
    r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
)


@dataclass(frozen=True, slots=True)
class Selection:
    """One network that a pod requests; `interface` is empty when it names none."""

    namespace: str
    name: str
    interface: str = ""
    device: DeviceId | None = None

    @property
    def network(self) -> str:
        """The NetworkAttachmentDefinition, `namespace/name`."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class PodFacts:
    """The devices and networks in a pod's annotations; `problems` are texts."""

    selections: tuple[Selection, ...]
    statuses: tuple[Statement, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Definition:
    """A NetworkAttachmentDefinition; without `config` its configuration is a file on the node.

    `plugin` and `device` are its first plugin's. All empty for one that could not be read.
    """

    plugin: str = ""
    resource: str | None = None
    device: DeviceId | None = None
    config: dict[str, object] = field(default_factory=dict)


def are_names(namespace: str, name: str) -> bool:
    """Return whether both are valid object names, and so safe in an URL (RFC 1123)."""
    return bool(_LABEL.fullmatch(namespace) and _NAME.fullmatch(name))


def read_pod(pod: Fields, pod_ref: PodRef) -> PodFacts:
    """Parse a pod's annotations; a malformed one becomes a problem and is otherwise ignored.

    Raises UnreadableError when the pod's UID is another than `pod_ref`'s.
    """
    metadata = pod.section("metadata")
    annotations = metadata.section("annotations")
    _check_uid(metadata.text("uid"), annotations.text(_STATIC_UID), pod_ref)
    problems = []
    selections: tuple[Selection, ...] = ()
    statuses: tuple[Statement, ...] = ()
    try:
        selections = parse_networks(annotations.text(_NETWORKS) or "", pod_ref.namespace)
    except UnreadableError as error:
        problems.append(f"annotation {_NETWORKS}: {error}")
    try:
        statuses = parse_status(annotations.text(_STATUS) or "")
    except UnreadableError as error:
        problems.append(f"annotation {_STATUS}: {error}")
    return PodFacts(selections, statuses, (*problems, *pod.faults))


def _check_uid(uid: str | None, static_uid: str | None, pod_ref: PodRef) -> None:
    if uid and pod_ref.uid and pod_ref.uid not in (uid, static_uid):
        raise UnreadableError(f"it is another pod of this name, {uid!a}, not {pod_ref.uid!r}")


def parse_networks(annotation: str, namespace: str) -> tuple[Selection, ...]:
    """Parse the networks that a pod of that namespace requests, in the order of the annotation.

    Raises UnreadableError if any is malformed, as Multus refuses them all, or if there are more
    than MOST_NETWORKS, since a truncated list would look complete.
    """
    if not annotation:
        return ()
    if any(char in annotation for char in '[{"'):
        return tuple(_from_json(item, namespace) for item in _items(annotation, MOST_NETWORKS))
    names = annotation.split(",", MOST_NETWORKS)
    if len(names) > MOST_NETWORKS:
        raise UnreadableError(f"it has more than {MOST_NETWORKS} entries")
    return tuple(_from_text(name, namespace) for name in names)


def _from_json(fields: Fields, namespace: str) -> Selection:
    selection = Selection(
        namespace=fields.text("namespace") or namespace,
        name=fields.text("name") or "",
        interface=fields.ifname("interface") or "",
        device=parse_device_id(fields.text("deviceID") or ""),
    )
    _refuse(fields.faults)
    return _check(selection)


def _from_text(text: str, namespace: str) -> Selection:
    """Parse `namespace/name@interface`."""
    before, slash, rest = text.rpartition("/")
    name, at, interface = rest.partition("@")
    selection = Selection(before.strip() if slash else namespace, name.strip(), interface.strip())
    if at and not is_ifname(selection.interface):
        raise UnreadableError(f"{reprlib.repr(text)} does not end in the name of an interface")
    return _check(selection)


def _check(selection: Selection) -> Selection:
    if not are_names(selection.namespace, selection.name):
        raise UnreadableError(f"{reprlib.repr(selection.network)} is not the name of a network")
    return selection


def parse_status(annotation: str) -> tuple[Statement, ...]:
    """Parse the network-status annotation, which Multus writes after it has added all interfaces.

    After the pod's sandbox was recreated this still describes the former one.
    Raises UnreadableError with the faults of the first entry that has any.
    """
    if not annotation:
        return ()
    return tuple(_statement(entry) for entry in _items(annotation, _MOST_STATUSES))


def _statement(fields: Fields) -> Statement:
    info = fields.section("device-info")
    device_info = parse_info(info) if info.members else Statement(Source.API)
    namespace, _, name = (fields.text("name") or "").partition("/")
    statement = replace(
        device_info,
        source=Source.API,
        # the default network has a name, but no NetworkAttachmentDefinition
        network=f"{namespace}/{name}" if are_names(namespace, name) else None,
        interface=fields.ifname("interface"),
        mac=fields.mac("mac"),
    )
    _refuse(fields.faults)
    return statement


def read_definition(definition: Fields) -> Definition:
    """Parse a NetworkAttachmentDefinition. Raises UnreadableError with every fault."""
    annotations = definition.section("metadata").section("annotations")
    resource = annotations.plain(_RESOURCE)
    text = definition.section("spec").text("config")
    _refuse(definition.faults)
    if text is None:
        return Definition(resource=resource)
    try:
        return replace(_parse_config(text), resource=resource)
    except UnreadableError as error:
        raise UnreadableError(f"spec.config: {error}") from error


def _parse_config(text: str) -> Definition:
    net_config = parse_object(_bytes(text))
    config = first_plugin(net_config)
    plugin = config.plain("type") or ""
    _refuse([*net_config.faults, *([] if config is net_config else config.faults)])
    is_long = len(text) > _LONG_CHARACTERS
    members = outline(net_config.members) if is_long else dict(net_config.members)
    return Definition(plugin, device=parse_given_device(config), config=members)


def _items(annotation: str, most: int) -> list[Fields]:
    """Parse a JSON list of objects."""
    fields = parse_list(_bytes(annotation), "entry")
    items = fields.objects("entry")
    if len(items) > most:
        raise UnreadableError(f"it has more than {most} entries")
    _refuse(fields.faults)
    return items


def _bytes(text: str) -> bytes:
    """Encode parsed JSON text, which may have lone surrogates."""
    return text.encode("utf-8", "surrogatepass")


def _refuse(faults: list[str]) -> None:
    if faults:
        raise UnreadableError(some_of(faults))
