"""Each rule as an ADD that is refused before any change, and links that are never taken."""

import errno
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from sriovbond.bond.checks import CHECKS
from sriovbond.bond.links import ARPHRD_INFINIBAND, Member, Place
from sriovbond.bond.options import BondMode, Setting
from sriovbond.bond.plan import BondPlan
from sriovbond.bond.rules import Level
from sriovbond.dispatch import REFUSED
from sriovbond.errors import KernelError
from sriovbond.host import Host
from sriovbond.kernel import bonding, links, netns
from tests.support import movers, pf, taps
from tests.support.calls import Reply, Runtime, a_config
from tests.support.lending import lend
from tests.support.pods import Pod, a_pod, ip
from tests.support.refusals import refused
from tests.vm import rig as rigs

INVALID_CONFIG, TRY_LATER = 7, 11
MAC = "02:00:00:00:ee:01"
LINKS: list[dict[str, object]] = [{"name": "net1"}, {"name": "net2"}]
NAMED: dict[str, object] = {"links": LINKS}
# igb has no link state of a VF: test_netdevsim; Multus' list is in test_pod_devices
# netdevsim has a link state, and no NIC here has 18 filters
SHOWN_ELSEWHERE = {
    "vf-link-state-forced",
    "vf-disabled-by-relay",
    "bond-before-members",
    "few-mac-filters",
    "address-needs-larger-mtu",  # test_config: the IPAM here is always a scripted one
    "dhcp-with-active",  # test_dhcp
    "host-links-asked-for",  # test_node_lends
    "member-address-taken-off",  # test_pod_devices
}

Keys = dict[str, object]


@dataclass(frozen=True, slots=True)
class Scene:
    """The means of a case: a pod, the rig if it needs it, and a way to clean up."""

    pod: Pod
    held: ExitStack
    vfs: rigs.Layout | None

    @property
    def rig(self) -> rigs.Layout:
        assert self.vfs is not None
        return self.vfs

    def dummies(self, *macs: str) -> None:
        """Make net1 and net2 in the pod."""
        given = [f" address {mac}" for mac in macs] or ["", ""]
        self.pod.batch(*(f"link add net{at}{mac} type dummy" for at, mac in enumerate(given, 1)))

    def give(self, count: int, *, is_up: bool = True) -> None:
        """Move the first VFs of so many PFs to the pod, as net1, net2 ..."""
        for at, parent in enumerate(self.rig.pfs[:count], 1):
            self.pod.give(parent.vfs[0].name, f"net{at}", is_up=is_up)


Arrange = Callable[[Scene], Keys]


def dummies(**keys: object) -> Arrange:
    """Two links of the pod, and these keys of a configuration over them."""

    def arrange(scene: Scene) -> Keys:
        scene.dummies()
        return {**NAMED, **keys}

    return arrange


def two_vfs(told: str = "", **keys: object) -> Arrange:
    """Two VFs in the pod; the second one configured through its PF."""

    def arrange(scene: Scene) -> Keys:
        scene.give(2)
        if told:
            pf.tell(scene.rig.pfs[1], scene.rig.pfs[1].vfs[0], told)
        return dict(keys)

    return arrange


def twins(scene: Scene) -> Keys:
    scene.dummies(MAC, MAC)
    return {**NAMED, "mode": "balance-tlb"}


def in_use(scene: Scene) -> Keys:
    scene.dummies()
    scene.pod.batch(
        "link add br0 type bridge",
        "link set net1 master br0",
        "link add link net2 name net2.10 type vlan id 10",
    )
    return NAMED


def with_addresses(scene: Scene) -> Keys:
    scene.dummies()
    scene.pod.batch("link set net2 up", "addr add 198.51.100.7/24 dev net2")
    return {**NAMED, "memberAddresses": "refuse"}


def infiniband(*names: str, **keys: object) -> Arrange:
    def arrange(scene: Scene) -> Keys:
        scene.dummies()
        for name in names:
            scene.pod.ip(f"link del {name}")
            taps.make(name, ARPHRD_INFINIBAND)
            scene.pod.give(name, name, is_up=False)
        return {**NAMED, **keys}

    return arrange


def with_the_nodes_route(scene: Scene) -> Keys:
    for at in (1, 2):
        ip(f"link add home{at} type dummy")
        scene.held.callback(ip, f"link del home{at}")
    ip("link set home1 up")
    ip("route add default dev home1 metric 4000")
    return {"links": [{"name": "home1"}, {"name": "home2"}], "linksInContainer": False}


def with_a_hidden_pf(scene: Scene) -> Keys:
    scene.give(2)
    elsewhere = scene.held.enter_context(a_pod("elsewhere"))
    ip(f"link set pf1 netns {elsewhere.name}")
    scene.held.callback(elsewhere.ip, "link set pf1 netns 1")
    return {}


def with_pfs_down(scene: Scene) -> Keys:
    """VFs that are up would do, but igbvf of Linux 7.2 may hang then when set down."""
    scene.give(2, is_up=False)
    for name in ("pf0", "pf1"):
        ip(f"link set {name} down")
    return {}


def on_one_pf(**keys: object) -> Arrange:
    def arrange(scene: Scene) -> Keys:
        for vf in scene.rig.pfs[0].vfs[:2]:
            scene.pod.give(vf.name, f"net{vf.index + 1}", is_up=False)
        return dict(keys)

    return arrange


def with_a_host_lag(scene: Scene) -> Keys:
    scene.give(2, is_up=False)
    scene.held.enter_context(pf.in_host_lag("balance-xor", "pf0", "pf1"))
    return {}


def with_another_mtu(scene: Scene) -> Keys:
    scene.give(2)
    scene.pod.ip("link set net2 mtu 1400")
    return {}


# fmt: off
CASES: dict[str, Arrange] = {
    "option-not-in-mode":       dummies(lacpRate="fast"),
    "two-monitors":             dummies(miimon=100, arpInterval=100, arpIpTarget="192.0.2.1"),
    "probes-without-target":    dummies(arpInterval=100),
    "validate-without-probes":  dummies(arpValidate="active"),
    "delay-no-multiple":        dummies(updelay=150),
    "mac-with-active":          dummies(mac=MAC, failOverMac="active"),
    "mtu-too-small":            dummies(mtu=60),
    "member-twice":             dummies(links=[{"name": "net1"}, {"name": "net1"}]),
    "queue-id-twice":           dummies(links=[{**link, "queueId": 1} for link in LINKS]),
    "duplicate-mac":            twins,
    "ipoib-mode":               infiniband("net1", "net2", mode="balance-rr"),
    "ipoib-mac":                infiniband("net1", "net2", failOverMac="none"),
    "mixed-link-types":         infiniband("net2"),
    "member-in-use":            in_use,
    "member-carries-addresses": with_addresses,
    "option-without-effect":    dummies(minLinks=1),
    "targets-without-probes":   dummies(arpIpTarget="192.0.2.1"),
    "no-link-monitoring":       dummies(miimon=0),
    "node-route-on-member":     with_the_nodes_route,
    "redundancy-unproved":      dummies(redundancy="require"),
    "switch-lag-unwanted":      dummies(switchLag=True),
    "too-few-links":            dummies(links=[{"name": "net1"}], minMembers=2),
}
VF_CASES: dict[str, Arrange] = {
    "vf-mac-held-by-pf":        two_vfs(f"mac {MAC}", failOverMac="none"),
    "mtu-above-device":         two_vfs(mtu=2000),
    "vf-mac-unclear":           two_vfs(failOverMac="none"),
    "vf-mac-spoofed":           two_vfs("mac 00:00:00:00:00:00", failOverMac="none"),
    "lacp-over-vf":             two_vfs(mode="802.3ad"),
    "follow-over-vf":           two_vfs(failOverMac="follow"),
    "pf-not-visible":           with_a_hidden_pf,
    "pf-without-carrier":       with_pfs_down,
    "redundancy-required":      on_one_pf(redundancy="require"),
    "no-redundancy":            on_one_pf(),
    "pf-in-host-lag":           with_a_host_lag,
    "switch-lag-needed":        two_vfs(mode="balance-xor"),
    "one-mac-twice":            on_one_pf(failOverMac="none", redundancy="off"),
    "members-differ-vlan":      two_vfs("vlan 100"),
    "members-differ-trust":     two_vfs("trust on"),
    "members-differ-mtu":       with_another_mtu,
}
# fmt: on
LEVELS = {rule.id: rule.level for rule, _ in CHECKS}
EXPECTED = {
    Level.CONFIG: INVALID_CONFIG,
    Level.REFUSED: REFUSED,
    Level.WARNING: REFUSED,  # under `policy: strict`
}


@pytest.fixture(autouse=True)
def _lent(host: Host) -> None:
    """Lend these tests' links, whatever addresses they have: lending is tested elsewhere."""
    lend(host, "home*", "bond0")


@pytest.fixture
def held() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_every_rule_is_shown_here_or_said_not_to_exist_here(note: Callable[[str], None]) -> None:
    assert CASES.keys() | VF_CASES.keys() | SHOWN_ELSEWHERE == LEVELS.keys()
    assert not CASES.keys() & VF_CASES.keys()
    note("rules shown on taps of type InfiniBand: ipoib-mode, ipoib-mac, mixed-link-types")


@pytest.mark.parametrize("rule", CASES)
def test_a_rule_refuses_before_any_change(
    runtime: Runtime, held: ExitStack, tmp_path: Path, rule: str
) -> None:
    keys = CASES[rule](Scene(runtime.pod, held, None))

    assert_refused(runtime, tmp_path, keys, rule)


@pytest.mark.vf
@pytest.mark.parametrize("rule", VF_CASES)
def test_a_rule_on_vfs_refuses_before_any_change(
    runtime: Runtime, vfs: rigs.Layout, held: ExitStack, tmp_path: Path, rule: str
) -> None:
    keys = VF_CASES[rule](Scene(runtime.pod, held, vfs))

    reply = assert_refused(runtime, tmp_path, keys, rule)

    held.close()
    assert "VF 0 of " in reply.msg


def assert_refused(runtime: Runtime, folder: Path, keys: Keys, rule: str) -> Reply:
    level = LEVELS[rule]
    policy = {"policy": "strict" if level is Level.WARNING else "warn"}

    reply = refused(runtime, folder, a_config(**policy, **keys))

    assert f"[{rule}]" in reply.msg
    expected = TRY_LATER if rule == "pf-without-carrier" else EXPECTED[level]
    assert reply.code == expected, reply.msg
    return reply


def test_the_kernel_itself_bonds_infiniband_links_in_active_backup_only(
    pod: Pod, held: ExitStack
) -> None:
    """The links are taps of type InfiniBand: bond_enslave() checks no more."""
    infiniband("net1")(Scene(pod, held, None))
    with netns.opened(pod.path) as inside:
        link = links.find(inside.netlink, "net1")
        assert link is not None
        plan = BondPlan("bond0", (Setting("mode", BondMode.BALANCE_RR),), (), 1500)
        bond = bonding.create(inside.netlink, plan)

        with pytest.raises(KernelError) as refusal:
            bonding.add_member(inside.netlink, Member(link, Place.POD), link.index, bond)

    assert refusal.value.errno == errno.EOPNOTSUPP


@pytest.mark.vf
def test_pfs_without_carrier_are_a_warning_by_default_and_the_bond_is_built(
    runtime: Runtime, vfs: rigs.Layout, held: ExitStack, tmp_path: Path
) -> None:
    with_pfs_down(Scene(runtime.pod, held, vfs))
    log = tmp_path / "log"

    result = runtime.add(a_config(logFile=str(log))).ok()

    assert log.read_text().count("rule=pf-without-carrier") == 2
    runtime.check(a_config(), result).ok()
    runtime.delete(a_config()).ok()


def crowd(pod: Pod, rig: rigs.Layout) -> None:
    """Move VFs to the pod that are in use already, each in another way."""
    names = ("eth0", "routed", "below", "bonded")
    for vf, name in zip(rig.pfs[2].vfs, names, strict=True):
        pod.give(vf.name, name)
    pod.batch(
        "addr add 198.51.100.9/24 dev routed",
        "route add default via 198.51.100.1 dev routed",
        "link add other0 type bond mode active-backup",
        "link set bonded down",
        "link set bonded master other0",
        "link add dummy0 type dummy",
    )
    pod.put_vlan_on("below", 10)


@pytest.mark.vf
def test_a_link_in_use_is_never_taken_unless_it_is_named(
    runtime: Runtime, vf_pod: Pod, rig: rigs.Layout
) -> None:
    crowd(vf_pod, rig)

    runtime.add(a_config()).ok()

    state = vf_pod.bond()
    assert state is not None
    assert {one.name for one in state.members} == {"net1", "net2"}


@pytest.mark.vf
def test_too_few_members_are_refused_with_all_that_was_seen_and_why_it_was_not_taken(
    runtime: Runtime, vfs: rigs.Layout, pod: Pod, tmp_path: Path
) -> None:
    crowd(pod, vfs)
    pod.give(vfs.pfs[0].vfs[0].name, "net1")

    reply = refused(runtime, tmp_path, a_config())

    assert reply.code == REFUSED
    assert "[too-few-members]" in reply.msg
    used = [f"(VF {vf.index} of pf2, {vf.pci}): not taken," for vf in vfs.pfs[2].vfs]
    for seen in (
        f"net1 (VF 0 of pf0, {vfs.pfs[0].vfs[0].pci}): taken",
        f"eth0 {used[0]} the default network's interface",
        f"routed {used[1]} carries a default route",
        f"below {used[2]} carries below.10",
        f"bonded {used[3]} already in a bond or bridge",
        "other0: not taken, a bond itself",
        "dummy0: not taken, no VF (dummy)",
    ):
        assert seen in reply.msg


@pytest.mark.vf
def test_one_vf_alone_is_refused_and_bonded_where_one_is_enough(
    runtime: Runtime, vfs: rigs.Layout, pod: Pod, tmp_path: Path
) -> None:
    pod.give(vfs.pfs[0].vfs[0].name, "net1")
    reply = refused(runtime, tmp_path, a_config())

    runtime.add(a_config(minMembers=1)).ok()

    assert (reply.code, "[too-few-members]" in reply.msg) == (REFUSED, True)
    state = pod.bond()
    assert state is not None
    assert [one.name for one in state.members] == ["net1"]


@pytest.mark.vf
@pytest.mark.parametrize("others", [0, 2], ids=["alone", "beside two usable ones"])
def test_a_vf_on_a_userspace_driver_is_refused_by_pci_address_and_driver(
    runtime: Runtime, vfs: rigs.Layout, held: ExitStack, tmp_path: Path, others: int
) -> None:
    Scene(runtime.pod, held, vfs).give(others)
    vf = vfs.pfs[2].vfs[0]
    pf.cache(runtime.host, runtime.pod, "net3", vf)
    held.enter_context(movers.bound_to_vfio(vf))

    reply = refused(runtime, tmp_path, a_config(minMembers=1))

    assert reply.code == REFUSED
    assert f"{vf.pci} (asked for as net3) is bound to vfio-pci" in reply.msg
    assert "[userspace-driver]" in reply.msg


@pytest.mark.vf
def test_a_link_that_is_named_and_is_on_a_userspace_driver_is_said_to_be(
    runtime: Runtime, vfs: rigs.Layout, held: ExitStack, tmp_path: Path
) -> None:
    Scene(runtime.pod, held, vfs).give(1)
    vf = vfs.pfs[2].vfs[0]
    pf.cache(runtime.host, runtime.pod, "net2", vf)
    held.enter_context(movers.bound_to_vfio(vf))

    reply = refused(runtime, tmp_path, a_config(**NAMED))

    assert f"{vf.pci} (asked for as net2) is bound to vfio-pci" in reply.msg


@pytest.mark.parametrize("kind", ["dummy", "bond"])
def test_a_name_that_is_taken_in_the_pod_is_refused(
    runtime: Runtime, held: ExitStack, tmp_path: Path, kind: str
) -> None:
    Scene(runtime.pod, held, None).dummies()
    runtime.pod.ip(f"link add bond0 type {kind}")

    reply = refused(runtime, tmp_path, a_config(**NAMED))

    assert (reply.code, "[name-taken]" in reply.msg) == (REFUSED, True)


@pytest.mark.parametrize("name", ["home1", "bond0"])
def test_a_link_of_the_host_whose_name_the_pod_needs_is_refused(
    runtime: Runtime, held: ExitStack, tmp_path: Path, name: str
) -> None:
    for one in (name, "home2"):
        ip(f"link add {one} type dummy")
        held.callback(ip, f"link del {one}")
    runtime.pod.ip("link add home1 type dummy")
    keys = {"links": [{"name": name}, {"name": "home2"}], "linksInContainer": False}

    reply = refused(runtime, tmp_path, a_config(**keys))

    assert (reply.code, "[name-taken]" in reply.msg) == (REFUSED, True)
