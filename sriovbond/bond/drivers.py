"""Known refusals of VF drivers: one row per driver, read in Linux 7.3 or observed in a run."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

HOLDING: Final[Mapping[str, str]] = MappingProxyType(
    {
        "igbvf": "seen with QEMU's igb; igb_set_vf_mac_addr(), igb_main.c",
        "ixgbevf": "ixgbe_set_vf_mac_addr(), ixgbe_sriov.c; seen: bond-cni issue 5",
        "iavf": "i40e_check_vf_permission(), i40e_virtchnl_pf.c; ice_can_vf_change_mac(), ice",
        "i40evf": "as iavf, its name before Linux 4.20",
        "qede": "MAC_ADDR_FORCED in qed_sriov.c, asked by qede_set_mac_addr(), qede_filter.c",
        "bnxt_en": "bnxt_vf_configure_mac(), bnxt_sriov.c, asked by bnxt_approve_mac()",
        "hns3": "hclge_set_vf_uc_mac_addr(), hclge_mbx.c, whatever the trust",
    }
)
"""Drivers whose VF may not change an administrative MAC without trust, with the source.

Others may: mlx5e_set_mac() (en_main.c) does not involve the PF.
"""

REGARDLESS_OF_TRUST: Final = frozenset({"hns3"})

MAC_FILTERS: Final[Mapping[str, int]] = MappingProxyType({"iavf": 18, "i40evf": 18})
"""Limit of the MACs, including multicast, that an untrusted VF may listen to.

I40E_VC_MAX_MAC_ADDR_PER_VF (i40e_virtchnl_pf.c), ICE_MAX_MACADDR_PER_VF (ice, virtchnl.h).
"""
