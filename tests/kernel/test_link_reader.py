"""The bonds of another namespace, read again and again by one socket."""

import errno
from collections.abc import Iterator

import pytest

from sriovbond.errors import KernelError
from sriovbond.kernel import netns, nsids, polling
from sriovbond.kernel.polling import LinkReader
from tests.kernel.conftest import Wires
from tests.support.agents import wait_for
from tests.support.pods import Pod

NAMES = frozenset({"bond0"})


@pytest.fixture
def reader() -> Iterator[LinkReader]:
    opened = LinkReader()
    yield opened
    opened.close()


@pytest.fixture
def bonded(wires: Wires) -> Pod:
    wires.pod.batch(
        "link add bond0 type bond mode active-backup miimon 50",
        *(f"link set {name} down" for name in wires.names),
        *(f"link set {name} master bond0" for name in wires.names),
        "link set bond0 up",
    )
    return wires.pod


def nsid_of(pod: Pod) -> int:
    with netns.own() as home, netns.opened(pod.path) as namespace:
        return nsids.assign(home.netlink, namespace.descriptor)


def test_a_bond_that_is_as_last_read_is_not_returned_again(reader: LinkReader, bonded: Pod) -> None:
    nsid = nsid_of(bonded)
    first = reader.read(nsid, NAMES)
    wait_for(lambda: reader.read_changed(nsid, NAMES, first) is None)
    bonded.ip("link set bond0 type bond active_slave net2")
    changed = reader.read_changed(nsid, NAMES, first)
    reader.forget(nsid)

    names = {link.name: link for link in first.values()}
    assert set(names) == {"bond0", "net1", "net2"}
    assert changed is not None
    bond = changed[names["bond0"].index]
    assert (names["bond0"].active, bond.active) == (names["net1"].index, names["net2"].index)
    assert reader.read_changed(nsid, NAMES, changed) == changed


def test_a_failed_read_is_not_taken_for_the_last(
    reader: LinkReader, bonded: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "MOST_LINKS", 2)  # 512 bonds take half a minute to make
    nsid = nsid_of(bonded)
    first = reader.read(nsid, NAMES)
    bonded.batch(*(f"link add more{n} type bond" for n in range(2)))
    with pytest.raises(KernelError) as raised:
        reader.read_changed(nsid, NAMES, first)
    bonded.batch(*(f"link del more{n}" for n in range(2)))

    assert raised.value.errno == errno.E2BIG
    assert reader.read_changed(nsid, NAMES, first) == first
