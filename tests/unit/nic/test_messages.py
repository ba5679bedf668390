"""The kernel's real messages of ethtool and devlink, captured, are parsed completely."""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from pyroute2.netlink.devlink import devlinkcmd
from pyroute2.netlink.generic.ethtool import ethtool_linkmode_msg

from sriovbond.nic import devlink, ethtool
from sriovbond.nic.facts import Ethtool, Port, Reporter

CAPTURED: Final = Path(__file__).parents[2] / "data" / "nic"
HEADER: Final = struct.Struct("=IHHII")
DONE: Final = 3


def answers(name: str, message: Callable[[bytes], Any]) -> Iterator[Any]:
    """Yield the messages of a captured response as pyroute2 parses them."""
    left = bytes.fromhex((CAPTURED / f"{name}.hex").read_text())
    while left:
        length, type_, *_ = HEADER.unpack_from(left)
        if type_ != DONE:
            answer = message(left[:length])
            answer.decode()
            yield answer
        left = left[length:]


def test_igbs_pf_reports_speed_and_modes_the_fastest_first() -> None:
    (answer,) = answers("igb-linkmodes", ethtool_linkmode_msg)

    read = ethtool.parse(answer)

    assert (read.speed_mbps, read.duplex, read.autonegotiation) == (1000, "full", True)
    assert read.supported == (
        "1000baseT/Full",
        "100baseT/Half",
        "100baseT/Full",
        "10baseT/Half",
        "10baseT/Full",
    )
    assert read.advertised == read.supported


def test_igbvf_reports_its_speed() -> None:
    (answer,) = answers("igbvf-linkmodes", ethtool_linkmode_msg)

    modes = ("1000baseT/Full",)
    assert ethtool.parse(answer) == Ethtool(
        1000, "full", autonegotiation=False, supported=modes, advertised=modes
    )


def test_netdevsims_ports_have_flavours_numbers_and_netdevs() -> None:
    ports = devlink.parse_ports(answers("netdevsim-ports", devlinkcmd))

    assert ports == (
        Port(0, "physical", "eni10np1"),
        Port(128, "pcivf", "eni10npf0vf0", 0, 0),
        Port(129, "pcivf", "eni10npf0vf1", 0, 1),
    )


def test_netdevsims_eswitch_has_a_mode() -> None:
    (answer,) = answers("netdevsim-eswitch", devlinkcmd)

    assert devlink.parse_eswitch(answer) == "switchdev"


def test_netdevsims_reporters_are_healthy() -> None:
    reporters = devlink.parse_reporters(answers("netdevsim-health", devlinkcmd))

    assert reporters == (Reporter("empty", "healthy"), Reporter("dummy", "healthy"))


def test_a_question_is_encoded_as_in_the_kernels_header() -> None:
    """genlmsghdr, then DEVLINK_ATTR_BUS_NAME (1) and DEVLINK_ATTR_DEV_NAME (2) with their NUL."""
    question = devlink.question(29, "pci/0000:01:00.0")
    question.reset()
    question.encode()

    name = b"0000:01:00.0\0"
    body = struct.pack("=BBH", 29, 1, 0) + struct.pack("=HH", 8, 1) + b"pci\0"
    body += struct.pack("=HH", 4 + len(name), 2) + name + bytes(-len(name) % 4)
    assert bytes(question.data[HEADER.size :]) == body
