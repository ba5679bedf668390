"""All seven modes: over real VFs, and over veth pairs with a bond on the far side."""

from typing import Any

import pytest

from sriovbond.bond.options import MODE_NUMBERS, BondMode
from tests.kernel.conftest import Wires
from tests.support import worlds
from tests.support.agents import wait_for
from tests.support.calls import Runtime, a_config
from tests.support.pods import Pod
from tests.vm import rig as rigs

# every NIC of the rig is on one wire, which a LACP port treats as a loopback
ON_ONE_WIRE = set(BondMode) - {BondMode.LACP}
# A switch, which these modes are made for: replies go to the requesting MAC, out of one port; and
# two active-backup bonds would each choose their active member by themselves, and may never match.
TOWARDS_A_BRIDGE = {BondMode.ACTIVE_BACKUP, BondMode.BALANCE_TLB, BondMode.BALANCE_ALB}
LOCAL, FAR = "192.0.2.10", "192.0.2.1"
IPAM = {"type": "static", "addresses": [{"address": f"{LOCAL}/24"}]}


@pytest.mark.vf
@pytest.mark.parametrize("mode", BondMode)
def test_a_bond_over_vfs_works_in_every_mode_and_is_put_back(
    runtime: Runtime, vfs: rigs.Layout, pod: Pod, mode: BondMode
) -> None:
    for number in (0, 1):
        pod.give(vfs.pfs[number].vfs[0].name, f"net{number + 1}", is_up=False)
    before = worlds.settled(worlds.world({"pod": pod.path}))
    config = a_config(mode=mode.value, ipam=IPAM)

    result = runtime.add(config).ok()
    assert standing(pod) == (mode, ["net1", "net2"])
    if mode in ON_ONE_WIRE:
        ping(pod, FAR)
    runtime.check(config, result).ok()
    runtime.delete(config).ok()

    after = worlds.settled(worlds.world({"pod": pod.path}))
    assert worlds.differences(before, after) == []


@pytest.mark.parametrize("mode", BondMode)
def test_a_bond_talks_to_a_far_side_of_its_kind_in_every_mode(
    runtime: Runtime, wires: Wires, mode: BondMode
) -> None:
    """Here the mode is given as a number, over VFs by its name, and once as `lacp`."""
    make_far_side(wires, mode)
    config = a_config(mode=MODE_NUMBERS[mode], links=wires.links, ipam=IPAM)

    result = runtime.add(config).ok()
    assert standing(wires.pod) == (mode, ["net1", "net2"])
    ping(wires.pod, FAR)
    runtime.check(config, result).ok()
    runtime.delete(config).ok()

    assert wires.pod.bond() is None


def test_lacp_finds_its_partner_and_puts_both_ports_into_one_aggregator(
    runtime: Runtime, wires: Wires
) -> None:
    make_far_side(wires, BondMode.LACP)
    runtime.add(a_config(mode="lacp", links=wires.links, lacpRate="fast", ipam=IPAM)).ok()

    far_mac = wires.far.ip("-j link show far0")[0]["address"]
    wait_for(lambda: aggregator(wires.pod)["partner_mac"] == far_mac)
    wait_for(lambda: aggregator(wires.pod)["num_ports"] == 2)
    ports = [details(wires.pod, name)["info_slave_data"] for name in wires.names]
    assert {one["ad_aggregator_id"] for one in ports} == {aggregator(wires.pod)["aggregator"]}
    ping(wires.pod, FAR)


def standing(pod: Pod) -> tuple[object, list[str]]:
    """Return the mode of the pod's bond, and the names of its members that are up."""
    state = pod.bond()
    assert state is not None
    assert state.is_up
    return state.settings["mode"], sorted(one.name for one in state.members if one.is_up)


def ping(pod: Pod, address: str) -> None:
    """Return once pings are answered, which takes until carriers and partners are up."""
    command = ("ping", "-n", "-c3", "-i0.1", "-W1", "-w2", address)
    wait_for(lambda: pod.run(*command).returncode == 0)


def make_far_side(wires: Wires, mode: BondMode) -> None:
    """Put the far ends into a bond of the same mode, or into a bridge if that is its peer."""
    kind = "bridge" if mode in TOWARDS_A_BRIDGE else f"bond mode {mode} miimon 100"
    kind += " lacp_rate fast" if mode is BondMode.LACP else ""
    wires.far.batch(
        f"link add far0 type {kind}",
        *(f"link set far{number} down" for number in (1, 2)),
        *(f"link set far{number} master far0" for number in (1, 2)),
        *(f"link set far{number} up" for number in (0, 1, 2)),
        f"addr add {FAR}/24 dev far0",
    )


def aggregator(pod: Pod) -> dict[str, Any]:
    found: dict[str, Any] = details(pod, "bond0")["info_data"]["ad_info"]
    return found


def details(pod: Pod, name: str) -> dict[str, Any]:
    found: dict[str, Any] = pod.ip(f"-j -d link show {name}")[0]["linkinfo"]
    return found
