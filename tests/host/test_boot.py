"""What was committed is there again after a boot: a new namespace with the same NICs."""

import errno
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
import yaml

from sriovbond import hostname, ownfiles
from sriovbond.dhcp import files
from sriovbond.dhcp.files import ClientFiles
from sriovbond.dhcp.wish import DhcpWish
from sriovbond.nodenet.checks import Complaint
from sriovbond.nodenet.joined import Joined
from sriovbond.reshape import limits
from sriovbond.trial import booting, enactments, persisted, store
from sriovbond.trial.ending import clear_the_way
from sriovbond.trial.transaction import RevertedError
from tests.support import taps, wire
from tests.support.changes import Changes
from tests.support.sites import NodeUnderTest, a_node

BRIDGE = """
interfaces:
- name: br0
  type: linux-bridge
  ipv4: {enabled: true, dhcp: false, address: [{ip: 192.0.2.9, prefix-length: 24}]}
  bridge: {options: {stp: {enabled: false}}, port: [{name: eth1}, {name: eth2}]}
routes:
  config: [{destination: 0.0.0.0/0, next-hop-interface: br0, next-hop-address: 192.0.2.1}]
"""
MTU = "interfaces: [{name: eth1, type: ethernet, mtu: 1490}, {name: eth9, type: ethernet}]"
VETH = """
interfaces:
- {name: va, type: veth, veth: {peer: vb}}
- {name: vb, type: ethernet}
- name: eth2
  ipv4: {enabled: true, dhcp: false, address: [{ip: 192.0.2.7, prefix-length: 24}]}
"""
DNS = "dns-resolver: {config: {server: [192.0.2.53]}}"


@pytest.fixture
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(booting, "_NICS_S", 0.5)  # 30 s for NICs are long for a test


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[tuple[Changes, Changes]]:
    """A node before and after a boot, with one folder of state and one root."""
    with ExitStack() as stack:
        first = stack.enter_context(a_node(tmp_path / "first"))
        second = stack.enter_context(a_node(tmp_path / "second"))
        for node in (first, second):
            node.ip(
                *(f"link add eth{number} type veth peer far{number}" for number in (1, 2)),
                *(f"link set {name} up" for name in ("eth1", "eth2", "far1", "far2")),
            )
        site = replace(second.site, root=first.host.root, host=first.host)
        booted = NodeUnderTest(second.pod, site, first.host, second.sent)
        yield Changes(first, []), Changes(booted, [])


def boot(changes: Changes) -> list[str]:
    site, host = changes.node.site, changes.node.host
    return changes.inside(partial(booting.boot, site, host, changes.said.append))


def status_of(name: str, changes: Changes) -> Any:  # noqa: ANN401 - what its YAML holds
    """Return what came of a document, by its enactment."""
    file = enactments.folder(changes.node.host) / f"{name}.yml"
    return yaml.safe_load(file.read_text())["status"]


def conditions(status: Any) -> list[str]:  # noqa: ANN401
    """Return the conditions that hold."""
    return [row["type"] for row in status["conditions"] if row["status"] == "True"]


def test_a_boot_applies_the_committed_documents_and_nothing_twice(
    nodes: tuple[Changes, Changes],
) -> None:
    before, after = nodes
    before.apply(BRIDGE, name="uplink.v1 of/me")
    before.apply(DNS, name="dns", is_waiting=True)
    before.commit()
    before.apply("interfaces: [{name: far1, mtu: 1400}]")

    failures = boot(after)
    after.node.sent.clear()

    assert failures == []
    assert [row.name for row in persisted.list_documents(before.node.host)] == [
        "uplink.v1-of-me",
        "dns",
    ]
    assert after.node.left(BRIDGE) == []
    assert boot(after) == []
    assert after.node.sent == []


@pytest.mark.usefixtures("briefly")
def test_a_document_that_fails_keeps_no_other_from_being_applied(
    nodes: tuple[Changes, Changes],
) -> None:
    _, after = nodes
    host = after.node.host
    persisted.keep(host, "mtu", MTU)
    persisted.keep(host, "torn", "interfaces: [")
    persisted.keep(host, "uplink", BRIDGE)

    failures = boot(after)

    assert [row.partition(":")[0] for row in failures] == ["mtu", "torn"]
    assert failures[0] == "mtu: applied without eth9: missing"
    assert after.node.left(BRIDGE) == []


def test_a_damaged_file_of_a_client_of_dhcp_keeps_no_document_from_being_applied(
    nodes: tuple[Changes, Changes],
) -> None:
    _, after = nodes
    files.write(after.node.host, ClientFiles("eth9", DhcpWish("01aa")))
    (files.folder(after.node.host) / "eth9.wish").write_text("{")
    persisted.keep(after.node.host, "uplink", BRIDGE)

    assert boot(after) == []
    assert after.node.left(BRIDGE) == []


def test_a_damaged_file_of_a_change_keeps_no_document_from_being_applied(
    nodes: tuple[Changes, Changes],
) -> None:
    _, after = nodes
    host = after.node.host
    persisted.keep(host, "uplink", BRIDGE)
    store.folder(host).mkdir(mode=0o700)
    store.file(host).write_text('{"id": 7}')

    (failure,) = boot(after)

    kept = store.folder(host) / "change.damaged"
    assert failure.endswith(f"it is kept as {kept}")
    assert kept.read_text() == '{"id": 7}'
    assert after.node.left(BRIDGE) == []


def test_a_full_disk_keeps_no_document_from_being_applied(
    nodes: tuple[Changes, Changes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody could come to free it."""
    _, after = nodes
    host = after.node.host
    persisted.keep(host, "uplink", BRIDGE)
    wish = ClientFiles("eth9", DhcpWish("01aa"))
    files.write(host, wish)
    put = ownfiles.put

    def put_elsewhere(file: Path, content: bytes, mode: int = 0o600) -> None:
        if file.is_relative_to(host.state):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        put(file, content, mode)

    # the test's disk is this machine's, and cannot be filled
    monkeypatch.setattr(ownfiles, "put", put_elsewhere)

    (failure,) = boot(after)

    assert "No space left on device; the documents are applied all the same" in failure
    assert after.node.left(BRIDGE) == []
    assert files.read_all(replace(host, state=host.run / "boot")) == (wish,)
    assert [path.name for path in store.folder(host).iterdir()] == ["lock"]


def test_a_fault_of_ours_with_one_document_keeps_no_other_from_being_applied(
    nodes: tuple[Changes, Changes], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, after = nodes
    judge = limits.judge

    def judge_or_fail(joined: Joined) -> Iterator[Complaint]:
        if not joined.desired.routes:
            raise KeyError("it")
        yield from judge(joined)

    # no document is known that meets a fault of ours
    monkeypatch.setattr(limits, "judge", judge_or_fail)
    persisted.keep(after.node.host, "mtu", MTU.replace("eth9", "eth2"))
    persisted.keep(after.node.host, "uplink", BRIDGE)

    failures = boot(after)

    assert failures == ["mtu: a fault of sriovbond: KeyError: 'it'"]
    assert conditions(status_of("mtu", after)) == ["Failing"]
    assert after.node.left(BRIDGE) == []


@pytest.mark.usefixtures("briefly")
def test_a_document_that_needs_a_later_one_is_applied_again_after_it(
    nodes: tuple[Changes, Changes],
) -> None:
    """The later one is the older: it was changed, and is kept behind the others since then."""
    _, after = nodes
    host = after.node.host
    uses = "interfaces: [{name: br0, type: linux-bridge, bridge: {port: [{name: va}]}},"
    persisted.keep(host, "uses", f"{uses} {{name: eth1, mtu: 1400}}]")
    persisted.keep(host, "routes", BRIDGE[BRIDGE.index("routes") :].replace("br0", "eth2"))
    persisted.keep(host, "makes", VETH)
    persisted.keep(host, "wins", "interfaces: [{name: eth1, mtu: 1490}]")
    persisted.keep(host, "never", MTU)

    failures = boot(after)

    links = {link.label: link for link in after.node.read().interfaces or ()}
    assert failures == ["never: applied without eth9: missing"]
    assert links["va"].controller == "br0"
    assert after.node.pod.run("ip", "route", "get", "8.8.8.8").stdout.startswith("8.8.8.8 via")
    assert links["eth1"].mtu == 1490
    assert conditions(status_of("uses", after)) == ["Available"]


@pytest.mark.usefixtures("briefly")
def test_a_document_whose_nic_is_missing_for_good_is_applied_once(
    nodes: tuple[Changes, Changes],
) -> None:
    _, after = nodes
    persisted.keep(after.node.host, "mtu", MTU)
    persisted.keep(after.node.host, "uplink", BRIDGE)

    boot(after)

    assert len([line for line in after.said if line.startswith("mtu: ")]) == 1


def test_a_pair_of_veths_that_was_there_has_both_of_its_macs_again(
    nodes: tuple[Changes, Changes],
) -> None:
    before, after = nodes
    macs = {"va": "02:00:00:00:00:0A", "vb": "02:00:00:00:00:0B"}
    before.node.ip(f"link add va address {macs['va']} type veth peer vb address {macs['vb']}")
    before.apply("interfaces: [{name: va, type: veth, mtu: 1400, veth: {peer: vb}}]", name="pair")

    failures = boot(after)

    assert failures == []
    links = {link.label: link for link in after.node.read().interfaces or ()}
    assert {name: links[name].mac_address for name in macs} == macs


def test_a_port_that_a_document_ignores_is_not_awaited_at_a_boot(
    nodes: tuple[Changes, Changes],
) -> None:
    """Such as a virtual machine's tap, which `host show` prints: libvirt starts later."""
    before, after = nodes
    before.node.ip("link add br0 up type bridge", "link set eth1 master br0")
    taps.add(before.node.pod.name, "vnet0")
    before.node.ip("link set vnet0 master br0")
    before.apply(before.node.show().replace("mtu: 1500", "mtu: 1490"), name="all")

    failures = boot(after)

    assert failures == []
    assert [
        row.controller for row in after.node.read().interfaces or () if row.label == "eth1"
    ] == ["br0"]


@pytest.mark.parametrize(("refusals", "tries"), [(2, 3), (99, 5)])
def test_a_document_that_the_kernel_refuses_is_tried_five_times(
    nodes: tuple[Changes, Changes], monkeypatch: pytest.MonkeyPatch, refusals: int, tries: int
) -> None:
    monkeypatch.setattr(booting, "_PAUSES_S", (0.1,) * 4)  # 15 s are long for a test
    monkeypatch.setattr(booting, "_AGAIN_S", 600.0)  # five may take a minute in an emulator
    _, after = nodes
    before = after.node.settle()
    persisted.keep(after.node.host, "uplink", BRIDGE)

    with wire.busy("add the route", errno.ENETUNREACH, refusals) as came:
        failures = boot(after)

    assert len(came) == tries
    again = [line for line in after.said if "tried again in 0.1 s" in line]
    assert len(again) == tries - 1
    if failures:
        assert len(failures) == 1
        assert "ENETUNREACH; all is as it was before" in failures[0]
        after.node.assert_is(before)
    else:
        assert after.node.left(BRIDGE) == []
    assert bool(failures) is (refusals > tries)
    status = status_of("uplink", after)
    assert conditions(status) == (["Failing"] if failures else ["Available"])
    assert status["retryCount"] == {"0": tries - 1}


def test_a_signal_ends_a_boot_and_no_document_is_applied_any_more(
    nodes: tuple[Changes, Changes],
) -> None:
    """As by `systemctl stop`, a shutdown, or the end of the unit's time."""
    _, after = nodes
    before = after.node.settle()
    persisted.keep(after.node.host, "uplink", BRIDGE)
    persisted.keep(after.node.host, "later", "interfaces: [{name: eth2, mtu: 1400}]")

    with wire.before("add the route", partial(os.kill, os.getpid(), signal.SIGTERM)):
        failures = boot(after)

    assert failures == ["uplink: SIGTERM ended it; all is as it was before"]
    after.node.assert_is(before)
    assert conditions(status_of("uplink", after)) == ["Failing"]


def test_a_signal_while_a_file_that_hinders_nothing_is_written_ends_the_change_too(
    nodes: tuple[Changes, Changes], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, _ = nodes
    host = before.node.host
    running = hostname.running
    sent: list[signal.Signals] = []

    def run_or_end() -> str:  # the file of the enactment has this name
        if store.file(host).exists() and not sent:
            sent.append(signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
        return running()

    # between two requests only a function of ours tells that the file is being written
    monkeypatch.setattr(hostname, "running", run_or_end)

    with pytest.raises(RevertedError, match="SIGTERM ended it"):
        before.apply(BRIDGE, name="uplink")

    assert sent
    assert persisted.list_documents(host) == []


def test_a_boot_waits_for_nics_that_are_only_ports(nodes: tuple[Changes, Changes]) -> None:
    _, after = nodes
    persisted.keep(after.node.host, "uplink", BRIDGE)
    after.node.ip("link set eth2 name late")
    rename = Timer(2, partial(after.node.ip, "link set late down name eth2 up"))
    rename.start()

    failures = boot(after)
    rename.join()

    assert failures == []
    assert after.node.left(BRIDGE) == []


@pytest.mark.parametrize(
    "text",
    [
        "routes: {config: [{destination: 203.0.113.0/24, next-hop-interface: eth2}]}",
        "dns-resolver: {config: {server: ['fe80::1%eth2']}}",
        "interfaces: [{name: eth2, mtu: 1400}]",
    ],
)
def test_a_boot_waits_for_interfaces_that_a_document_names_without_a_type(
    nodes: tuple[Changes, Changes], text: str
) -> None:
    """Of routes and DNS servers only the interface's name is known, as of one without a type."""
    _, after = nodes
    after.node.ip("address add 192.0.2.9/24 dev eth2", "link set eth2 down name late")
    persisted.keep(after.node.host, "further", text)
    rename = Timer(2, partial(after.node.ip, "link set late name eth2", "link set eth2 up"))
    rename.start()

    failures = boot(after)
    rename.join()

    assert failures == []
    assert after.node.left(text) == []


def test_a_boot_does_not_wait_for_an_interface_that_a_later_document_makes(
    nodes: tuple[Changes, Changes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(booting, "_PAUSE_S", None)  # no pause can be as long as that
    _, after = nodes
    persisted.keep(after.node.host, "routes", BRIDGE[BRIDGE.index("routes") :])
    persisted.keep(after.node.host, "uplink", BRIDGE)

    assert boot(after) == []
    assert after.node.left(BRIDGE) == []


@pytest.mark.usefixtures("briefly")
def test_a_nic_that_is_broken_keeps_no_other_port_from_being_used(
    nodes: tuple[Changes, Changes],
) -> None:
    _, after = nodes
    persisted.keep(after.node.host, "uplink", BRIDGE)
    after.node.ip("link set eth2 down name broken")

    failures = boot(after)

    assert failures == ["uplink: applied without eth2: missing"]
    assert after.node.left(BRIDGE.replace(", {name: eth2}", "")) == []


def test_of_a_change_that_a_boot_interrupted_the_files_are_restored(
    nodes: tuple[Changes, Changes],
) -> None:
    before, after = nodes
    before.apply(BRIDGE + DNS, is_waiting=True, name="half")
    checkpoint = before.checkpoint
    assert checkpoint is not None
    before.rollback()
    written = "# by hand\nnameserver 192.0.2.53\n"
    (before.node.host.root / "etc/resolv.conf").write_text(written)
    store.write(before.node.host, replace(checkpoint, boot="another"))

    after.node.sent.clear()

    assert clear_the_way(after.node.site, after.node.host)

    assert (before.node.host.root / "etc/resolv.conf").read_text() == "# by hand\n"
    assert after.node.sent == []
    assert persisted.list_documents(before.node.host) == []


@pytest.mark.usefixtures("briefly")
def test_a_nic_that_is_known_by_its_mac_is_found_by_it_under_another_name(
    nodes: tuple[Changes, Changes],
) -> None:
    before, after = nodes
    by_mac = "identifier: mac-address, mac-address: '02:00:00:00:00:11', lldp: {enabled: false}"
    text = f"interfaces: [{{name: uplink, type: ethernet, mtu: 1490, {by_mac}}}]"
    before.node.ip("link set eth1 address 02:00:00:00:00:11")
    after.node.ip("link set eth1 down name old", "link set eth2 down name eth1")

    outcome, failures_without_it = before.apply(text, name="uplink"), boot(after)
    after.node.ip("link set old address 02:00:00:00:00:11")
    failures = boot(after)

    assert (outcome, failures) == ("committed", [])
    assert failures_without_it == ["uplink: applied without eth1: missing"]
    mtus = {link.label: link.mtu for link in after.node.read().interfaces or ()}
    assert (mtus["old"], mtus["eth1"]) == (1490, 1500)


def test_a_bond_without_targets_that_was_kept_as_it_was_is_made_and_reported(
    nodes: tuple[Changes, Changes],
) -> None:
    before, after = nodes
    before.node.ip("link add bond0 up type bond mode active-backup arp_interval 250")
    options = "{miimon: 0, updelay: 0, arp_interval: 250}"
    text = f"interfaces: [{{name: bond0, type: bond, bond: {{mode: 1, options: {options}}}}}]"

    outcome, failures = before.apply(text, name="uplink"), boot(after)

    assert (outcome, failures) == ("nothing to do", [])
    assert "bond0: arp_interval 250 without arp_ip_target" in "".join(after.said)
    assert after.node.left(text) == []
