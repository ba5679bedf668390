import json
import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3.connection
from urllib3.util.ssl_ import create_urllib3_context

from deviceinfo import Ask, PodRef
from deviceinfo.plainfile import UnreadableError
from sriovbond import cluster
from sriovbond.cluster import client
from sriovbond.cluster import kubeconfig as kubeconfigs
from sriovbond.host import Host
from tests.support import cluster_api


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    file = tmp_path / "sriovbond.kubeconfig"
    file.write_text("kind: Config")
    file.chmod(0o600)
    return file


def read_kubeconfig(file: Path) -> bytes:
    return kubeconfigs.read(Host(kubeconfig=file))


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A pod with a service account, and no kubeconfig."""
    for name in ("token", "ca.crt"):
        (tmp_path / name).write_text("")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "192.0.2.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    return Host(kubeconfig=tmp_path / "none", service_account=tmp_path)


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o644])
def test_a_file_that_only_its_owner_can_write_is_read(kubeconfig: Path, mode: int) -> None:
    kubeconfig.chmod(mode)

    assert read_kubeconfig(kubeconfig) == b"kind: Config"


@pytest.mark.parametrize("place", ["missing", "missing/missing", "sriovbond.kubeconfig/missing"])
def test_a_missing_file_is_distinguished(kubeconfig: Path, place: str) -> None:
    with pytest.raises(FileNotFoundError):
        read_kubeconfig(kubeconfig.parent / place)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
@pytest.mark.parametrize("which", ["file", "folder"])
def test_a_kubeconfig_that_others_can_write_is_not_read(
    kubeconfig: Path, which: str, mode: int
) -> None:
    target = kubeconfig if which == "file" else kubeconfig.parent
    target.chmod(mode | 0o100)

    with pytest.raises(UnreadableError, match=r"can be written by others \(mode 07[0-9]+\); chmod"):
        read_kubeconfig(kubeconfig)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("which", ["file", "folder"])
def test_root_reads_no_file_of_another_user(kubeconfig: Path, which: str) -> None:
    os.chown(kubeconfig if which == "file" else kubeconfig.parent, 65534, -1)

    with pytest.raises(UnreadableError, match="belongs to user 65534; chown it to root"):
        read_kubeconfig(kubeconfig)


def test_a_link_is_not_followed(kubeconfig: Path) -> None:
    link = kubeconfig.with_name("link")
    link.symlink_to(kubeconfig)

    with pytest.raises(UnreadableError, match="a link is not followed"):
        read_kubeconfig(link)


def test_a_fifo_or_a_folder_is_reported_at_once(kubeconfig: Path) -> None:
    kubeconfig.unlink()
    os.mkfifo(kubeconfig, 0o600)

    with pytest.raises(UnreadableError, match="not a plain file"):
        read_kubeconfig(kubeconfig)

    kubeconfig.unlink()
    kubeconfig.mkdir(0o700)
    with pytest.raises(UnreadableError, match="not a plain file"):
        read_kubeconfig(kubeconfig)


def test_a_file_is_read_up_to_a_mebibyte(kubeconfig: Path) -> None:
    kubeconfig.write_bytes(b"x" * (1 << 20))
    assert len(read_kubeconfig(kubeconfig)) == 1 << 20

    kubeconfig.write_bytes(b"x" * ((1 << 20) + 1))
    with pytest.raises(UnreadableError, match="larger than 1048576 bytes"):
        read_kubeconfig(kubeconfig)


@pytest.mark.parametrize(
    ("address", "server"),
    [("192.0.2.1", "https://192.0.2.1:443"), ("2001:db8::1", "https://[2001:db8::1]:443")],
)
def test_without_a_kubeconfig_a_service_account_is_one(
    account: Host, monkeypatch: pytest.MonkeyPatch, address: str, server: str
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", address)

    made = json.loads(kubeconfigs.read(account))

    assert made["clusters"][0]["cluster"] == {
        "server": server,
        "certificate-authority": f"{account.service_account}/ca.crt",
    }
    assert made["users"][0]["user"] == {"tokenFile": f"{account.service_account}/token"}


def test_a_kubeconfig_goes_before_a_service_account(account: Host, kubeconfig: Path) -> None:
    account = Host(kubeconfig=kubeconfig, service_account=account.service_account)

    assert kubeconfigs.read(account) == b"kind: Config"
    assert kubeconfigs.describe_access(account) == str(kubeconfig)


def test_the_plugin_and_an_agent_without_the_setting_have_no_service_account(
    account: Host, tmp_path: Path
) -> None:
    assert Host().service_account is None
    assert cluster.asks(Host(kubeconfig=tmp_path / "none")) == ()
    assert len(cluster.asks(account)) == 1


@pytest.mark.parametrize(
    ("lacking", "words"),
    [("token", "it has no token"), ("ca.crt", "it has no ca.crt"), ("", "is not set")],
)
def test_a_service_account_that_is_not_whole_is_reported(
    account: Host, monkeypatch: pytest.MonkeyPatch, lacking: str, words: str
) -> None:
    if lacking and account.service_account:
        (account.service_account / lacking).unlink()
    else:
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST")

    [ask] = cluster.asks(account)
    [problem] = ask(PodRef("default", "nf1")).problems

    assert problem.startswith(f"cannot use the service account {account.service_account}: ")
    assert words in problem


@pytest.fixture
def ask(account: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ask]:
    """Query an API server by the service account, over TLS."""
    with cluster_api.served(tmp_path) as api:
        api.add_pod(cluster_api.recorded_pod())
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(api.port))
        [asked] = cluster.asks(account)
        yield asked


def test_a_service_account_asks_over_tls_with_the_token_of_the_moment(
    ask: Ask, tmp_path: Path
) -> None:
    told = ask(PodRef("default", "nf1"))
    (tmp_path / "token").write_text("another")
    refused = ask(PodRef("default", "nf1"))

    assert told.networks[0].network == "default/sriov-a"
    assert "401: the token or certificate is not accepted" in refused.problems[0]


def test_an_authority_that_only_python_313_refuses_is_taken(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (client, urllib3.connection):
        # the tests' own Python may be an older one, which is less strict
        monkeypatch.setattr(module, "create_urllib3_context", as_of_python_313)

    told = ask(PodRef("default", "nf1"))

    assert told.networks[0].network == "default/sriov-a", told.problems


def as_of_python_313(**given: Any) -> ssl.SSLContext:  # noqa: ANN401 - urllib3's
    context = create_urllib3_context(**given)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def test_a_folder_that_cannot_be_entered_is_no_kubeconfig_and_no_fault(
    kubeconfig: Path, tmp_path: Path
) -> None:
    tmp_path.chmod(0)
    user = os.geteuid()
    os.seteuid(user or 65534)  # root may enter every folder
    try:
        asks = cluster.asks(Host(kubeconfig=kubeconfig))
    finally:
        os.seteuid(user)
        tmp_path.chmod(0o700)

    assert asks == ()
