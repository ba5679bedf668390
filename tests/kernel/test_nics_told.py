"""The NICs' facts in `show` and `explain`: igb's VFs and PFs, and netdevsim's devlink."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sriovbond.cli import sriovbond
from sriovbond.kernel import netns
from sriovbond.nic import asking
from sriovbond.nic.asking import Target
from sriovbond.nic.facts import Function
from tests.support import netdevsim
from tests.support.agents import wait_for
from tests.support.calls import Runtime, a_config
from tests.support.netdevsim import Nic
from tests.support.pods import Pod, ip
from tests.vm import rig as rigs

SYSFS = Path("/sys")
HEALTH = Path("/sys/kernel/debug/netdevsim")


def ask_host(*targets: tuple[str, str]) -> tuple[Function, ...]:
    """Query these devices and interfaces of the host."""
    with netns.own() as home:
        return asking.ask(SYSFS, home, [Target(*target, home) for target in targets])


def command(*arguments: str) -> str:
    done = CliRunner().invoke(sriovbond, arguments)
    assert done.exit_code == 0, done.output
    return done.output


def nics_of(*arguments: str) -> Mapping[str, Any]:
    """Run the command with --json; return its facts of NICs, by device or else by interface."""
    nics = json.loads(command(*arguments, "--json"))["nics"]
    return {nic["device"] or nic["interface"]: nic for nic in nics}


def sysfs(netdev: str, name: str) -> str:
    return (SYSFS / "class/net" / netdev / name).read_text().strip()


def devlink(*arguments: str) -> Any:  # noqa: ANN401 - what devlink's JSON holds
    done = subprocess.run(["devlink", "-j", *arguments], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


@pytest.mark.vf
def test_show_has_the_facts_of_igbs_vfs_and_pfs(
    runtime: Runtime, vf_pod: Pod, vfs: rigs.Layout
) -> None:
    caller = Runtime(runtime.host, vf_pod)
    caller.add(a_config()).ok()
    arguments = ("show", "bond0", "--netns", vf_pod.path)
    wait_for(lambda: all(member.mii_up for member in vf_pod.the_bond().members), 60)

    nics, text = nics_of(*arguments), command(*arguments)

    members = {vfs.pfs[0].vfs[0].pci: "net1", vfs.pfs[1].vfs[0].pci: "net2"}
    assert {device: nics[device]["interface"] for device in members} == members
    for device in members:
        assert nics[device]["driver"] == "igbvf"
        assert nics[device]["ethtool"]["speed_mbps"] == 1000
        assert nics[device]["problems"] == ["not supported by igbvf"]
    for pf in vfs.pfs[:2]:
        answer = nics[pf.pci]["ethtool"]
        assert nics[pf.pci]["interface"] == pf.name
        assert str(answer["speed_mbps"]) == sysfs(pf.name, "speed")
        assert answer["duplex"] == sysfs(pf.name, "duplex")
        assert "1000baseT/Full" in answer["supported"]
        assert nics[pf.pci]["problems"] == ["not supported by igb"]
    assert "1000 Mb/s, full duplex" in text
    assert "not supported by igb " in text


@pytest.fixture
def nic() -> Iterator[Nic]:
    with netdevsim.a_nic(10) as made:
        ip(f"link set {made.pf} up")
        yield made


@pytest.mark.netdevsim
def test_show_and_explain_have_devlinks_facts(runtime: Runtime, nic: Nic) -> None:
    for number, vf in enumerate(nic.vfs, 1):
        runtime.pod.give(vf.name, f"net{number}")
    runtime.add(a_config()).ok()
    pf = f"{nic.parent}/p1"

    shown = nics_of("show", "bond0", "--netns", runtime.pod.path)
    text = command("show", "bond0", "--netns", runtime.pod.path)
    explained = nics_of("explain", "--netns", runtime.pod.path)
    reasons = command("explain", "--netns", runtime.pod.path)

    assert shown == explained
    assert (shown[pf]["eswitch"], shown[pf]["interface"]) == ("switchdev", nic.pf)
    assert shown[pf]["port"]["flavour"] == "physical"
    assert {reporter["name"]: reporter["state"] for reporter in shown[pf]["reporters"]} == {
        reporter["reporter"]: reporter["state"]
        for reporters in devlink("health", "show")["health"].values()
        for reporter in reporters
    }
    for vf in nic.vfs:
        port = shown[f"{nic.parent}/{vf.port_name}"]["port"]
        told = devlink("port", "show", f"netdevsim/{nic.parent}/{port['index']}")["port"]
        (facts,) = told.values()
        assert (port["flavour"], port["vf_number"]) == (facts["flavour"], facts["vfnum"])
        assert port["vf_number"] == vf.index
    assert "not supported by netdevsim" in text
    assert "port pcivf 1" in text
    assert "eswitch switchdev" in text
    assert f"{nic.pf}: devlink says eswitch switchdev" in reasons


@pytest.mark.netdevsim
def test_a_health_reporter_has_its_failures(nic: Nic) -> None:
    if not HEALTH.exists():
        subprocess.run(["mount", "-t", "debugfs", "debugfs", "/sys/kernel/debug"], check=True)
    (HEALTH / nic.parent / "health/break_health").write_text("broken on purpose")

    (pf,) = ask_host((f"{nic.parent}/p1", nic.pf))

    (reporter,) = (reporter for reporter in pf.reporters if reporter.name == "dummy")
    assert reporter.errors == 1
    assert pf.problems == ()


@pytest.mark.netdevsim
def test_only_the_queried_nic_answers(nic: Nic) -> None:
    with netdevsim.a_nic(11) as second:
        subprocess.run(
            ["devlink", "dev", "eswitch", "set", f"netdevsim/{second.parent}", "mode", "legacy"],
            check=True,
        )
        first, other = ask_host((f"{nic.parent}/p1", nic.pf), (f"{second.parent}/p1", second.pf))

    assert (first.eswitch, other.eswitch) == ("switchdev", "legacy")
    assert first.port
    assert other.port
    assert (first.port.netdev, other.port.netdev) == (nic.pf, second.pf)


@pytest.mark.netdevsim
def test_a_simulated_device_that_vanished_is_a_word(nic: Nic, note: Callable[[str], None]) -> None:
    with netdevsim.a_nic(11) as second:
        device = f"{second.parent}/p1"
        with netns.own() as home:
            subject = Target(device, second.pf, home)
            started = time.monotonic()
            asking.ask(SYSFS, home, [subject, Target(f"{nic.parent}/p1", nic.pf, home)])
            note(f"two PFs asked by ethtool and devlink: {time.monotonic() - started:.2f} s")

    (gone,) = ask_host((device, second.pf))

    assert gone.device == device
    assert gone.ethtool
    assert gone.ethtool.problem == "the interface is missing"
