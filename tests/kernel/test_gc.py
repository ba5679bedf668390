"""GC: attachments that are no longer valid are released, and nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import ipams
from tests.support.calls import Reply, Runtime, a_config
from tests.support.pods import Pod

Config = dict[str, object]


@pytest.fixture
def two(runtime: Runtime, pod: Pod, tmp_path: Path) -> tuple[Runtime, Runtime]:
    """Two attachments of one pod to one network, bond0 and bond1, each over two dummies."""
    pod.batch(*(f"link add d{number} type dummy" for number in (1, 2, 3, 4)))
    first, second = runtime, replace(runtime, ifname="bond1")
    first.add(over(tmp_path, "d1", "d2")).ok()
    second.add(over(tmp_path, "d3", "d4")).ok()
    return first, second


def over(folder: Path, *names: str) -> Config:
    return a_config(
        links=[{"name": name} for name in names], ipam={**ipams.host_local(folder), "routes": []}
    )


def collect(runtime: Runtime, config: Config, *valid: Runtime, key: str = "valid-") -> Reply:
    listed = [{"containerID": one.pod.container_id, "ifname": one.ifname} for one in valid]
    return runtime.call("GC", {**config, f"cni.dev/{key}attachments": listed})


@pytest.mark.parametrize("key", ["valid-", ""], ids=["valid-attachments", "attachments"])
def test_gc_releases_the_stale_attachment_and_leaves_the_valid_one(
    two: tuple[Runtime, Runtime], pod: Pod, tmp_path: Path, key: str
) -> None:
    first, second = two

    collect(first, over(tmp_path), second, key=key).ok()

    assert pod.link("bond0") is None
    assert pod.bond("bond1") is not None
    assert [one.stem for one in first.host.records.glob("*.json")] == [f"{pod.container_id}@bond1"]
    assert len(ipams.leases(tmp_path)) == 2  # host-local has no GC: we ran its DEL


def test_gc_leaves_other_networks_alone(
    two: tuple[Runtime, Runtime], pod: Pod, tmp_path: Path
) -> None:
    collect(two[0], {**over(tmp_path), "name": "another"}).ok()

    assert pod.bond("bond0") is not None
    assert pod.bond("bond1") is not None


@pytest.mark.parametrize(
    "given",
    [{}, {"cni.dev/valid-attachments": {}}, {"cni.dev/attachments": 7}],
)
def test_gc_without_valid_attachments_fails_and_removes_nothing(
    two: tuple[Runtime, Runtime], pod: Pod, tmp_path: Path, given: Config
) -> None:
    reply = two[0].call("GC", {**over(tmp_path), **given})

    assert reply.code == 7
    assert "nothing was removed" in reply.msg
    assert pod.bond("bond0") is not None
    assert len(ipams.leases(tmp_path)) == 4


def test_gc_goes_on_past_a_record_that_cannot_be_read(
    two: tuple[Runtime, Runtime], pod: Pod, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    damaged = two[0].host.records / "c9@bond9.json"
    damaged.write_text("{")

    collect(two[0], over(tmp_path)).ok()

    assert pod.link("bond0") is None
    assert pod.link("bond1") is None
    assert str(damaged) in capfd.readouterr().err


def test_gc_reports_ipam_errors_after_its_own_work(
    two: tuple[Runtime, Runtime], pod: Pod, tmp_path: Path
) -> None:
    path = ipams.scripted(tmp_path, """echo '{"code": 77, "msg": "no gc today"}'; exit 1""")
    config = {**over(tmp_path), "ipam": {"type": "scripted-ipam"}}

    reply = two[0].call("GC", {**config, "cni.dev/valid-attachments": []}, CNI_PATH=path)

    assert reply.code == 77
    assert "no gc today" in reply.msg
    assert pod.link("bond0") is None


def test_gc_is_forwarded_to_ipam_with_the_same_input(runtime: Runtime, tmp_path: Path) -> None:
    path = ipams.scripted(tmp_path, f"cat > {tmp_path}/stdin; echo $CNI_COMMAND > {tmp_path}/verb")
    config = a_config(ipam={"type": "scripted-ipam"})

    runtime.call("GC", {**config, "cni.dev/valid-attachments": []}, CNI_PATH=path).ok()

    assert (tmp_path / "verb").read_text() == "GC\n"
    assert "cni.dev/valid-attachments" in (tmp_path / "stdin").read_text()


def test_gc_of_a_node_that_never_had_an_attachment_succeeds(runtime: Runtime) -> None:
    collect(runtime, a_config()).ok()

    assert not runtime.host.records.exists()
