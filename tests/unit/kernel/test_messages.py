"""The message that puts an address on a link, as the kernel parses it."""

from ipaddress import ip_interface

import pytest

from sriovbond.kernel import messages
from sriovbond.kernel.messages import IFA_ADDRESS, IFA_BROADCAST, IFA_RT_PRIORITY


@pytest.mark.parametrize(
    ("text", "broadcast"),
    [
        ("192.0.2.10/24", "192.0.2.255"),
        ("192.0.2.10/30", "192.0.2.11"),
        ("192.0.2.10/31", ""),
        ("192.0.2.10/32", ""),
        ("2001:db8::1/64", ""),
    ],
)
def test_an_address_has_the_broadcast_of_its_network(text: str, broadcast: str) -> None:
    further = messages.word(IFA_RT_PRIORITY, 100)

    read = messages.read_address(messages.own_address(7, ip_interface(text), further))

    assert (read.index, f"{read.address}/{read.prefix}") == (7, text)
    assert messages.ip(read.family, read.attributes.get(IFA_BROADCAST, b"")) == broadcast
    assert read.attributes[IFA_ADDRESS] == read.packed
    assert messages.whole(read.attributes[IFA_RT_PRIORITY]) == 100
