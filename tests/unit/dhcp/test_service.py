"""The unit of a client has few privileges, and the paths that the client needs."""

import sys
from pathlib import Path

from sriovbond.dhcp import service
from sriovbond.host import Host


def test_a_unit_has_its_command_and_its_few_privileges() -> None:
    host = Host(state=Path("/var/lib/100% x"))

    lines = service.text(host).splitlines()

    assert (
        f'ExecStart={sys.executable} -m sriovbond.dhcp --state "/var/lib/100%% x" --root / '
        "--run /run/sriovbond -- %i"
    ) in lines
    assert "CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BIND_SERVICE" in lines
    assert 'ReadWritePaths="/var/lib/100%% x" /etc /run/sriovbond' in lines
    assert {"Restart=always", "CPUQuota=50%"} <= {*lines}


def test_a_client_that_does_not_run_is_stopped_already(tmp_path: Path) -> None:
    host = Host(root=tmp_path, state=tmp_path / "state", run=tmp_path / "run")

    service.stop(host, "eth1")
    service.uninstall(host)

    assert list(tmp_path.iterdir()) == []
