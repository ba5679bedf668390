"""Who uses what a change would touch: pods by records and kubelet, guests by their taps."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from deviceinfo import PodRef
from sriovbond import records
from sriovbond.host import Host
from sriovbond.kernel import netns
from sriovbond.records import Record
from sriovbond.survey import usage
from sriovbond.survey.usage import Uses
from tests.support import kubelet as kubelets
from tests.support.builders import a_plan
from tests.support.node import Node
from tests.unit.nodenet.states import joined

NODE = """\
interfaces:
- {name: eth1, type: ethernet, state: up, mtu: 1500, ethernet: {sr-iov: {total-vfs: 2}}}
- {name: eth2, type: ethernet, state: up, mtu: 1500, controller: bond0}
- {name: eth3, type: ethernet, state: up, mtu: 1500}
- {name: bond0, type: bond, state: up, mtu: 1500, controller: br0,
   bond: {mode: active-backup, port: [eth2]}}
- {name: br0, type: linux-bridge, state: up, mtu: 1500,
   bridge: {port: [{name: bond0}, {name: vnet0}]}}
- {name: vnet0, type: tun, state: ignore, controller: br0}
- {name: m0, type: mac-vtap, state: ignore, mac-vtap: {base-iface: eth3}}
"""
BOND1 = """\
- {name: bond1, type: bond, state: up, mtu: 1500,
   bond: {mode: active-backup, options: {miimon: 100}, port: [eth1]}}
"""
VFS = ("0000:01:10.0", "0000:01:10.1")
"""The first is a member of a_plan()."""


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """Return a node whose eth1 has two VFs, and eth2 none."""
    device = tmp_path / "sys/class/net/eth1/device"
    device.mkdir(parents=True)
    (tmp_path / "sys/class/net/eth2/device").mkdir(parents=True)
    for number, vf in enumerate(VFS):
        (device / f"virtfn{number}").symlink_to(f"../{vf}")
    places = replace(Node(tmp_path).places, sysfs=tmp_path / "sys")
    return Host(places=places, state=tmp_path / "state", kubelet_timeout_s=5)


def _uses(host: Host, document: str) -> Uses:
    with netns.own() as own:
        return usage.find(joined(f"interfaces: [{document}]", NODE), own, host)


def _has_record(host: Host, boot: str | None = None) -> None:
    boot = host.boot_id() if boot is None else boot
    namespace = (4, 4026532000, 1)
    pod = PodRef("default", "a")
    record = Record("net", "c0ffee", "bond0", "/run/netns/a", namespace, boot, a_plan(), pod=pod)
    records.make_folder(host)
    records.write(host, record)


def _has_checkpoint(host: Host, devices: dict[str, str]) -> None:
    """Write what kubelet keeps: the UID of each device's pod."""
    entries = [
        {
            "PodUID": uid,
            "ContainerName": "app",
            "ResourceName": "intel.com/vfs",
            "DeviceIDs": {"0": [device]},
            "AllocResp": "",
        }
        for device, uid in devices.items()
    ]
    data = {"PodDeviceEntries": entries, "RegisteredDevices": {}}
    host.places.checkpoint.parent.mkdir(parents=True)
    host.places.checkpoint.write_text(json.dumps({"Data": data, "Checksum": 1}), encoding="utf-8")


def test_a_pf_whose_vfs_are_in_pods_is_named_with_the_pods_of_records_and_checkpoint(
    host: Host,
) -> None:
    _has_record(host)
    _has_checkpoint(host, {VFS[1]: "3f2c-uid"})

    uses = _uses(host, "{name: eth1, mtu: 9000}")

    assert uses == Uses((), ("eth1: its VFs are in pods: default/a, pod UID 3f2c-uid",))


def test_a_record_of_an_earlier_boot_is_of_no_pod(host: Host) -> None:
    """The boot has ended the pod; its record stays until the runtime's DEL or GC."""
    _has_record(host, "an earlier one")

    assert _uses(host, "{name: eth1, ethernet: {sr-iov: {total-vfs: 0}}}") == Uses((), ())


def test_kubelet_is_asked_before_its_checkpoint(host: Host) -> None:
    _has_checkpoint(host, {VFS[0]: "an-old-uid"})
    with tempfile.TemporaryDirectory() as folder, kubelets.running(Path(folder)) as kubelet:
        kubelet.serve(kubelets.a_pod("b", kubelets.a_container(vfs=VFS[1])))
        places = replace(host.places, pod_resources=kubelet.socket)

        uses = _uses(replace(host, places=places), "{name: eth1, mtu: 9000}")

    assert uses.known == ("eth1: its VFs are in pods: default/b",)


@pytest.mark.parametrize(
    "document",
    [
        "{name: eth1, ethernet: {sr-iov: {total-vfs: 0}}}",
        "{name: eth1, state: down}",
        "{name: eth1, ethernet: {sr-iov: {vfs: [{id: 0, vlan-id: 7}]}}}",
    ],
)
def test_a_change_that_cuts_off_pods_is_refused_at_its_place(host: Host, document: str) -> None:
    _has_record(host)

    (refusal,) = _uses(host, document).refused

    assert refusal.path == ("interfaces", 0)
    assert refusal.text == ("eth1: its VFs are in pods: default/a; --force changes it all the same")


@pytest.mark.parametrize(
    ("wish", "is_touched"),
    [
        ("bond: {mode: balance-xor}", True),
        ("bond: {options: {fail_over_mac: active}}", True),
        ("mtu: 9000", True),
        ("bond: {options: {miimon: 50}}", False),
        ("mtu: 1500", False),
    ],
)
def test_a_pf_that_leaves_its_bond_and_comes_back_is_named_with_the_pods(
    host: Host, wish: str, *, is_touched: bool
) -> None:
    _has_record(host)
    bonded = NODE.replace("name: eth1, type", "name: eth1, controller: bond1, type") + BOND1

    with netns.own() as own:
        uses = usage.find(joined(f"interfaces: [{{name: bond1, {wish}}}]", bonded), own, host)

    assert uses == Uses((), ("eth1: its VFs are in pods: default/a",) if is_touched else ())


def test_a_pf_without_pods_and_an_unchanged_one_are_not_in_use(host: Host) -> None:
    _has_checkpoint(host, {"0000:04:10.0": "another"})

    assert _uses(host, "{name: eth1, state: down}") == Uses((), ())
    assert _uses(host, "{name: eth2, mtu: 1500}") == Uses((), ())


@pytest.mark.parametrize(
    ("document", "names"),
    [
        ("{name: br0, bridge: {options: {mac-ageing-time: 100}}}", ["br0"]),
        ("{name: bond0, bond: {options: {miimon: 50}}}", ["bond0"]),
        ("{name: eth2, mtu: 1400}", ["eth2"]),
        ("{name: bond0, state: absent}", ["bond0", "eth2"]),
        ("{name: eth3, mtu: 1400}", ["eth3"]),
    ],
)
def test_an_interface_below_virtual_machines_is_changed_only_when_forced(
    host: Host, document: str, names: list[str]
) -> None:
    uses = _uses(host, document)

    tap = "m0" if names == ["eth3"] else "vnet0"
    assert [row.text for row in uses.refused] == [
        f"{name}: virtual machines are on it, by {tap}; --force changes it all the same"
        for name in names
    ]
    assert uses.known == tuple(f"{name}: virtual machines are on it, by {tap}" for name in names)


def test_many_pods_are_counted(host: Host) -> None:
    vfs = {f"0000:05:10.{number}": f"pod{number}" for number in range(8)}
    vfs |= {f"0000:05:11.{number}": f"pod{number + 8}" for number in range(8)}
    for number, vf in enumerate(vfs):
        link = host.places.sysfs / f"class/net/eth1/device/virtfn{number + 2}"
        link.symlink_to(f"../{vf}")
    _has_checkpoint(host, vfs)

    (known,) = _uses(host, "{name: eth1, mtu: 9000}").known

    assert known.endswith(", pod UID pod15 and 8 more")
