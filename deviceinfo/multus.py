"""Reads Multus' scratch file of a container: its list of networks, with their devices."""

from pathlib import Path
from typing import Final

from deviceinfo import plainfile
from deviceinfo.containerid import require_container_id
from deviceinfo.device import parse_device_id
from deviceinfo.jsonfile import Fields, parse_list, some_of
from deviceinfo.networks import first_plugin, outline, parse_given_device
from deviceinfo.plainfile import UnreadableError
from deviceinfo.statement import NetworkRequest, Reading, Source, Statement

_LONG_BYTES: Final = 1 << 16  # of all networks of a pod; from then on only their outlines are kept
_FILE_BYTES: Final = 4 << 20  # it contains a network's configuration up to three times


def read_scratch(folder: Path, container_id: str) -> Reading:
    """Read `<folder>/<container_id>`: the networks in Multus' order, and the devices of some.

    Multus writes it (`/var/lib/cni/multus`) before its first ADD and removes it after the last
    DEL, so it also lists networks that failed or are still to come. The default network is the
    first; its interface is the one requested by the runtime, which only the runtime's own call has.
    A network is named `namespace/name`, the default one often as in its configuration. Networks
    with a resource or a device have a statement. When one element is malformed the others are read.

    Raises DeviceInfoError if CNI does not allow the container id.
    Source: saveDelegates and getIfname in Multus, pkg/multus/multus.go; DelegateNetConf in its
    pkg/types/types.go; addDeviceIDInConfList in its pkg/types/conf.go.
    """
    require_container_id(container_id, folder)
    file = folder / container_id
    try:
        content = plainfile.read(file, _FILE_BYTES)
        scratch = parse_list(content, "delegates")
    except FileNotFoundError:
        return Reading(Source.MULTUS, is_absent=True)
    except UnreadableError as error:
        return Reading(Source.MULTUS, problems=(f"cannot read {file}: {error}",))
    delegates = scratch.objects("delegates")
    is_long = len(content) > _LONG_BYTES
    requests = [_parse_delegate(delegate, is_long=is_long) for delegate in delegates]
    faults = [fault for fields in (scratch, *delegates) for fault in fields.faults]
    return Reading(
        Source.MULTUS,
        statements=tuple(
            _statement(request, index)
            for index, request in enumerate(requests)
            if request and (request.resource or request.device)
        ),
        networks=tuple(request for request in requests if request),
        problems=(f"cannot read all of {file}: {some_of(faults)}",) if faults else (),
    )


def _parse_delegate(delegate: Fields, *, is_long: bool) -> NetworkRequest | None:
    """Parse one network; None, and faults, when a part of it is malformed."""
    net_config = delegate.packed("Bytes")
    config = first_plugin(net_config)
    network = delegate.plain("Name")
    request = NetworkRequest(
        network=network or "",
        interface=delegate.ifname("ifnameRequest") or "",
        plugin=config.plain("type") or "",
        resource=delegate.plain("resourceName"),
        device=parse_device_id(delegate.text("deviceID") or "") or parse_given_device(config),
        config=outline(net_config.members) if is_long else dict(net_config.members),
    )
    if config.faults is not delegate.faults:
        delegate.faults += config.faults
    if not network and not delegate.faults:
        delegate.faults.append("a network has no Name")
    return None if delegate.faults else request


def _statement(request: NetworkRequest, index: int) -> Statement:
    """Return the device's statement; `index` among all networks determines the interface."""
    default_name = f"net{index}" if index else None
    return Statement(
        Source.MULTUS,
        device=request.device,
        resource=request.resource,
        network=request.network,
        interface=request.interface or default_name,
    )
