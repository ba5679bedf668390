"""Which API servers a node's kubeconfigs name."""

from pathlib import Path

import pytest

from sriovbond.host import Host
from sriovbond.survey import apiserver
from sriovbond.survey.apiserver import ApiServer

CONFIG = "clusters: [{name: a, cluster: {server: '%s'}}]"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    (tmp_path / "etc/kubernetes").mkdir(parents=True, mode=0o755)
    (tmp_path / "var/lib/kubelet").mkdir(parents=True, mode=0o755)
    return Host(root=tmp_path, kubeconfig=tmp_path / "ours")


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ("https://192.0.2.6:6443", (ApiServer("192.0.2.6", 6443),)),
        ("https://api.example.org", (ApiServer("api.example.org", 443),)),
        ("https://[2001:db8::6]:6443/path", (ApiServer("2001:db8::6", 6443),)),
        ("https://127.0.0.1:6443", ()),
        ("https://localhost:6443", ()),
        ("https://192.0.2.6:99999", ()),
        ("", ()),
    ],
)
def test_the_server_of_a_kubeconfig_is_found_unless_it_is_the_node_itself(
    host: Host, server: str, expected: tuple[ApiServer, ...]
) -> None:
    (host.root / "etc/kubernetes/kubelet.conf").write_text(CONFIG % server)

    assert apiserver.find(host) == expected


def test_each_is_there_once_and_a_file_that_others_can_write_is_not_read(host: Host) -> None:
    (host.root / "etc/kubernetes/kubelet.conf").write_text(CONFIG % "https://192.0.2.6:6443")
    host.kubeconfig.write_text(CONFIG % "https://192.0.2.6:6443")
    other = host.root / "var/lib/kubelet/kubeconfig"
    other.write_text(CONFIG % "https://192.0.2.7:6443")
    other.chmod(0o666)

    assert apiserver.find(host) == (ApiServer("192.0.2.6", 6443),)


@pytest.mark.parametrize(
    "text",
    [
        *("", "[", "clusters: 5", "clusters: [{cluster: x}]", "- a"),
        *("kind: Config", "clusters: [{name: a}]", "clusters: [{cluster: {}}]", "- " * 20_000),
        "1:" * 200 + "1.5",  # OverflowError
    ],
    ids=range(10),
)
def test_a_file_without_a_server_names_none(host: Host, text: str) -> None:
    host.kubeconfig.write_text(text)

    assert apiserver.find(host) == ()
