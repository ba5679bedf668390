"""Captured files of a real node with one running pod, two VFs and a bond."""

from pathlib import Path

from deviceinfo import PodRef, Sandbox
from tests.support.node import Node

NODE = Node(Path(__file__).parent.parent / "data" / "node")

SANDBOX = Sandbox(
    PodRef("default", "nf1", "a7a12eba-d958-461a-bb10-d6271ffea285"),
    container_id="57fecfbf8db71b20f72b1f3c36aac4d2d366e7c1644270818e65545833ee7b8b",
    netns="/var/run/netns/cni-496fbe90-6d12-08cd-ea5b-b37327e99848",
)
