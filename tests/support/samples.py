"""Files of a real node, as they were while one pod with two VFs and a bond ran on it."""

from pathlib import Path

from deviceinfo import PodRef

NODE = Path(__file__).parent.parent / "data" / "node"
"""Stands for the node's root folder: `NODE / "var/lib/cni"`."""

CHECKPOINT = NODE / "var/lib/kubelet/device-plugins/kubelet_internal_checkpoint"
DEVINFO_CNI = NODE / "var/run/k8s.cni.cncf.io/devinfo/cni"
DEVINFO_DP = NODE / "var/run/k8s.cni.cncf.io/devinfo/dp"
MULTUS = NODE / "var/lib/cni/multus"
MULTUS_RESULTS = NODE / "var/lib/cni/multus/results"
RESULTS = NODE / "var/lib/cni/results"
SRIOV_CNI = NODE / "var/lib/cni/sriov"

POD = PodRef(
    namespace="default",
    name="nf1",
    uid="a7a12eba-d958-461a-bb10-d6271ffea285",
    container_id="57fecfbf8db71b20f72b1f3c36aac4d2d366e7c1644270818e65545833ee7b8b",
    netns="/var/run/netns/cni-496fbe90-6d12-08cd-ea5b-b37327e99848",
)
