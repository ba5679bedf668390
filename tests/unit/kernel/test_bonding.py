"""The error for a kernel without the bonding driver, which no kernel of the rig is."""

import errno

import pytest

from sriovbond.errors import KernelError
from sriovbond.kernel import bonding
from sriovbond.kernel.netlink import Netlink, NetlinkRequest
from tests.support.builders import a_plan


class Refusing(Netlink):
    """A kernel that refuses all requests with this text."""

    def __init__(self, words: str, code: int) -> None:
        self._words = words
        self._code = code

    def send(self, request: NetlinkRequest) -> None:
        message = f"cannot {request.doing}: {self._words}"
        raise KernelError(message, self._code, said=self._words.rpartition(": ")[2])


def test_a_kernel_without_the_bonding_driver_is_reported_as_status_does() -> None:
    netlink = Refusing("ENOTSUP (Operation not supported): Unknown device type", errno.EOPNOTSUPP)

    with pytest.raises(KernelError) as caught:
        bonding.create(netlink, a_plan())

    assert caught.value.errno == errno.EOPNOTSUPP
    assert caught.value.message.startswith("cannot make the bond bond0 with mode")
    assert caught.value.message.endswith(
        "Unknown device type; the kernel has no bonding driver; install the kernel's modules "
        "package [bonding-driver]"
    )


def test_another_refusal_has_the_kernels_own_words_alone() -> None:
    with pytest.raises(KernelError) as caught:
        bonding.create(Refusing("EEXIST (File exists)", errno.EEXIST), a_plan())

    assert caught.value.message.endswith(": EEXIST (File exists)")
