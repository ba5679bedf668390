"""Announces a bond's addresses, so that switches and neighbours learn its port and MAC."""

from sriovbond import records
from sriovbond.host import Host
from sriovbond.kernel import addresses, links, netns


def announce(host: Host, key: str) -> None:
    """Announce the bond's addresses again, once it has a carrier; best effort."""
    record = records.read(host, key)
    if record is None or record.plan is None or not record.is_complete:
        return
    with netns.identified(host.paths_of(record.netns), record.namespace) as pod:
        link = links.find(pod.netlink, record.ifname) if pod else None
        if pod and link:
            addresses.announce(pod, record.ifname, link.mac, record.leased_addresses)
