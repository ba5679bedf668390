"""What is on disk of a client is read as it was written, or refused by name."""

import fcntl
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from sriovbond.dhcp import files
from sriovbond.dhcp.files import ClientFiles, ClientStatus, LinkBefore
from sriovbond.dhcp.lease import read
from sriovbond.dhcp.packet import DhcpMessage, MessageKind
from sriovbond.dhcp.wish import DhcpWish
from sriovbond.errors import MachineError
from sriovbond.host import Host
from tests.support.dhcp_packets import MAC, a_moment, a_reply

LEASE = read(
    a_reply(
        DhcpMessage(1, MAC),
        MessageKind.ACK,
        routes=bytes([8, 10, 192, 0, 2, 7]),
        servers=bytes([192, 0, 2, 53]),
    ),
    a_moment(7.5),
)
CLIENT = ClientFiles(
    "bond0.7",
    DhcpWish("01aa", auto_dns=False, auto_route_metric=5),
    LEASE,
    LinkBefore(7, 1500, is_promoting=False, leased_mtu=1400),
)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(state=tmp_path / "state", run=tmp_path / "run")


def test_a_client_is_read_as_it_was_written(host: Host) -> None:
    files.write(host, CLIENT)
    files.write_status(host, "bond0.7", ClientStatus("bound", sent=3))

    assert files.read_all(host) == (CLIENT,)
    assert files.read_status(host, "bond0.7") == ClientStatus("bound", sent=3)
    files.remove(host, "bond0.7")
    assert files.read_all(host) == ()
    assert files.read_status(host, "bond0.7") is None


def test_a_client_whose_wish_is_half_written_is_not_listed(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    half: list[tuple[str, ...]] = []
    # looks when a file is written and not on the disk: what a killed process leaves
    monkeypatch.setattr(os, "fsync", lambda _: half.append(files.names(host)))

    files.write(host, ClientFiles("bond0.7", CLIENT.wish))

    assert half[0] == ()
    assert files.names(host) == ("bond0.7",)


def test_a_client_without_a_lease_has_none_of_before(host: Host) -> None:
    files.write(host, CLIENT)

    files.write(host, ClientFiles("bond0.7", CLIENT.wish))

    assert files.read(host, "bond0.7") == ClientFiles("bond0.7", CLIENT.wish)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", '{"client_id": 7}', '{"client_id": "01", "auto_dns": "no"}', "{}", "[" * 5000],
)
def test_a_wish_that_is_none_is_named(host: Host, content: str) -> None:
    files.write(host, CLIENT)
    (files.folder(host) / "bond0.7.wish").write_text(content)

    with pytest.raises(MachineError, match=r"cannot read .*bond0\.7\.wish"):
        files.read(host, "bond0.7")


def test_a_malformed_wish_hinders_no_other_interface(host: Host) -> None:
    other = replace(CLIENT, name="eth9")
    files.write(host, CLIENT)
    files.write(host, other)
    (files.folder(host) / "bond0.7.wish").write_text("{")

    assert files.read_all(host) == (other,)


def test_a_malformed_lease_counts_as_missing(host: Host) -> None:
    files.write(host, CLIENT)
    (files.folder(host) / "bond0.7.lease").write_text('{"address": "192.0.2.1"}')

    assert files.read(host, "bond0.7") == replace(CLIENT, lease=None)


def test_a_lock_says_whether_a_client_runs(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_LOCK_S", 0.1)  # 5 s are long for a test
    with files.running(host, "bond0"):
        assert files.is_running(host, "bond0")
        with (
            pytest.raises(MachineError, match="another client of ours does"),
            files.running(host, "bond0"),
        ):
            pass

    assert not files.is_running(host, "bond0")
    assert not files.is_running(host, "eth1")


def test_a_client_starts_though_its_lock_is_looked_at(host: Host) -> None:
    with files.running(host, "bond0"):
        pass
    with files.lock_path(host, "bond0").open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        threading.Timer(0.2, lambda: fcntl.flock(looking, fcntl.LOCK_UN)).start()

        with files.running(host, "bond0"):
            assert files.is_running(host, "bond0")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "a%b", "x" * 16])
def test_a_name_that_is_no_files_is_none_of_a_client(name: str) -> None:
    assert not files.is_possible(name)
