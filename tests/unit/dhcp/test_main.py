"""A client that no other start would help says so by its status, which the unit heeds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sriovbond.dhcp import files, service
from sriovbond.dhcp.files import ClientFiles
from sriovbond.dhcp.wish import DhcpWish
from sriovbond.host import Host


def run(host: Host, name: str) -> subprocess.CompletedProcess[str]:
    places = ["--state", str(host.state), "--root", str(host.root), "--run", str(host.run)]
    command = [sys.executable, "-m", "sriovbond.dhcp", *places, "--", name]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("eth1", "", "cannot run DHCP on eth1: no document asks for it"),
        ("-eth1", "", "cannot run DHCP on -eth1: no document asks for it"),
        ("eth1", "{", "eth1.wish"),
    ],
)
def test_a_client_without_a_wish_is_not_started_again(
    tmp_path: Path, name: str, content: str, said: str
) -> None:
    host = Host(root=tmp_path, state=tmp_path / "state", run=tmp_path / "run")
    if content:
        files.write(host, ClientFiles(name, DhcpWish("01aa")))
        (files.folder(host) / f"{name}.wish").write_text(content)

    ended = run(host, name)

    assert (ended.returncode, said in ended.stderr) == (os.EX_CONFIG, True), ended.stderr
    assert f"RestartPreventExitStatus={os.EX_CONFIG} 2" in service.text(host).splitlines()
