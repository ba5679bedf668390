"""The option table, proved by the kernel: every row, in every mode, set on a bond and read back."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext

import pytest

from sriovbond.bond.kinds import Number, OptionValue
from sriovbond.bond.links import NO_MAC, Member, Place
from sriovbond.bond.options import MEMBER_OPTIONS, OPTIONS, BondMode, Option, option
from sriovbond.dispatch import REFUSED
from sriovbond.errors import KernelError, RefusedError
from sriovbond.kernel import bonding, netns
from sriovbond.kernel.netlink import NetlinkRequest
from tests.kernel.conftest import Wires
from tests.support import wire
from tests.support.bonds import (
    PROBING,
    RUNNING,
    VALUES,
    Bench,
    is_known,
    member_of_a_bond,
    members_of,
    version,
)
from tests.support.calls import Runtime, a_config
from tests.support.pods import Pod, a_pod
from tests.vm import rig as rigs

Note = Callable[[str], None]

ON_THE_BOND = [row for row in OPTIONS if row.name in VALUES]
ELSEWHERE = [row for row in ON_THE_BOND if row.modes < set(BondMode)]
NUMBERS = [row for row in ON_THE_BOND if isinstance(row.kind, Number)]
# its default is ours, not the kernel's
OURS = frozenset({"mode", "miimon", "fail_over_mac", "num_grat_arp"})
BOUND_SINCE = {"peer_notif_delay": "6.4"}  # older kernels accept any number


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with a_pod("bench") as pod, netns.opened(pod.path) as inside:
        yield Bench(inside.netlink)


def test_every_row_of_the_table_has_values_to_prove_it_by() -> None:
    assert VALUES.keys() | {"mode", "primary"} == {row.name for row in OPTIONS}
    assert {row.name for row in MEMBER_OPTIONS} == {"queue_id", "prio", "actor_port_prio"}


@pytest.mark.parametrize("mode", BondMode)
def test_the_kernel_takes_each_option_in_the_modes_of_its_row(
    bench: Bench, dropped: frozenset[str], mode: BondMode
) -> None:
    """Many options at a time, since a bond costs 80 ms; each is read back by itself."""
    rows = [row for row in ON_THE_BOND if mode in row.modes and row.name not in dropped]
    known = {row.name: [one.value for one in VALUES[row.name] if is_known(one)] for row in rows}
    for asked in batches(known):
        found = bench.make(mode, **asked).settings

        assert {name: found.get(name) for name in asked} == asked


def batches(known: dict[str, list[OptionValue]]) -> Iterator[dict[str, OptionValue]]:
    """Yield options to set together, so that each has had each of its values in the end."""
    for names in (known.keys() - PROBING, known.keys() & PROBING):
        for turn in range(max(len(known[name]) for name in names)):
            yield {name: known[name][turn % len(known[name])] for name in sorted(names)}


@pytest.mark.parametrize("row", ELSEWHERE, ids=lambda row: row.name)
def test_the_kernel_refuses_an_option_in_all_other_modes(
    bench: Bench, dropped: frozenset[str], row: Option
) -> None:
    """The kernel itself refuses: none of our rules apply here."""
    refusal = RefusedError if row.name in dropped else KernelError
    for mode in sorted(set(BondMode) - row.modes):
        with pytest.raises(refusal):
            bench.set(row, mode, VALUES[row.name][0].value)


def test_the_kernel_refuses_values_that_it_no_longer_or_not_yet_knows(bench: Bench) -> None:
    for name, values in VALUES.items():
        for one in values:
            if not is_known(one):
                with pytest.raises(KernelError, match="EINVAL"):
                    bench.set(option(name), min(option(name).effective), one.value)


@pytest.mark.parametrize("row", NUMBERS, ids=lambda row: row.name)
def test_the_kernel_takes_the_ends_of_a_range_and_nothing_beyond(
    bench: Bench, dropped: frozenset[str], row: Option
) -> None:
    assert isinstance(row.kind, Number)
    mode = min(row.modes)
    if row.name not in dropped:
        for end in (row.kind.least, row.kind.most):
            assert bench.set(row, mode, end) == end
        for beyond in (row.kind.least - 1, row.kind.most + 1):
            is_judged = version(BOUND_SINCE.get(row.name, row.since)) <= RUNNING
            if is_judged and 0 <= beyond < 1 << 8 * row.kind.width:
                with pytest.raises(KernelError):
                    bench.set(row, mode, beyond)


@pytest.mark.parametrize("mode", BondMode)
def test_a_bond_without_options_has_the_defaults_of_the_table(
    bench: Bench, dropped: frozenset[str], mode: BondMode
) -> None:
    found = bench.make(mode).settings

    for row in OPTIONS:
        if row.name not in OURS | dropped and mode in row.modes:
            value = found.get(row.name, "")
            assert str(value).replace(NO_MAC, "") == row.default, row.name


def test_options_that_this_kernel_drops_without_a_word_are_refused_by_name(
    bench: Bench, dropped: frozenset[str], note: Note
) -> None:
    """Before `since` a kernel may have a backported option; from there on it must."""
    for name in sorted(dropped):
        row = option(name)
        assert version(row.since) > RUNNING
        with pytest.raises(RefusedError, match=rf"{name} is .*{row.since}.*\[option-not-taken\]"):
            bench.set(row, min(row.modes), VALUES[name][0].value)

    newer = [f"{name} ({option(name).since})" for name in sorted(dropped)]
    newer += [
        f"{name} {one.value} ({one.since})"
        for name, values in VALUES.items()
        for one in values
        if version(one.since) > RUNNING
    ]
    newer += [f"{one.name} ({one.since})" for one in MEMBER_OPTIONS if version(one.since) > RUNNING]
    note(f"only a newer KERNEL= can prove: {', '.join(newer) or 'nothing, every row is proved'}")
    older = [
        f"{name} {one.value}"
        for name, values in VALUES.items()
        for one in values
        if version(one.until) <= RUNNING
    ]
    if older:
        note(f"only an older KERNEL= can prove: {', '.join(older)}")


@pytest.fixture(scope="module")
def dropped(bench: Bench) -> frozenset[str]:
    """The options that this kernel ignores silently."""
    reported = bench.make(BondMode.LACP).settings
    return frozenset(
        row.name
        for row in ON_THE_BOND
        if (row.name not in reported if row.default else not takes(bench, row))
    )


def takes(bench: Bench, row: Option) -> bool:
    try:
        return bool(bench.set(row, min(row.effective), VALUES[row.name][0].value))
    except RefusedError:
        return False


def test_add_refuses_an_option_that_did_not_take_before_any_member_is_touched(
    runtime: Runtime, wires: Wires, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the kernel has all of them, a second socket drops one."""
    # an earlier test's bond has proven the option in this process
    monkeypatch.setattr(bonding, "known_to_kernel", set[str]())
    seen: list[NetlinkRequest] = []

    def forget(request: NetlinkRequest) -> None:
        if request.doing == "look at bond0" and not forgotten(seen):
            wires.pod.ip("link set bond0 type bond resend_igmp 1")
        seen.append(request)

    with wire.tapped(forget):
        reply = runtime.add(a_config(links=wires.links, resend_igmp=9))

    assert reply.code == REFUSED
    assert "resend_igmp is 1 instead of 9 (known since Linux 2.6)" in reply.msg
    assert "[option-not-taken]" in reply.msg
    assert not [one for one in seen if one.changes and "net1" in one.doing]
    assert wires.pod.bond() is None


def forgotten(seen: list[NetlinkRequest]) -> bool:
    return any(request.doing == "look at bond0" for request in seen)


def test_the_kernel_takes_a_queue_id_for_a_member_in_every_mode(wires: Wires) -> None:
    for mode in BondMode:
        with member_of_a_bond(wires.pod, mode) as (netlink, bond, link):
            bonding.add_member(netlink, Member(link, Place.POD, queue_id=3), link.index, bond)

            assert [one.queue_id for one in members_of(netlink)] == [3], mode


def test_the_kernel_takes_a_prio_for_a_member_in_the_modes_of_its_row(wires: Wires) -> None:
    row = option("prio")
    is_known = version(row.since) <= RUNNING
    for mode in BondMode:
        is_refused = is_known and mode not in row.modes
        with member_of_a_bond(wires.pod, mode) as (netlink, bond, link):
            with pytest.raises(KernelError) if is_refused else nullcontext():
                bonding.add_member(netlink, Member(link, Place.POD, prio=-7), link.index, bond)

            taken = 0 if is_refused else -7
            assert [one.prio for one in members_of(netlink)] == [taken if is_known else None], mode


def knows_port_priorities(pod: Pod) -> bool:
    """Return whether this kernel has them: older stable ones have them backported."""
    with member_of_a_bond(pod, BondMode.LACP) as (netlink, bond, link):
        bonding.add_member(netlink, Member(link, Place.POD), link.index, bond)
        return members_of(netlink)[0].actor_port_prio is not None


def test_the_kernel_takes_a_port_priority_for_a_member_in_the_modes_of_its_row(
    wires: Wires,
) -> None:
    row = option("actor_port_prio")
    is_known = knows_port_priorities(wires.pod)
    assert is_known or version(row.since) > RUNNING
    for mode in BondMode:
        is_refused = is_known and mode not in row.modes
        with member_of_a_bond(wires.pod, mode) as (netlink, bond, link):
            member = Member(link, Place.POD, actor_port_prio=1000)
            with pytest.raises(KernelError) if is_refused else nullcontext():
                bonding.add_member(netlink, member, link.index, bond)

            taken = None if is_refused or not is_known else 1000
            told = [one.actor_port_prio for one in members_of(netlink)]
            assert told == [taken] or (is_refused and told == [255]), mode


def test_add_gives_each_member_its_port_priority(runtime: Runtime, wires: Wires) -> None:
    links_ = [{"name": "net1", "actorPortPrio": 7}, {"name": "net2", "actor_port_prio": "9"}]

    is_known = knows_port_priorities(wires.pod)

    reply = runtime.add(a_config(links=links_, mode="802.3ad"))

    if not is_known:
        assert "actor_port_prio of net1 is nothing instead of 7" in reply.msg
        return
    reply.ok()
    state = wires.pod.bond()
    assert state is not None
    assert {(one.name, one.actor_port_prio) for one in state.members} == {("net1", 7), ("net2", 9)}


def test_the_kernel_takes_a_primary_in_the_modes_of_its_row(wires: Wires) -> None:
    for mode in BondMode:
        is_refused = mode not in option("primary").modes
        with member_of_a_bond(wires.pod, mode) as (netlink, bond, link):
            bonding.add_member(netlink, Member(link, Place.POD), link.index, bond)

            with pytest.raises(KernelError) if is_refused else nullcontext():
                bonding.set_primary(netlink, bond, link.name, link.index)

            found = bonding.observe(netlink, bond.name)
            assert found is not None
            assert found.settings.get("primary") == (None if is_refused else link.name), mode


def test_add_gives_each_member_the_options_of_its_links_entry(
    runtime: Runtime, wires: Wires
) -> None:
    links_ = [
        {"name": "net1", "prio": -5, "queueId": 1},
        {"name": "net2", "priority": "9", "queue_id": 2},
    ]
    reply = runtime.add(a_config(links=links_, primary="net2"))

    if version(option("prio").since) > RUNNING:
        assert "prio of net1 is nothing instead of -5" in reply.msg
        return
    reply.ok()
    state = wires.pod.bond()
    assert state is not None
    assert {(one.name, one.prio, one.queue_id) for one in state.members} == {
        ("net1", -5, 1),
        ("net2", 9, 2),
    }
    assert state.settings["primary"] == "net2"


@pytest.mark.vf
@pytest.mark.parametrize("named", ["net2", "PCI address", "PCI address without domain"])
def test_add_takes_the_primary_by_interface_name_and_by_pci_address(
    runtime: Runtime, vf_pod: Pod, rig: rigs.Layout, named: str
) -> None:
    address = rig.pfs[1].vfs[0].pci
    names = {"PCI address": address, "PCI address without domain": address.partition(":")[2]}
    runtime.add(a_config(primary=names.get(named, named))).ok()

    state = vf_pod.bond()
    assert state is not None
    assert state.settings["primary"] == "net2"
