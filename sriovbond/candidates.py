"""What there is to choose from: links of pod and host, with what bus, PF and mover say of them."""

from dataclasses import dataclass, field, replace

import deviceinfo
from deviceinfo import Device, SriovCniEntry
from sriovbond.bond.config import NetConf
from sriovbond.bond.links import NO_MAC, Link, Member, PhysicalFunction, Place
from sriovbond.bond.selection import Seen, UserspaceDevice
from sriovbond.cni.request import CniRequest
from sriovbond.host import Host
from sriovbond.kernel import links
from sriovbond.kernel.netlink import Netlink
from sriovbond.kernel.netns import Namespace

_CACHE = "SR-IOV CNI's cache"


@dataclass(slots=True)
class Sources:
    """The facts of one ADD, each read once."""

    host: Host
    host_netlink: Netlink
    entries: dict[str, SriovCniEntry]
    devices: dict[str, Device | None] = field(default_factory=dict)
    pfs: dict[str, Link] | None = None

    def device(self, address: str) -> Device | None:
        """Return the PCI function at the address; None where none is, or on another bus."""
        if address not in self.devices:
            wanted = deviceinfo.parse_device_id(address)
            self.devices[address] = (
                deviceinfo.read_device(self.host.sysfs, wanted) if wanted else None
            )
        return self.devices[address]

    def pf(self, address: str) -> Link | None:
        """Return the PF's link on the host, with what it says of its VFs."""
        if self.pfs is None:
            standing = links.dump(self.host_netlink, with_vfs=True)
            # a PF's representors have its address too, but tell of no VFs: the PF comes last
            ordered = sorted(standing, key=lambda link: bool(link.vfs))
            self.pfs = {link.device: link for link in ordered if link.device}
        return self.pfs.get(address)

    def as_member(self, link: Link, place: Place) -> Member:
        """Return the link with what its bus, its PF and SR-IOV CNI say of it."""
        device = self.device(link.device) if link.device else None
        if device is None:
            return Member(link, place)
        member = Member(
            link=link,
            place=place,
            driver=device.driver or "",
            is_vf=device.is_vf or device.is_vf_by_driver,
        )
        return self._with_pf(member, device) if device.pf else member

    def without_netdev(self) -> list[UserspaceDevice]:
        """Return the pod's devices that the kernel cannot bond, by who told of them."""
        return [
            UserspaceDevice(
                device.id.address,
                device.driver or "no driver",
                _CACHE,
                entry.ifname,
                *device.vdpa[:1],
            )
            for address, entry in self.entries.items()
            if (device := self.device(address))
            and (device.is_userspace or device.vdpa or device.driver is None)
        ]

    def _with_pf(self, member: Member, device: Device) -> Member:
        address = device.pf.address if device.pf else ""
        link = self.pf(address)
        pf = PhysicalFunction(address, numa_node=device.numa_node)
        if link is not None:
            pf = replace(
                pf,
                name=link.name,
                mtu=link.mtu,
                has_carrier=link.has_carrier,
                master=link.within,
                has_representors=link.has_representors,
            )
        vfs = link.vfs if link is not None else ()
        return replace(
            member,
            pf=pf,
            vf_number=device.vf_number,
            settings=next((vf for vf in vfs if vf.number == device.vf_number), None),
            administrative_mac=self._administrative_mac(device),
        )

    def _administrative_mac(self, device: Device) -> str | None:
        """Return the MAC that SR-IOV CNI, or somebody before it, had the PF set on the VF."""
        entry = self.entries.get(device.id.address)
        if entry is None:
            return None
        if entry.administrative_mac:
            return entry.administrative_mac.lower()
        before = (entry.original_admin_mac or NO_MAC).lower()
        own = (entry.original_effective_mac or "").lower()
        return before if before not in (NO_MAC, own) else None


def gather(
    host: Host, request: CniRequest, config: NetConf, pod: Namespace, home: Namespace
) -> tuple[Seen, list[str]]:
    """Return what was seen, and in words what could not be read of it.

    The host's links are looked at only where `links` may mean them: a node has hundreds.
    """
    may_be_host = config.links is not None and not config.links_in_container
    reading = deviceinfo.read_cache(host.sriov_cni_cache, request.container_id, netns=request.netns)
    entries: dict[str, SriovCniEntry] = {entry.device_id: entry for entry in reading.entries}
    sources = Sources(host, home.netlink, entries)
    seen = Seen(
        pod=links.snapshot(pod.netlink),
        host=links.snapshot(home.netlink) if may_be_host else (),
        userspace=sources.without_netdev(),
        as_member=sources.as_member,
    )
    return seen, list(reading.problems)
