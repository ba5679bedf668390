"""In which order a release asks IPAM and the kernel; releases are tested in the VM."""

import json
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from sriovbond import records, release
from sriovbond.host import Host
from sriovbond.kernel import messages, netlink, netns
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.netlink import NetlinkRequest
from sriovbond.kernel.netns import Namespace
from sriovbond.records import IpamCall, Record
from tests.support.builders import a_plan, two_vfs
from tests.support.dumps import Dumps

HERE = "/proc/self/ns/net"
IFNAME = "nosuchbond"  # no link of this machine
VFS = tuple(enumerate(two_vfs(), start=2))


def a_call(folder: Path, plugin: str, status: int) -> IpamCall:
    """Return a call of an IPAM plugin that leaves a file, and ends with that status."""
    program = folder / plugin
    program.write_text(
        f"#!/bin/sh\necho {plugin} > {folder}/asked\nexit {status}", encoding="ascii"
    )
    program.chmod(0o755)
    config = {"cniVersion": "1.1.0", "name": "net", "type": "sriovbond", "ipam": {"type": plugin}}
    environment = {
        "CNI_COMMAND": "ADD",
        "CNI_CONTAINERID": "c1",
        "CNI_NETNS": HERE,
        "CNI_IFNAME": IFNAME,
        "CNI_PATH": str(folder),
    }
    return IpamCall(json.dumps(config), environment)


# setns(2) wants CAP_SYS_ADMIN; `make test` in CI is root, and its summary counts what is skipped
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may enter a namespace")
@pytest.mark.parametrize(
    ("plugin", "status", "is_first"), [("dhcp", 0, True), ("dhcp", 1, True), ("static", 0, False)]
)
def test_dhcp_is_asked_while_the_bond_over_which_it_informs_its_server_exists(
    tmp_path: Path, plugin: str, status: int, *, is_first: bool
) -> None:
    was_asked: list[bool] = []

    def note(_: NetlinkRequest) -> None:
        was_asked.append((tmp_path / "asked").exists())

    host = Host(state=tmp_path, run=tmp_path)
    with netns.opened(HERE) as here:
        record = Record("net", "c1", IFNAME, HERE, here.identity, host.boot_id(), a_plan())
    record = replace(record, is_complete=True, ipam=a_call(tmp_path, plugin, status))
    records.make_folder(host)
    records.write(host, record)
    netlink.taps.append(note)
    try:
        outcome = release.release(host, record, HERE)
    finally:
        netlink.taps.remove(note)

    assert was_asked[0] is is_first  # before the first request to the kernel
    assert len(outcome.problems) == status
    assert (tmp_path / "asked").exists()


@pytest.mark.parametrize("other", ["bond1", ""])
def test_a_bond_that_another_attachment_has_made_of_the_members_is_left_alone(
    tmp_path: Path, other: str
) -> None:
    """Two ADDs of one pod at once, over the same VFs: the kernel gives them to the later one."""
    host = Host(state=tmp_path, run=tmp_path)
    namespace = (4, 4026531840, 7)
    here = [replace(member, link=replace(member.link, index=index)) for index, member in VFS]
    ours = Record("net", "c1", "bond0", HERE, namespace, "boot", a_plan(here))
    records.make_folder(host)
    records.write(host, ours)
    if other:
        records.write(host, replace(ours, ifname=other, is_complete=True))
    pod = Namespace(HERE, -1, namespace, Dumps({nl.RTM_GETLINK: links_in("bond0", "bond1")}))
    others = partial(release._names_of_others, host, ours)  # noqa: SLF001 - what it spares

    bonds = release._bonds(pod, ours, a_plan(here), others)  # noqa: SLF001 - what is deleted

    assert [bond.name for bond in bonds] == (["bond0"] if other else ["bond0", "bond1"])


def links_in(own: str, taking: str) -> list[bytes]:
    """Return the kernel's messages about an empty bond, and another one with both members."""
    kind = messages.attribute(messages.IFLA_INFO_KIND, b"bond\0")
    info = messages.attribute(messages.IFLA_LINKINFO, kind)
    bonds = [
        messages.link(index, messages.name(messages.IFLA_IFNAME, name), info)
        for index, name in ((10, own), (11, taking))
    ]
    members = [
        messages.link(
            index,
            messages.name(messages.IFLA_IFNAME, member.name),
            messages.name(messages.IFLA_PARENT_DEV_NAME, member.device),
            messages.word(messages.IFLA_MASTER, 11),
        )
        for index, member in VFS
    ]
    return bonds + members
