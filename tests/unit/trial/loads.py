"""Addresses and routes as the kernel reports them, for tests without one."""

import socket
from ipaddress import ip_address, ip_interface

from sriovbond.bond.links import Carried
from sriovbond.kernel import messages
from sriovbond.kernel.messages import RTA_DST, RTA_GATEWAY, RTA_OIF, RTA_PREFSRC


def a_route(
    target: str, prefix: int, gateway: str = "", index: int = 3, source: str = "", *more: bytes
) -> Carried:
    parts = [messages.word(RTA_OIF, index), *more]
    if prefix:
        parts.append(messages.attribute(RTA_DST, ip_address(target).packed))
    if gateway:
        parts.append(messages.attribute(RTA_GATEWAY, ip_address(gateway).packed))
    if source:
        parts.append(messages.attribute(RTA_PREFSRC, ip_address(source).packed))
    body = messages.route(socket.AF_INET, prefix, *parts, protocol=3, type=1)
    return Carried(f"route {target}/{prefix}", body.hex())


def an_address(text: str, *more: bytes) -> Carried:
    body = messages.address(socket.AF_INET, ip_interface(text).network.prefixlen, 3, *more)
    return Carried(text, body.hex())


NET = a_route("203.0.113.0", 24)
DEFAULT = a_route("default", 0, "192.0.2.1")
