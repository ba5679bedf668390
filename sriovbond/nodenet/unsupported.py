"""What nmstate has and sriovbond refuses by name, with the reason."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

OVS: Final = "Open vSwitch is configured by its own tools"
_VPN: Final = "encryption is configured by its own daemon"
_FABRIC: Final = "interfaces of this type are not made by sriovbond"
_SLB: Final = "it is no option of the kernel: NetworkManager does it with nftables"
_NM: Final = "it is NetworkManager's own"

SECTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ovs-db": OVS,
        "ovn": OVS,
        "dpdk": OVS,
        "patch": OVS,
        "802.1x": "802.1X needs wpa_supplicant",
        "macsec": _VPN,
        "libreswan": _VPN,
        "ipsec": _VPN,
        "dispatch": _NM,
        "ethtool": "rings, features and coalescing are set by ethtool(8)",
        "mptcp": "endpoints of MPTCP are set by ip-mptcp(8)",
        "mptcp-flags": "endpoints of MPTCP are set by ip-mptcp(8)",
        "hsr": _FABRIC,
        "infiniband": _FABRIC,
        "ipvlan": _FABRIC,
        "mac-vtap": _FABRIC,
        "vxlan": _FABRIC,
        "wifi": _FABRIC,
        "xfrm": _FABRIC,
        "balance-slb": _SLB,
        "balance_slb": _SLB,
    }
)  # fmt: skip
"""Sections and options, by their key."""

TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("ovs-bridge", "ovs-interface"), OVS),
        **dict.fromkeys(("ipsec", "macsec"), _VPN),
        **dict.fromkeys(
            (
                "hsr", "infiniband", "ipvlan", "loopback", "mac-vtap", "other", "tun", "vxlan",
                "wifi", "xfrm", "wireguard", "gre", "geneve", "ppp",
            ),
            _FABRIC,
        ),
    }
)  # fmt: skip
"""Types of interfaces."""
