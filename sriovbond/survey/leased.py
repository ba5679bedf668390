"""What clients of DHCP of ours do on the node's interfaces, and have added to resolv.conf."""

from collections.abc import Mapping
from dataclasses import replace

from sriovbond.dhcp import files, resolving
from sriovbond.dhcp.files import ClientFiles
from sriovbond.host import Host
from sriovbond.nodenet import leases
from sriovbond.nodenet.model import TYPES, Ipv4, NodeLink
from sriovbond.nodenet.routing import NodeDns, Resolver


def clients(host: Host) -> dict[str, ClientFiles]:
    """Return the clients by their interface. Raises MachineError."""
    return {client.name: client for client in files.read_all(host)}


def with_client(link: NodeLink, known: Mapping[str, ClientFiles], host: Host) -> NodeLink:
    """Return an interface with what its client is to do; of another program's lease that it is one.

    Where the client does not run, DHCP is to begin anew, though it is enabled.
    """
    client, ip = known.get(link.label), link.ipv4
    if client is None or link.type not in TYPES:
        return replace(link, ipv4=replace(ip, is_leased=False)) if ip and ip.dhcp else link
    said = {row: getattr(client.wish, row) for row in leases.FIELDS if row != "prefix_route_metric"}
    ip = replace(
        ip or Ipv4(),
        enabled=True,
        dhcp=True,
        address=(ip and ip.address) or (),
        is_leased=files.is_running(host, client.name),
        takes_mtu=client.wish.takes_mtu,
        **said,
    )
    return replace(link, ipv4=ip)


def without_leases(dns: NodeDns, host: Host) -> NodeDns:
    """Return the resolver's configuration without what leases have added; it is used all the same.

    So it is where another program writes the file.
    """
    added, config = resolving.share(host), dns.config or Resolver()
    server = tuple(one for one in config.server or () if one not in added.servers)
    search = tuple(one for one in config.search or () if one not in added.search)
    return replace(dns, config=replace(config, server=server, search=search))
