"""Other CNI plugins, by what they do."""

from typing import Final

MAKERS: Final = frozenset(
    {
        "sriovbond", "bond", "sriov", "ib-sriov", "accelerated-bridge", "ovs", "flannel",
        # containernetworking/plugins: plugins/main
        "bridge", "dummy", "host-device", "ipvlan", "macvlan", "ptp", "tap", "vlan",
    }
)  # fmt: skip
"""Plugins that create the requested interface, and so leave none for a later plugin to create."""

NOT_IPAM: Final = MAKERS | {
    "calico", "loopback", "multus", "multus-shim", "passthru", "rdma",
    # containernetworking/plugins: plugins/meta
    "bandwidth", "firewall", "portmap", "sbr", "tuning", "vrf",
}  # fmt: skip
"""Plugins that change interfaces, or rules of the node, where an IPAM plugin is to be called.

host-device would take the NIC that the configuration names as `device`, whatever the node lends.
"""
