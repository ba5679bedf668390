"""Faults that root within the pod makes, with NET_ADMIN; and the end of its namespace."""

from typing import Final

from tests.faults.fault import IN_DEL, Fault, Phase
from tests.faults.scene import Scene
from tests.support import stages
from tests.support.gates import Spot
from tests.support.pods import ip

IN_POD: Final = (Phase.ADD, Phase.BONDED, *IN_DEL)
BOND: Final = (Phase.BONDED, Phase.DEL)
LATE: Final = Spot("put the address")


def rename(scene: Scene) -> None:
    """Rename a member."""
    scene.inside("link set net1 down", "link set net1 name renamed")


def move(scene: Scene) -> None:
    """Move a member to another namespace."""
    scene.inside(f"link set net1 netns {scene.other.name}")


def delete_member(scene: Scene) -> None:
    """Delete a member, as only a virtual link can be."""
    scene.inside("link del net1")


def take_out(scene: Scene) -> None:
    """Take a member out of the bond."""
    scene.inside("link set net1 nomaster")


def put_in_bridge(scene: Scene) -> None:
    """Put a member into a bridge of the pod's own."""
    scene.inside("link add br9 type bridge", "link set net1 nomaster", "link set net1 master br9")


def delete_bond(scene: Scene) -> None:
    """Delete the bond."""
    scene.inside("link del bond0")


def rename_bond(scene: Scene) -> None:
    """Rename the bond."""
    scene.inside("link set bond0 down", "link set bond0 name mine")


def move_bond(scene: Scene) -> None:
    """Put something else in the bond's place, by the bond's name."""
    scene.inside("link del bond0", "link add bond0 address 02:00:00:00:0c:01 type dummy")


def change_bond(scene: Scene) -> None:
    """Change addresses, MTU, and the active member."""
    scene.inside(
        "link set bond0 mtu 1300",
        "addr flush dev bond0",
        "addr add 10.99.0.1/24 dev bond0",
        "link set bond0 type bond active_slave net2",
        "link set bond0 down",
    )


def end_namespace(scene: Scene) -> None:
    """Delete the pod's namespace; it ends when no process holds it any more."""
    ip(f"netns del {scene.pod.name}")


FAULTS: Final = (
    Fault("a member is renamed by the pod", rename, IN_POD, cause="net1"),
    Fault("a member is moved to another namespace by the pod", move, IN_POD, cause="net1"),
    Fault(
        "a member is deleted by the pod",
        delete_member,
        IN_POD,
        cause="net1",
        stage=stages.over_dummies,
    ),
    Fault("a member is taken out of the bond by the pod", take_out, IN_POD[:-1], cause="net1"),
    Fault("a member is put into a bridge by the pod", put_in_bridge, BOND),
    Fault("the bond is deleted by the pod", delete_bond, IN_POD[:-1], spot=LATE, cause="bond0"),
    Fault("the bond is renamed by the pod", rename_bond, IN_POD[:-1], spot=LATE, cause="bond0"),
    Fault("a dummy takes the bond's name", move_bond, IN_POD[:-1], spot=LATE, cause="bond0"),
    Fault("the pod's root changes the bond", change_bond, BOND),
    Fault("the namespace is deleted", end_namespace, IN_POD, cause="", settles_s=3),
    Fault(
        "the namespace is deleted with links of the host in it",
        end_namespace,
        IN_POD,
        stage=stages.over_host_vfs,
        spot=Spot("put"),
        settles_s=3,
    ),
)
