"""Network names and the device in a plugin's configuration, in the forms that sources use."""

import re
from typing import Final

from deviceinfo.device import DeviceId, parse_device_id
from deviceinfo.jsonfile import Fields

NAME_BYTES: Final = 255  # NAME_MAX, linux/limits.h
# RFC 1123 in Kubernetes: a namespace is a label, the name of an object a subdomain.
_LABEL: Final = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_NAMESPACE: Final = re.compile(_LABEL)
_OBJECT: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


def parse_given_device(config: Fields) -> DeviceId | None:
    """Return the device that Multus, or the author, set in a plugin's configuration."""
    device_ids = (config.members.get(key) for key in ("deviceID", "pciBusID"))
    devices = (parse_device_id(text) for text in device_ids if isinstance(text, str))
    return next(filter(None, devices), None)


def first_plugin(config: Fields) -> Fields:
    """Return the configuration of a list's first plugin, or of the single plugin."""
    plugins = config.objects("plugins")
    return plugins[0] if plugins else config


def possible_networks(text: str) -> list[str]:
    """Split `<namespace>-<NAD>` in every way that Kubernetes' names allow, as `namespace/NAD`."""
    if len(text) > NAME_BYTES:
        return []
    return [
        f"{text[:at]}/{text[at + 1 :]}"
        for at, char in enumerate(text)
        if char == "-" and _NAMESPACE.fullmatch(text[:at]) and _OBJECT.fullmatch(text[at + 1 :])
    ]
