"""DEL's hard cases: it succeeds, restores what still exists, and changes nothing of others."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sriovbond import records
from sriovbond.kernel import links, netns
from tests.support import ipams
from tests.support.calls import Runtime, a_config
from tests.support.pods import Pod, a_pod, ip
from tests.vm import rig as rigs

Config = dict[str, object]


@pytest.fixture
def config(pod: Pod, tmp_path: Path) -> Config:
    """Two dummies in the pod, and the configuration that bonds them, with addresses."""
    pod.batch(
        "link add d1 address 02:00:00:00:0d:01 type dummy",
        "link add d2 address 02:00:00:00:0d:02 mtu 1450 type dummy",
        "link set d1 alias host-d1 up",
    )
    return a_config(links=[{"name": "d1"}, {"name": "d2"}], ipam=ipams.host_local(tmp_path))


def assert_nothing_is_left(runtime: Runtime, folder: Path) -> None:
    assert list(runtime.host.records.glob("*")) == []
    assert list(runtime.host.run.glob("*")) == []
    assert ipams.leases(folder) == []


def test_del_leaves_the_members_down_and_restores_all_else(
    runtime: Runtime, config: Config, pod: Pod, tmp_path: Path
) -> None:
    before = [pod.link("d1"), pod.link("d2")]
    runtime.add({**config, "failOverMac": "none", "mtu": 1400}).ok()

    runtime.delete(config).ok()

    after = [pod.link("d1"), pod.link("d2")]
    assert after == [replace(one, is_up=False, has_carrier=False) for one in before if one]
    assert pod.link("bond0") is None
    assert_nothing_is_left(runtime, tmp_path)


def test_del_may_be_repeated_and_needs_no_add(runtime: Runtime, config: Config) -> None:
    runtime.delete(config).ok()
    runtime.add(config).ok()

    runtime.delete(config).ok()
    runtime.delete(config).ok()


UNUSUAL: dict[str, Callable[[Config], Config | bytes]] = {
    "no cniVersion": lambda config: {k: v for k, v in config.items() if k != "cniVersion"},
    "an unknown cniVersion": lambda config: {**config, "cniVersion": "9.9.9"},
    "no name": lambda config: {k: v for k, v in config.items() if k != "name"},
    "a malformed prevResult": lambda config: {**config, "prevResult": {"ips": 7}},
    "an invalid mode": lambda config: {**config, "mode": "nonsense", "miimon": []},
    "no IPAM section": lambda config: {k: v for k, v in config.items() if k != "ipam"},
    "an empty object": lambda _: {},
}


@pytest.mark.parametrize("change", UNUSUAL.values(), ids=UNUSUAL.keys())
def test_del_needs_only_the_record(
    runtime: Runtime,
    config: Config,
    pod: Pod,
    tmp_path: Path,
    change: Callable[[Config], Config],
) -> None:
    runtime.add(config).ok()

    runtime.delete(change(config)).ok()

    assert pod.link("bond0") is None
    assert_nothing_is_left(runtime, tmp_path)


@pytest.mark.parametrize(
    "stdin", [b"", b"{", b"[]", b"\xff"], ids=["empty", "cut", "list", "bytes"]
)
def test_del_does_not_need_a_configuration_that_can_be_read(
    runtime: Runtime, config: Config, pod: Pod, tmp_path: Path, stdin: bytes
) -> None:
    runtime.add(config).ok()

    runtime.delete(stdin).ok()

    assert pod.link("bond0") is None
    assert_nothing_is_left(runtime, tmp_path)


def test_del_leaves_a_link_alone_that_took_the_name_of_a_member(
    runtime: Runtime, config: Config, pod: Pod
) -> None:
    runtime.add(config).ok()
    pod.batch("link del d1", "link add d1 address 02:00:00:00:0e:01 up type dummy")
    stranger = pod.link("d1")

    runtime.delete(config).ok()

    assert pod.link("d1") == stranger


LOSSES = {
    "one member": ("link del d1",),
    "both members": ("link del d1", "link del d2"),
    "the bond": ("link del bond0",),
    "everything": ("link del bond0", "link del d1", "link del d2"),
    "the bond's name": ("link set bond0 down", "link set bond0 name other0"),
    "a member's place in the bond": ("link set d1 nomaster",),
}


@pytest.mark.parametrize("lines", LOSSES.values(), ids=LOSSES.keys())
def test_del_succeeds_when_something_is_gone(
    runtime: Runtime, config: Config, pod: Pod, tmp_path: Path, lines: tuple[str, ...]
) -> None:
    runtime.add(config).ok()
    pod.batch(*lines)

    runtime.delete(config).ok()

    kinds = {link.get("linkinfo", {}).get("info_kind") for link in pod.ip("-d -j link")}
    assert "bond" not in kinds
    assert_nothing_is_left(runtime, tmp_path)


def test_del_leaves_a_member_alone_that_is_in_a_bridge_and_reports_it(
    runtime: Runtime, config: Config, pod: Pod, tmp_path: Path
) -> None:
    runtime.add(config).ok()
    pod.batch("link add br0 type bridge", "link set d1 nomaster", "link set d1 mtu 1400 master br0")
    bridged = pod.link("d1")

    runtime.delete({**config, "logFile": str(tmp_path / "log")}).ok()

    assert pod.link("d1") == bridged
    assert "left as it is: d1 is in br0" in (tmp_path / "log").read_text()
    assert_nothing_is_left(runtime, tmp_path)


@pytest.mark.parametrize("given", ["missing", "an empty file", "no path at all"])
def test_del_succeeds_without_the_namespace(
    runtime: Runtime, config: Config, pod: Pod, tmp_path: Path, given: str
) -> None:
    runtime.add(config).ok()
    ip(f"netns del {pod.name}")
    path = tmp_path / "netns"
    if given == "an empty file":
        path.write_text("")

    runtime.delete(config, CNI_NETNS="" if given == "no path at all" else str(path)).ok()

    assert_nothing_is_left(runtime, tmp_path)


def test_del_by_the_record_works_though_the_runtime_gives_no_path(
    runtime: Runtime, config: Config, pod: Pod
) -> None:
    runtime.add(config).ok()

    runtime.delete(config, CNI_NETNS="").ok()

    assert pod.link("bond0") is None


@pytest.mark.kernel_from("5.14", "reuses the number of a namespace and has no cookie of it")
def test_del_leaves_a_namespace_alone_that_took_the_path_of_the_old_one(
    runtime: Runtime, config: Config, pod: Pod, tmp_path: Path
) -> None:
    runtime.add(config).ok()
    ip(f"netns del {pod.name}")
    ip(f"netns add {pod.name}")
    pod.batch("link add bond0 type bond", "link add d1 up type dummy")

    runtime.delete(config).ok()

    assert pod.link("bond0") is not None
    assert pod.the_link("d1").is_up
    assert_nothing_is_left(runtime, tmp_path)


def test_del_without_a_record_deletes_a_bond_as_bond_cni_left_it(
    runtime: Runtime, config: Config, pod: Pod
) -> None:
    pod.batch("link add bond0 type bond", "link set d1 down", "link set d1 master bond0")

    runtime.delete(config).ok()

    assert pod.link("bond0") is None
    assert pod.link("d1") is not None


def test_del_without_a_record_leaves_an_interface_that_is_no_bond(
    runtime: Runtime, pod: Pod
) -> None:
    pod.ip("link add bond0 type dummy")

    runtime.delete(a_config()).ok()

    assert pod.link("bond0") is not None


def test_del_of_another_container_leaves_the_bond_of_the_first(
    runtime: Runtime, config: Config, pod: Pod
) -> None:
    runtime.add(config).ok()
    other = {"CNI_CONTAINERID": "another"}

    reply = runtime.add({**config, "name": "other"}, **other)
    runtime.delete({**config, "name": "other"}, **other).ok()

    assert "[name-taken]" in reply.msg
    assert pod.bond() is not None


def test_del_with_a_damaged_record_keeps_it_aside_and_deletes_the_bond(
    runtime: Runtime, config: Config, pod: Pod
) -> None:
    runtime.add(config).ok()
    (record,) = runtime.host.records.glob("*.json")
    record.write_bytes(record.read_bytes()[:100])

    runtime.delete(config).ok()

    assert pod.link("bond0") is None
    assert [one.suffix for one in runtime.host.records.iterdir()] == [".damaged"]


def test_del_keeps_a_newer_versions_record_for_it_and_deletes_the_bond(
    runtime: Runtime, config: Config, pod: Pod, tmp_path: Path
) -> None:
    runtime.add(config).ok()
    (record,) = runtime.host.records.glob("*.json")
    content = json.dumps({**json.loads(record.read_text()), "format": 2})
    record.write_text(content)

    runtime.delete(config).ok()

    assert pod.link("bond0") is None
    assert ipams.leases(tmp_path) == []
    (kept,) = runtime.host.records.iterdir()
    assert (kept.suffix, kept.read_text()) == (".newer", content)


def test_del_after_a_reboot_releases_ipam_and_touches_no_link(
    runtime: Runtime, config: Config, pod: Pod, tmp_path: Path
) -> None:
    runtime.add(config).ok()
    (record,) = runtime.host.records.glob("*.json")
    record.write_text(json.dumps({**json.loads(record.read_text()), "boot_id": "an earlier one"}))

    runtime.delete(config).ok()

    assert len(pod.the_bond().members) == 2
    assert_nothing_is_left(runtime, tmp_path)


@pytest.mark.parametrize("trouble", ["fails", "is missing"])
def test_del_reports_ipam_after_its_own_work_and_ends_it_when_ipam_is_back(
    runtime: Runtime, config: Config, pod: Pod, tmp_path: Path, trouble: str
) -> None:
    runtime.add(config).ok()
    body = """echo '{"code": 42, "msg": "the database is away"}'; exit 1"""
    name = "host-local" if trouble == "fails" else "another"
    path = ipams.scripted(tmp_path, body, name)

    reply = runtime.delete(config, CNI_PATH=path)

    assert reply.code == (42 if trouble == "fails" else 5)
    assert pod.link("bond0") is None
    assert len(ipams.leases(tmp_path)) == 2
    runtime.delete(config).ok()
    assert_nothing_is_left(runtime, tmp_path)


def test_del_without_a_record_runs_ipam_too(
    runtime: Runtime, config: Config, tmp_path: Path
) -> None:
    runtime.add(config).ok()
    (record,) = runtime.host.records.glob("*.json")
    record.unlink()

    runtime.delete(config).ok()

    assert_nothing_is_left(runtime, tmp_path)


def test_add_first_releases_an_earlier_one_without_a_del(
    runtime: Runtime, config: Config, pod: Pod, tmp_path: Path
) -> None:
    runtime.add(config).ok()

    runtime.add({**config, "mode": "balance-rr"}).ok()

    assert pod.the_bond().settings["mode"] == "balance-rr"
    assert len(ipams.leases(tmp_path)) == 2


def test_add_releases_an_earlier_one_whose_bond_is_gone(
    runtime: Runtime, config: Config, pod: Pod, tmp_path: Path
) -> None:
    runtime.add(config).ok()
    pod.ip("link del bond0")

    runtime.add(config).ok()

    assert len(pod.the_bond().members) == 2
    assert len(ipams.leases(tmp_path)) == 2


def test_call_that_waits_too_long_for_the_attachment_must_be_retried(
    runtime: Runtime, config: Config
) -> None:
    hasty = replace(runtime, host=replace(runtime.host, lock_timeout_s=0.1))

    with records.locked(runtime.host, runtime.pod.key(runtime.ifname)):
        reply = hasty.delete(config)

    assert reply.code == 11


def test_del_never_touches_the_hosts_own_namespace(runtime: Runtime) -> None:
    ip("link add bond0 type bond")
    try:
        runtime.delete(a_config(), CNI_NETNS="/proc/self/ns/net").ok()

        with netns.own() as home:
            assert links.find(home.netlink, "bond0") is not None
    finally:
        ip("link del bond0")


@pytest.mark.vf
def test_vfs_come_home_when_their_pod_is_gone_and_del_succeeds(
    runtime: Runtime, vf_pod: Pod, tmp_path: Path
) -> None:
    runtime.add(a_config(ipam=ipams.host_local(tmp_path))).ok()

    ip(f"netns del {vf_pod.name}")
    runtime.delete(a_config()).ok()

    assert_nothing_is_left(runtime, tmp_path)


@pytest.mark.vf
def test_del_succeeds_when_a_vf_was_unbound_from_its_driver(
    runtime: Runtime, vfs: rigs.Layout, vf_pod: Pod
) -> None:
    runtime.add(a_config()).ok()
    pci = vfs.pfs[0].vfs[0].pci
    Path(f"/sys/bus/pci/devices/{pci}/driver/unbind").write_text(pci)

    runtime.delete(a_config()).ok()

    assert vf_pod.link("bond0") is None
    assert not vf_pod.the_link("net2").is_up


@pytest.mark.vf
def test_del_succeeds_when_a_vf_has_left_the_pod(runtime: Runtime, vf_pod: Pod) -> None:
    runtime.add(a_config()).ok()
    with a_pod("thief") as thief:
        vf_pod.ip(f"link set net1 netns {thief.name}")

        runtime.delete(a_config()).ok()

        assert thief.link("net1") is not None
    assert vf_pod.link("bond0") is None


def test_del_by_another_path_of_the_same_namespace_undoes_the_attachment(
    runtime: Runtime, config: Config, pod: Pod, tmp_path: Path
) -> None:
    old = tmp_path / "ns"
    old.symlink_to(pod.path)
    runtime.add(config, CNI_NETNS=str(old)).ok()
    old.unlink()

    runtime.delete(config).ok()

    assert pod.link("bond0") is None
    assert_nothing_is_left(runtime, tmp_path)


def test_log_that_cannot_be_written_fails_neither_add_nor_del(
    runtime: Runtime, config: Config, pod: Pod
) -> None:
    full = {**config, "logFile": "/dev/full"}

    runtime.add(full).ok()
    runtime.delete(full).ok()

    assert pod.link("bond0") is None
