"""Network names and the device in a plugin's configuration, in the forms that sources use."""

import re
from collections.abc import Mapping
from itertools import islice
from typing import Final

from deviceinfo.device import DeviceId, parse_device_id
from deviceinfo.jsonfile import Fields

_MOST: Final = 64  # keys of a plugin, plugins of a list
_MOST_CHARACTERS: Final = 512
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


def outline(config: Mapping[str, object]) -> dict[str, object]:
    """Return a configuration's own values and those of its plugins, without the inner ones.

    Of an object its type is kept, of a list that it is one. For a long text, whose author may have
    made it to take memory.
    """
    short = {key: _shorten(value) for key, value in islice(config.items(), _MOST)}
    plugins = config.get("plugins")
    if isinstance(plugins, list):
        dicts = (plugin for plugin in plugins if isinstance(plugin, dict))
        short["plugins"] = [
            {key: _shorten(value) for key, value in islice(plugin.items(), _MOST)}
            for plugin in islice(dicts, _MOST)
        ]
    return short


def _shorten(value: object) -> object:
    match value:
        case str():
            return value[:_MOST_CHARACTERS]
        case {"type": str(kind)}:
            return {"type": kind[:_MOST_CHARACTERS]}
        case dict() | list():
            return type(value)()
    return value


def possible_networks(text: str) -> list[str]:
    """Split `<namespace>-<NAD>` in every way that Kubernetes' names allow, as `namespace/NAD`."""
    if len(text) > NAME_BYTES:
        return []
    return [
        f"{text[:at]}/{text[at + 1 :]}"
        for at, char in enumerate(text)
        if char == "-" and _NAMESPACE.fullmatch(text[:at]) and _OBJECT.fullmatch(text[at + 1 :])
    ]
