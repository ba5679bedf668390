"""The plugins that move a VF into a pod and back, and the VF's state on the host."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from sriovbond.bond.links import Link, VfSettings
from sriovbond.kernel import links, netns
from tests.support import plugins
from tests.support.calls import Reply
from tests.support.pods import Pod
from tests.vm.layout import Vf

_DEVICES = Path("/sys/bus/pci/devices")


@dataclass(frozen=True, slots=True)
class Mover:
    """A plugin that moves a VF; `device_key` is the key of the device in its configuration."""

    type: str
    device_key: str

    def config(self, vf: Vf, **keys: object) -> dict[str, object]:
        device = {self.device_key: vf.pci}
        return {
            "cniVersion": "1.0.0",
            "name": f"{self.type}-net",
            "type": self.type,
            **device,
            **keys,
        }

    def add(self, pod: Pod, ifname: str, vf: Vf, **keys: object) -> Reply:
        """Move the VF into the pod; fail if the mover does."""
        reply = plugins.call("ADD", pod, ifname, self.config(vf, **keys))
        reply.ok()
        return reply

    def delete(self, pod: Pod, ifname: str, vf: Vf, **keys: object) -> Reply:
        """Move the VF out of the pod."""
        return plugins.call("DEL", pod, ifname, self.config(vf, **keys))


HOST_DEVICE = Mover("host-device", "pciBusID")
SRIOV_CNI = Mover("sriov", "deviceID")
MOVERS = (
    pytest.param(HOST_DEVICE, id="host-device"),
    pytest.param(SRIOV_CNI, id="sriov", marks=pytest.mark.peer("sriov")),
)
_NO_MAC = "SR-IOV CNI's DEL fails, with or without a bond, once its VF was up: igbvf takes no MAC"
TAKERS_BACK = (
    MOVERS[0],
    pytest.param(
        SRIOV_CNI,
        id="sriov",
        marks=[pytest.mark.peer("sriov"), pytest.mark.kernel_from("6.12", _NO_MAC)],
    ),
)
"""For tests in which its DEL must succeed after VFs were up; seen to fail on 6.1."""


@dataclass(frozen=True, slots=True)
class VfOnHost:
    """An unused VF's state; `entry` is the PF's entry of it.

    Without the entry's MAC: igb stores the VF's own request there, so that it changes by itself.
    Without the link's index, which a move changes, and its carrier.
    """

    name: str
    mac: str
    mtu: int
    is_up: bool
    alias: str
    entry: VfSettings


def at_home(vf: Vf) -> VfOnHost:
    """Return the VF's state on the host, whatever its name is now."""
    with netns.own() as home:
        standing = links.dump(home.netlink, with_vfs=True)
    link = next(link for link in standing if link.device == vf.pci)
    return VfOnHost(link.name, link.mac, link.mtu, link.is_up, link.alias, _entry(standing, vf))


def is_at_home(vf: Vf) -> bool:
    """Return whether the VF's netdev is in the host's namespace."""
    with netns.own() as home:
        return any(link.device == vf.pci for link in links.dump(home.netlink))


def _entry(standing: list[Link], vf: Vf) -> VfSettings:
    pf = (_DEVICES / vf.pci / "physfn").resolve().name
    vfs = next(link.vfs for link in standing if link.device == pf)
    view = next(entry for entry in vfs if entry.number == vf.index)
    return VfSettings(
        view.number, "", view.trust, view.spoofchk, view.link_state, view.vlan, view.qos
    )


@contextmanager
def bound_to_vfio(vf: Vf) -> Iterator[None]:
    """Remove a VF's netdev by binding it to vfio-pci; bind it to igbvf again at the end."""
    home = _DEVICES / vf.pci
    (home / "driver" / "unbind").write_text(vf.pci)
    (home / "driver_override").write_text("vfio-pci")
    Path("/sys/bus/pci/drivers/vfio-pci/bind").write_text(vf.pci)
    try:
        yield
    finally:
        with suppress(OSError):
            (home / "driver" / "unbind").write_text(vf.pci)
        (home / "driver_override").write_text("\n")
