"""Altnames of former uses: reported if they conflict with a bond; no obstacle to a repair."""

from dataclasses import replace
from pathlib import Path

import pytest

from sriovbond.dispatch import REFUSED
from sriovbond.happenings.happening import HappeningKind
from sriovbond.host import Host
from sriovbond.kernel import links, netns
from sriovbond.upkeep import examination
from sriovbond.upkeep.repair import Repairs
from tests.support.calls import Runtime, a_config
from tests.support.pods import Pod, batch, ip
from tests.support.refusals import refused
from tests.vm import rig as rigs

pytestmark = pytest.mark.vf


def test_a_vf_with_the_bonds_name_as_an_altname_is_reported_with_the_way_out(
    runtime: Runtime, vf_pod: Pod, vfs: rigs.Layout, tmp_path: Path
) -> None:
    vf_pod.ip("link property add dev net1 altname bond0")

    reply = refused(runtime, tmp_path, a_config())
    remedy = "link property del dev net1 altname bond0"

    assert reply.code == REFUSED
    assert f"it is an altname of net1 (VF 0 of pf0, {vfs.pfs[0].vfs[0].pci}) there" in reply.msg
    assert f"take it off (`ip {remedy}`), or ask for another name [name-taken]" in reply.msg
    vf_pod.ip(remedy)
    runtime.add(a_config()).ok()


@pytest.mark.parametrize("altnames", [("net1",), ("net1", "net2", "bond0")], ids=str)
def test_a_vf_that_came_back_with_its_names_of_before_as_altnames_is_repaired(
    host: Host, runtime: Runtime, vf_pod: Pod, altnames: tuple[str, ...]
) -> None:
    runtime.add(a_config()).ok()
    vf_pod.ip("link set net1 nomaster")
    vf_pod.ip("link set net1 down name back0")
    vf_pod.ip("link set back0 netns 1")
    batch(*(f"link property add dev back0 altname {name}" for name in altnames))

    found = examination.examine(host, vf_pod.key(), Repairs(), examination.no_doubt)

    assert [one.kind for one in found.notes] == [HappeningKind.REPAIRED], found
    assert {one.name for one in vf_pod.the_bond().members} == {"net1", "net2"}
    runtime.delete(a_config()).ok()


def test_a_link_is_renamed_to_its_own_altname(pod: Pod) -> None:
    pod.batch("link add one type dummy", "link property add dev one altname two")

    with netns.opened(pod.path) as opened:
        link = links.find(opened.netlink, "one")
        assert link is not None
        links.rename(opened.netlink, link, "two")

    assert "one" not in str(ip(f"-n {pod.name} link show two"))
    assert pod.the_link("two").altnames == ()


def test_an_altname_that_the_namespace_does_not_know_is_no_obstacle(pod: Pod) -> None:
    """As that of a link which came from another namespace has become before Linux 6.6."""
    pod.ip("link add one type dummy")

    with netns.opened(pod.path) as opened:
        link = links.find(opened.netlink, "one")
        assert link is not None
        left_behind = replace(link, altnames=("two",))
        links.rename(opened.netlink, left_behind, "two")

    assert pod.the_link("two").index == link.index
