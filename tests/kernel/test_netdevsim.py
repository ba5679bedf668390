"""VFs of simulated NICs (netdevsim): chosen, judged and bonded like those of PCI NICs.

They have what igb's do not: a PF that reports a VF's link state and stores 802.1ad.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from sriovbond import records
from sriovbond.bond.links import VfSettings
from sriovbond.dispatch import REFUSED
from tests.support import kubelet as kubelets
from tests.support import netdevsim, pf
from tests.support.calls import Runtime, a_config
from tests.support.kubelet import a_container, a_pod
from tests.support.netdevsim import Nic
from tests.support.pods import Pod, ip
from tests.support.refusals import refused

TRY_LATER = 11
pytestmark = pytest.mark.netdevsim


@pytest.fixture
def nics() -> Iterator[tuple[Nic, Nic]]:
    with netdevsim.a_nic(10) as first, netdevsim.a_nic(11) as second:
        for nic in (first, second):
            ip(f"link set {nic.pf} up")
        yield first, second


def give(pod: Pod, *vfs: netdevsim.Vf) -> None:
    for number, vf in enumerate(vfs, 1):
        pod.give(vf.name, f"net{number}")


def test_vfs_of_two_nics_are_found_bonded_and_left_as_they_were(
    runtime: Runtime, nics: tuple[Nic, Nic]
) -> None:
    given = [nic.vfs[1] for nic in nics]
    give(runtime.pod, *given)

    runtime.add(a_config(redundancy="require")).ok()
    record = records.read(runtime.host, runtime.pod.key())
    state = runtime.pod.the_bond()
    runtime.delete(a_config()).ok()

    assert record is not None
    assert record.plan is not None
    assert [str(member) for member in record.plan.members] == [
        f"net{number} (VF 1 of {nic.pf}, {nic.parent}/pf0vf1)" for number, nic in enumerate(nics, 1)
    ]
    assert {member.name: member.device for member in state.members} == {
        f"net{number}": f"{nic.parent}/pf0vf1" for number, nic in enumerate(nics, 1)
    }
    for number, vf in enumerate(given, 1):
        left = runtime.pod.the_link(f"net{number}")
        assert (left.mac, left.master, left.is_up) == (vf.mac, 0, False)


def test_two_vfs_of_one_nic_are_no_redundancy(
    runtime: Runtime, nics: tuple[Nic, Nic], tmp_path: Path
) -> None:
    nic, _ = nics
    give(runtime.pod, *nic.vfs)

    by_level = {
        level: refused(runtime, tmp_path, a_config(redundancy="require", redundancyLevel=level))
        for level in ("pf", "nic")
    }
    runtime.add(a_config()).ok()

    assert {reply.code for reply in by_level.values()} == {REFUSED}
    assert f"are all on the PF {nic.parent}/p1 ({nic.pf})" in by_level["pf"].msg
    assert "[redundancy-required]" in by_level["nic"].msg


@pytest.mark.parametrize(
    ("told", "rule"),
    [
        ("state enable", "vf-link-state-forced"),
        ("state disable", "vf-link-state-forced"),
        ("trust on", "members-differ-trust"),
        ("vlan 100", "members-differ-vlan"),
        ("vlan 100 proto 802.1ad", "members-differ-vlan"),
    ],
)
def test_a_pfs_settings_for_one_vf_are_judged(
    runtime: Runtime, nics: tuple[Nic, Nic], tmp_path: Path, told: str, rule: str
) -> None:
    give(runtime.pod, *(nic.vfs[0] for nic in nics))
    netdevsim.tell(nics[1], nics[1].vfs[0], told)

    reply = refused(runtime, tmp_path, a_config(policy="strict"))

    assert f"[{rule}]" in reply.msg


def test_a_vf_that_a_relay_disabled_is_left_to_it(
    runtime: Runtime, nics: tuple[Nic, Nic], tmp_path: Path
) -> None:
    give(runtime.pod, *(nic.vfs[0] for nic in nics))
    netdevsim.tell(nics[1], nics[1].vfs[0], "state disable")
    log = tmp_path / "log"

    with pf.in_host_lag("802.3ad", nics[1].pf):
        reply = refused(runtime, tmp_path, a_config(policy="strict"))
        runtime.add(a_config(logFile=str(log))).ok()

    assert reply.code == TRY_LATER
    assert "[vf-disabled-by-relay]" in reply.msg
    assert "net2" in reply.msg
    assert "rule=vf-disabled-by-relay" in log.read_text()


def test_an_administrative_mac_that_the_vf_does_not_have_is_a_warning(
    runtime: Runtime, nics: tuple[Nic, Nic], tmp_path: Path
) -> None:
    give(runtime.pod, *(nic.vfs[0] for nic in nics))
    netdevsim.tell(nics[1], nics[1].vfs[0], "mac 02:00:00:00:00:aa trust off")

    reply = refused(runtime, tmp_path, a_config(failOverMac="none", policy="strict"))

    assert "[vf-mac-unclear]" in reply.msg  # for netdevsim it is unknown whether it refuses
    assert "the PF's entry 02:00:00:00:00:aa" in reply.msg


def test_the_pf_is_read_with_all_its_facts(runtime: Runtime, nics: tuple[Nic, Nic]) -> None:
    give(runtime.pod, *(nic.vfs[0] for nic in nics))
    netdevsim.tell(nics[0], nics[0].vfs[0], "vlan 100 qos 3 proto 802.1ad trust on spoofchk on")

    runtime.add(a_config(policy="warn")).ok()

    record = records.read(runtime.host, runtime.pod.key())
    assert record is not None
    assert record.plan is not None
    settings = record.plan.members[0].settings
    assert settings is not None
    assert replace(settings, mac="", min_tx_rate=None, max_tx_rate=None) == VfSettings(
        0, "", trust=True, spoofchk=True, link_state="auto", vlan=100, qos=3, vlan_proto="802.1ad"
    )


def test_pfs_that_are_linked_to_others_are_lent_and_come_home(runtime: Runtime) -> None:
    with ExitStack() as stack:
        made = [stack.enter_context(netdevsim.a_nic(number, vfs=0)) for number in range(10, 14)]
        for lent, far in (made[:2], made[2:]):
            netdevsim.link_pfs(lent, far)
            ip(f"link set {far.pf} up")
        names = [made[0].pf, made[2].pf]
        config = a_config(links=[{"name": name} for name in names], linksInContainer=False)

        runtime.add(config).ok()
        bonded = {member.name for member in runtime.pod.the_bond().members}
        runtime.delete(config).ok()

        assert bonded == {*names}
        assert all(ip(f"-j link show {name}") for name in names)


def test_an_allocation_by_port_names_selects_them(runtime: Runtime, nics: tuple[Nic, Nic]) -> None:
    give(runtime.pod, *nics[0].vfs, *nics[1].vfs)
    chosen = [f"{nics[0].parent}/pf0vf1", f"{nics[1].parent}/pf0vf0"]
    args = "K8S_POD_NAMESPACE=default;K8S_POD_NAME=sim"
    with tempfile.TemporaryDirectory(prefix="k") as folder, kubelets.running(Path(folder)) as one:
        one.serve(a_pod("sim", a_container(sim=chosen)))
        places = replace(runtime.host.places, pod_resources=one.socket)
        host = replace(runtime.host, places=places)
        caller = replace(runtime, host=host, environment={"CNI_ARGS": args})

        caller.add(a_config(links=[{"resource": "example.com/sim"}])).ok()

    state = runtime.pod.the_bond()
    assert sorted(member.device for member in state.members) == chosen
