"""What the node is made of; the node itself runs in `make test-node`."""

import gzip
import hashlib
import io
import json
import shlex
import shutil
import subprocess
import tarfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.node import credentials, device_plugin, images, machine, objects, processes, store
from tests.node.device_plugin import DevicePlugin
from tests.support import device_plugins
from tests.support.agents import wait_for
from tests.support.children import children


def read(archive: Path, path: str) -> bytes:
    with tarfile.open(archive) as tar:
        stream = tar.extractfile(path)
        assert stream
        return stream.read()


def blob(archive: Path, descriptor: dict[str, Any]) -> bytes:
    algorithm, _, digest = descriptor["digest"].partition(":")
    content = read(archive, f"blobs/{algorithm}/{digest}")
    assert hashlib.sha256(content).hexdigest() == digest
    assert len(content) == descriptor["size"]
    return content


def manifest_of(archive: Path) -> dict[str, Any]:
    (named,) = json.loads(read(archive, "index.json"))["manifests"]
    manifest: dict[str, Any] = json.loads(blob(archive, named))
    return manifest


@pytest.fixture
def image(tmp_path: Path) -> Path:
    program = tmp_path / "program"
    program.write_bytes(b"#!/bin/sh\n")
    images.of_programs(tmp_path / "image.tar", "localhost/it:1", {"/bin/it": program})
    return tmp_path / "image.tar"


def test_an_image_of_programs_has_them_where_they_are_named(image: Path) -> None:
    manifest = manifest_of(image)

    config = json.loads(blob(image, manifest["config"]))
    (layer,) = manifest["layers"]
    assert config["rootfs"]["diff_ids"] == [layer["digest"]]
    assert config["config"]["Entrypoint"] == ["/bin/it"]
    assert b"#!/bin/sh" in blob(image, layer)


def test_an_image_without_compression_is_the_same_image(image: Path, tmp_path: Path) -> None:
    manifest = manifest_of(image)
    layer = blob(image, manifest["layers"][0])
    packed = images.Archive(tmp_path / "packed.tar")
    gzipped = packed.add("application/vnd.oci.image.layer.v1.tar+gzip", gzip.compress(layer))
    packed.finish("it", json.loads(blob(image, manifest["config"])), [gzipped])

    images.uncompressed(tmp_path / "packed.tar", tmp_path / "plain.tar", "localhost/it:1")

    assert manifest_of(tmp_path / "plain.tar") == manifest


def test_a_further_layer_replaces_and_deletes_files(image: Path, tmp_path: Path) -> None:
    path, content = images.find(image, "/it$")

    images.uncompressed(image, tmp_path / "later.tar", "localhost/it:2", {path: b"2", "a/b": None})

    manifest = manifest_of(tmp_path / "later.tar")
    config = json.loads(blob(tmp_path / "later.tar", manifest["config"]))
    with tarfile.open(
        fileobj=io.BytesIO(blob(tmp_path / "later.tar", manifest["layers"][1]))
    ) as tar:
        names = tar.getnames()
    assert content == b"#!/bin/sh\n"
    assert manifest["layers"][0] == manifest_of(image)["layers"][0]
    assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]]
    assert names == ["bin/it", "a/.wh.b"]


def test_certificates_pass_strict_verification_and_secrets_are_the_owners(tmp_path: Path) -> None:
    credentials.make(tmp_path, "127.0.0.1", 6443)

    verify = ("openssl", "verify", "-x509_strict", "-CAfile", "ca.crt", "server.crt")
    subprocess.run(verify, cwd=tmp_path, check=True)
    server = json.loads((tmp_path / "node.kubeconfig").read_text())["clusters"][0]["cluster"]
    assert server["server"] == "https://10.96.0.1"
    secret = [*tmp_path.glob("*.key"), *tmp_path.glob("*.kubeconfig"), tmp_path / "tokens.csv"]
    assert {file.stat().st_mode & 0o777 for file in secret} == {0o600}


def test_the_vm_reaches_the_api_server_and_nothing_else(tmp_path: Path) -> None:
    options = shlex.split(machine.qemu_options(40000, tmp_path / "disk"))

    (user,) = (option for option in options if option.startswith("user,"))
    assert ",restrict=on," in user
    assert user.endswith("nc 127.0.0.1 40000")
    assert "hostfwd" not in user


MULTUS = """
kind: DaemonSet
spec: {template: {spec: {
  initContainers: [],
  containers: [{image: a, resources: {limits: {cpu: 100m, memory: 50Mi}}}]}}}
"""


def test_multus_keeps_its_memory_limit_and_an_emulated_cpu_is_counted(tmp_path: Path) -> None:
    manifest = tmp_path / "multus.yml"
    manifest.write_text(MULTUS)

    (daemon_set,) = objects.multus(manifest, is_emulated=True)

    (container,) = daemon_set["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"] == {"cpu": "2000m", "memory": "50Mi"}


@pytest.mark.slow
def test_the_device_plugin_registers_with_each_kubelet_and_allocates(tmp_path: Path) -> None:
    kubelet, device_info = tmp_path / "kubelet", tmp_path / "dp"
    plugin = DevicePlugin({"pf0": ("0000:01:10.0", "0000:01:10.2")}, kubelet, device_info)
    seen = []
    try:
        for _ in range(2):
            with device_plugins.registering(kubelet) as registry:
                wait_for(partial(registry.endpoints.get, "example.com/pf0"))
                endpoint = registry.endpoints["example.com/pf0"]
                seen.append(endpoint.allocate(*endpoint.devices[:1]))
            shutil.rmtree(kubelet)
    finally:
        plugin.close()

    for allocation in seen:
        assert allocation.environment == {"PCIDEVICE_EXAMPLE_COM_PF0": "0000:01:10.0"}
    assert plugin.resources[0].allocated == ["0000:01:10.0"] * 2
    assert sorted(file.name for file in device_info.iterdir()) == [
        "example.com-pf0-0000:01:10.0-device.json",
        "example.com-pf0-0000:01:10.2-device.json",
    ]


def test_a_socket_that_got_the_last_ones_inode_is_another(tmp_path: Path) -> None:
    socket = tmp_path / "kubelet.sock"
    seen = set()
    for _ in range(5):
        socket.touch()
        seen.add(device_plugin.made(socket))
        socket.unlink()
        time.sleep(0.02)  # the kernel's clock of files ticks

    assert len(seen) == 5
    assert device_plugin.made(socket) is None


def test_a_program_that_ends_early_is_named_with_its_last_words(tmp_path: Path) -> None:
    program = processes.start(["sh", "-c", "echo my last words; exit 3"], tmp_path / "log")

    with pytest.raises(processes.FailedError, match=r"(?s)sh has ended.*my last words"):
        processes.await_true("it answers", lambda: False, 30, program)


def test_a_killed_program_leaves_no_process(tmp_path: Path) -> None:
    program = processes.start(["sleep", "1000"], tmp_path / "log")
    pid = program.process.pid
    processes.await_true("it has started", lambda: bool(children(pid)), 30, program)
    (child,) = children(pid)

    program.kill()

    deadline = time.monotonic() + 10
    while Path(f"/proc/{child}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_failed_import_is_an_error_with_its_words_and_ends_containerd(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    written = {
        "unshare": 'shift 2; exec "$@"',  # which needs root
        "containerd": "exec sleep 1000",
        "ctr": '[ "$3" != images ] || { echo no such layer >&2; exit 1; }',
    }
    for name, script in written.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(store, "_IMPORTS_S", 20.0)  # fails sooner where the end is not noticed

    with pytest.raises(processes.FailedError, match="no such layer"):
        store.make_disk(tmp_path, [tmp_path / "image.tar"], tmp_path / "disk")
