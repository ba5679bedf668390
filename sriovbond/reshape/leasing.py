"""Begins and ends a client of DHCP on an interface, and moves a lease from one to another."""

import time
from dataclasses import replace

from sriovbond.dhcp import files, holding, resolving, service
from sriovbond.dhcp.files import ClientFiles
from sriovbond.dhcp.lease import DhcpLease
from sriovbond.dhcp.wish import DhcpWish, make_id
from sriovbond.kernel.messages import IFLA_ADDRESS, LinkMessage
from sriovbond.nodenet import leases
from sriovbond.nodenet.acts import AskLease, EndLease
from sriovbond.reshape.site import Site


def ask(site: Site, step: AskLease) -> None:
    """Start the client of an interface, with the id and the lease that it had, or inherits.

    A lease that moves is used at once: the address is gone no longer than its port is on its way.
    Its former files stay until those of the heir are written. Raises KernelError, MachineError.
    """
    link, host = site.link(step.name), site.host
    former = files.read_well_formed(host, step.of or step.name)
    wish = _wish(site, step, link, former)
    lease = former.lease if former and former.wish.client_id == wish.client_id else None
    before = former.before if former and not step.of else None
    files.write(host, ClientFiles(step.name, wish, lease, before))
    if step.of:
        files.remove(host, step.of)
    if lease and step.of:
        _use(site, link, wish, lease)
    service.start(host, step.name)
    resolving.refresh(host)


def end(site: Site, step: EndLease) -> None:
    """Stop the client of an interface; what it has from DHCP goes.

    For an heir its address stays until the interface becomes a port, and its files until they are
    the heir's. A port gets the MTU back that it had before it was one: that is none of a lease.
    Nothing is released at the server. Idempotent. Raises KernelError, MachineError.
    """
    service.stop(site.host, step.name)
    if link := site.find(step.name):
        if not step.heir:
            holding.take_off(site.netlink, link)
        holding.restore(site.netlink, link, files.read_before(site.host, step.name))
    if step.heir:
        files.remove_before(site.host, step.name)
        return
    files.remove(site.host, step.name)
    resolving.refresh(site.host)


def _use(site: Site, link: LinkMessage, wish: DhcpWish, lease: DhcpLease) -> None:
    """Use a lease that has not ended before its client says so."""
    now_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    left_s = lease.of_boot(site.host.boot_id(), now_s, time.time()).left_s(now_s)
    if left_s > 1:
        holding.put(site.netlink, link, wish, lease, int(left_s))


def _wish(site: Site, step: AskLease, link: LinkMessage, former: ClientFiles | None) -> DhcpWish:
    said = {row: getattr(step.target, row) for row in leases.FIELDS}
    wish = DhcpWish(client_id="", takes_mtu=step.takes_mtu, **said)
    if former and former.wish.dhcp_client_id == wish.dhcp_client_id:
        return replace(wish, client_id=former.wish.client_id, former=former.wish.former)
    own = link.attributes.get(IFLA_ADDRESS, b"")
    mac = bytes.fromhex(step.mac.replace(":", "")) or own
    made = make_id(wish.dhcp_client_id, step.name, mac, site.machine_id())
    return replace(wish, client_id=made.hex(), former=step.former)
