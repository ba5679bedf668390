"""Links of the host that do not come home."""

from sriovbond import homecoming
from sriovbond.bond.links import Place
from sriovbond.errors import SriovbondError
from tests.support.builders import a_member, a_plan


def test_a_link_that_is_missing_on_the_host_is_a_loss_that_is_named() -> None:
    nic = a_member("ens3f2", Place.HOST, device="0000:fe:1f.7")
    veth = a_member("nosuchveth", Place.HOST, kind="veth")
    losses: list[SriovbondError] = []
    missing = "is missing on the host, and cannot be restored"

    homecoming.restore(a_plan([nic, veth, a_member("net1")]), losses.extend)

    assert [loss.message for loss in losses] == [
        f"ens3f2 (0000:fe:1f.7) {missing}: the kernel may return it later",
        f"nosuchveth {missing}: it went with the pod's namespace",
    ]
