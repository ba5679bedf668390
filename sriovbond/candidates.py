"""The candidates for members: links of pod and host, with the facts of all sources."""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import deviceinfo
from deviceinfo import (
    AllocatedDevice,
    Ask,
    Device,
    DeviceId,
    DeviceKind,
    NetworkRequest,
    PodDevices,
    Reading,
    Sandbox,
    Search,
    Source,
    Statement,
)
from sriovbond import log
from sriovbond.bond import rules, selection
from sriovbond.bond.config import AUTO, NetConf
from sriovbond.bond.links import Allocation, Link, Member, PhysicalFunction, Place
from sriovbond.bond.options import normal_key
from sriovbond.bond.ownkeys import Policy
from sriovbond.bond.plan import BondPlan
from sriovbond.bond.rules import Finding
from sriovbond.bond.seen import Seen, Unlinked, may_mean
from sriovbond.cni.request import CniRequest
from sriovbond.errors import KernelError, RefusedError
from sriovbond.host import Host
from sriovbond.kernel import links, snapshots
from sriovbond.kernel.netlink import Netlink
from sriovbond.kernel.netns import Namespace
from sriovbond.lending import Lender
from sriovbond.subject import pod_of

_VHOST = "vhost-net"  # the key of device-info


@dataclass(slots=True)
class Sources:
    """The facts of one look-up, each read once; `devices` are those of all links involved."""

    host_netlink: Netlink
    devices: PodDevices
    pfs: dict[str, Link] | None = None

    def pf(self, address: str) -> Link | None:
        """Return the PF's link on the host, with its settings of its VFs."""
        if self.pfs is None:
            known = [allocated.device for allocated in self.devices.devices if allocated.device]
            pfs = {device.pf.address: device.pf_netdevs for device in known if device.pf}
            vfs = {device.vf_number for device in known if device.vf_number is not None}
            self.pfs = self._read_pfs(pfs, vfs)
        return self.pfs.get(address)

    def _read_pfs(self, pfs: Mapping[str, Sequence[str]], vfs: Collection[int]) -> dict[str, Link]:
        """Return the PFs' links; none if they cannot be read: a bond is possible without."""
        try:
            return links.of_devices(self.host_netlink, pfs, vfs)
        except KernelError as error:
            log.event(logging.WARNING, f"nothing is known of the PFs: {error.message}")
            return {}

    def as_member(self, link: Link, place: Place) -> Member:
        """Return the link with the facts of its bus, its PF and its allocation."""
        allocated = self.devices.get(link.device)
        device = allocated.device if allocated else None
        if allocated is None or device is None:
            return Member(link, place)
        member = Member(
            link=link,
            place=place,
            driver=device.driver or "",
            is_vf=device.is_vf or device.is_vf_by_driver,
            allocation=self._allocation(allocated),
            administrative_mac=allocated.administrative_mac,
        )
        return self._with_pf(member, device, device.pf) if device.pf else member

    def unlinked(self) -> Iterator[Unlinked]:
        """Yield the pod's network devices without a link in the pod."""
        for allocated in self.devices.devices:
            is_linked = any(
                statement.source is Source.NAMESPACE for statement in allocated.statements
            )
            is_other = allocated.device is not None and not allocated.device.is_network
            if allocated.sources and not is_linked and not is_other:
                yield self._unlinked(allocated)
        for loose in self.devices.loose:
            if loose.kind in (DeviceKind.VDPA, DeviceKind.VHOST_USER, DeviceKind.MEMIF):
                allocation = Allocation(
                    loose.resource or "", loose.network or "", "", (loose.source,)
                )
                yield Unlinked(kind=loose.kind, ifname=loose.interface or "", allocation=allocation)

    def seen(self, in_pod: Sequence[Link], on_host: Sequence[Link], type_: object) -> Seen:
        """Return the candidates, for a plugin of this type."""
        auto_bonds, with_ipam = [], []
        for network in self.devices.networks:
            for plugin in network.plugins:
                if plugin.get("type") != type_:
                    with_ipam += [network.network] if _has_ipam(plugin) else []
                elif _is_auto(plugin):
                    auto_bonds.append(_words(network))
        return Seen(
            pod=[self.as_member(link, Place.POD) for link in in_pod],
            host=[self.as_member(link, Place.HOST) for link in on_host],
            unlinked=tuple(self.unlinked()),
            pod_name=str(self.devices.pod) if self.devices.pod.name else "",
            auto_bonds=tuple(auto_bonds),
            with_ipam=frozenset(with_ipam),
        )

    def _unlinked(self, allocated: AllocatedDevice) -> Unlinked:
        device = allocated.device
        return Unlinked(
            device=allocated.id.address,
            driver=(device and device.driver) or "",
            is_userspace=bool(device and device.is_userspace),
            is_gone=device is None,
            kind=allocated.kind,
            vdpa=next(iter(device.vdpa), "") if device else "",
            ifname=allocated.interface or "",
            pf=self._pf(device.pf.address, device.numa_node) if device and device.pf else None,
            allocation=self._allocation(allocated),
        )

    def _allocation(self, allocated: AllocatedDevice) -> Allocation:
        return Allocation(
            resource=allocated.resource or "",
            network=allocated.network or "",
            container=allocated.container or "",
            sources=allocated.sources,
            other_pods=tuple(f"{claim.pod} ({claim.source})" for claim in allocated.claims),
            is_foreign=self.devices.is_foreign(allocated),
        )

    def _pf(self, address: str, numa_node: int | None) -> PhysicalFunction:
        link = self.pf(address)
        if link is None:
            return PhysicalFunction(address, numa_node=numa_node)
        return PhysicalFunction(
            address,
            name=link.name,
            mtu=link.mtu,
            has_carrier=link.has_carrier,
            numa_node=numa_node,
            master=link.within,
            has_representors=link.has_representors,
        )

    def _with_pf(self, member: Member, device: Device, pf: DeviceId) -> Member:
        link = self.pf(pf.address)
        vfs = link.vfs if link is not None else ()
        return replace(
            member,
            pf=self._pf(pf.address, device.numa_node),
            vf_number=device.vf_number,
            settings=next((vf for vf in vfs if vf.number == device.vf_number), None),
        )


@dataclass(frozen=True, slots=True)
class Lookup:
    """One look-up, started early: kubelet responds while ADD does its other reading.

    `asks` are queried when the sources on this node leave a network without a device.
    """

    host: Host
    request: CniRequest
    asks: Sequence[Ask]
    search: Search

    def gather(
        self, config: NetConf, pod: Namespace, home: Namespace
    ) -> tuple[Seen, PodDevices, Lender]:
        """Return the candidates, the sources' readings, and the lender of the host's links."""
        in_pod, on_host, devices = look(self.search, config, pod, home, self.asks)
        type_ = self.request.config.get("type")
        lender = Lender(self.host, home, devices)
        seen = Sources(home.netlink, devices).seen(in_pod, on_host, type_)
        later, upon = (
            _later(devices.networks, self.request),
            _upon(devices.networks, self.request.ifname),
        )
        return replace(seen, later=later, upon=upon), devices, lender


def begin(host: Host, request: CniRequest, asks: Sequence[Ask] = ()) -> Lookup:
    """Start the look-up of the devices of the request's pod."""
    sandbox = Sandbox(pod_of(request.args), request.attachment.container_id, request.netns)
    search = Search(sandbox, host.places, kubelet_timeout_s=host.kubelet_timeout_s)
    return Lookup(host, request, asks, search)


def choose(config: NetConf, seen: Seen, lender: Lender) -> tuple[Member, ...]:
    """Select the members; raises as `selection.choose`, and for a link that the node does not lend.

    Lending is checked first: a link that the node keeps is not judged further.
    """
    coming = selection.find_on_host(config, seen)
    refusal = lender.refusal(coming) if coming else None
    if refusal:
        hint = selection.hint_at_pod(config, seen)
        raise RefusedError(replace(refusal, remedy=f"{refusal.remedy}{hint}"))
    return selection.choose(config, seen)


def look(
    search: Search, config: NetConf, pod: Namespace, home: Namespace, asks: Sequence[Ask]
) -> tuple[Sequence[Link], Sequence[Link], PodDevices]:
    """Return the links of pod and host, and all sources' facts of their devices.

    The host's links are read only when `links` may match them: a node has hundreds.
    """
    in_pod = snapshots.take(pod.netlink, is_bounded=True)
    may_mean_host = config.may_mean_host and not selection.means_pod(config, in_pod)
    is_meant = partial(may_mean, config.links or ())
    on_host = snapshots.take(home.netlink, is_meant=is_meant) if may_mean_host else ()
    meant = [link for link in on_host if is_meant(link)]
    devices = search.conclude(
        state_members(in_pod), state_host_links(meant), if_networks_lack_devices=asks
    )
    return in_pod, on_host, devices


def state_members(in_pod: Sequence[Link]) -> Reading:
    """Return the devices of the links in the pod's namespace."""
    named = [(link, deviceinfo.parse_device_id(link.device)) for link in in_pod if link.device]
    statements = tuple(
        Statement(Source.NAMESPACE, device=device, interface=link.name, mac=link.mac)
        for link, device in named
        if device
    )
    return Reading(Source.NAMESPACE, statements)


def state_host_links(on_host: Sequence[Link]) -> Reading:
    """Return the devices of host links that have no statement yet."""
    devices = (deviceinfo.parse_device_id(link.device) for link in on_host if link.device)
    statements = tuple(Statement(Source.SYSFS, device=device) for device in devices if device)
    return Reading(Source.SYSFS, statements)


def _later(networks: Sequence[NetworkRequest], request: CniRequest) -> tuple[str, ...]:
    """Return the pod's networks with a device that Multus adds after this one."""
    own = [network for network in networks if _bonds(network, request.config.get("type"))]
    alike = [network for network in own if network.config.get("name") == request.network]
    by_name = [network for network in alike if network.interface == request.ifname]
    this = next(iter(by_name or alike), None)
    after = networks[networks.index(this) + 1 :] if this else ()
    return tuple(_words(network) for network in after if network.resource or network.device)


def _upon(networks: Sequence[NetworkRequest], ifname: str) -> tuple[str, ...]:
    """Return the pod's networks on top of the bond of this name, and their plugins' types."""
    return tuple(
        f"{_words(network)} ({plugin.get('type')})"
        for network in networks
        for plugin in network.plugins
        if plugin.get("master") == ifname
    )


def _bonds(network: NetworkRequest, type_: object) -> list[dict[str, object]]:
    """Return the configurations for a plugin of this type among the network's plugins."""
    return [plugin for plugin in network.plugins if plugin.get("type") == type_]


def _is_auto(config: Mapping[str, object]) -> bool:
    links_value = next((value for key, value in config.items() if normal_key(key) == "links"), None)
    return links_value in (None, AUTO)


def _has_ipam(config: Mapping[str, object]) -> bool:
    ipam = config.get("ipam")
    return isinstance(ipam, dict) and bool(ipam.get("type"))


def _words(network: NetworkRequest) -> str:
    return f"{network.network}@{network.interface}" if network.interface else network.network


def uses_beside(devices: PodDevices, plan: BondPlan) -> list[Finding]:
    """Return the members that a process may use past the kernel, according to device-info.

    Like all warnings, none under `policy: warn`.
    """
    if plan.policy is Policy.WARN:
        return []
    taken = {member.link.device: member for member in plan.members}
    return [
        _use_beside(taken[allocated.id.address], said)
        for allocated in devices.devices
        if allocated.id.address in taken
        for said in allocated.statements
        if said.source is Source.DEVICE_INFO and (said.rdma or _VHOST in (said.details or ""))
    ]


def _use_beside(member: Member, said: Statement) -> Finding:
    use = f"the RDMA device {said.rdma}" if said.rdma else said.details
    return rules.MEMBER_USED_PAST_KERNEL.finding(
        f"{member} was given with {use}: a process that uses the device by it does not see the "
        "bond, and has no other leg at a failover"
    )


def remarks(devices: PodDevices) -> Iterator[str]:
    """Yield the sources' problems, disagreements and foreign claims, for the log."""
    yield from devices.problems
    yield from map(str, devices.disagreements)
    for device in devices.devices:
        for claim in device.claims:
            if not devices.is_foreign(device):
                yield f"{claim.source} says that {claim.pod} was given {device.id}, too"
