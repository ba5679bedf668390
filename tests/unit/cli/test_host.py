"""`sriovbond host` answers by text and status, and faults have file, line and column."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sriovbond.cli import sriovbond
from tests.docs_tables import CHECKOUT

STATE = "interfaces:\n- {name: eth1, type: ethernet, state: up, mtu: 1500}\n"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    path = tmp_path / "state.yml"
    path.write_text(STATE, encoding="utf-8")
    return path


def _run(command: str, state: Path, document: str) -> Result:
    arguments = ["host", command, "-", "--state", str(state)]
    return CliRunner().invoke(sriovbond, arguments, input=document)


def test_a_plan_that_would_change_something_ends_with_1(state: Path) -> None:
    result = _run("plan", state, "interfaces: [{name: eth1, mtu: 9000}]")

    assert result.stdout == "1. eth1: set mtu 9000, now 1500\n"
    assert result.exit_code == 1


def test_a_plan_with_nothing_to_do_ends_with_0(state: Path) -> None:
    result = _run("plan", state, STATE)

    assert result.stdout == "nothing to do\n"
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        (
            "interfaces:\n- {name: eth1, mtu: x}",
            "standard input: line 2, column 21: interfaces[0].mt",
        ),
        (
            "interfaces:\n- {name: eth9, type: ethernet}",
            "standard input: line 2, column 3: eth9: it",
        ),
        ("hostname: {running: ''}", "standard input: line 1, column 21: hostname.running: the na"),
        (
            "dns-resolver: {config: {options: [rotate, rotat]}}",
            "line 1, column 43: 'rotat' is unknown: one of debug, edns0",
        ),
        (
            "interfaces: [{name: eth1, ipv6: {enabled: 1, autoconf: 1, auto-route-table-id: 9}}]",
            "standard input: line 1, column 14: eth1: auto-route-table-id is for DHCP",
        ),
        ("interfaces: [{name: eth1, mtu: 0}]", "line 1, column 32: an MTU of 0 is none"),
        (
            "interfaces: [{name: eth1, mac-address: '01:00:5e:00:00:01'}]",
            "01:00:5E:00:00:01 is the address of no interface",
        ),
        (
            "interfaces: [{name: eth1, ipv4: {address: [{ip: 0.0.0.0, prefix-length: 8}]}}]",
            "0.0.0.0 is the address of no host",
        ),
        ("dns-resolver: {config: {search: [a b]}}", "a domain such as example.com is expected"),
        ("ovn: {}", "standard input: line 1, column 1: 'ovn' is not supported"),
    ],
)
def test_an_impossible_document_ends_with_2_and_its_place(
    state: Path, document: str, fault: str
) -> None:
    result = _run("plan", state, document)

    assert fault in result.stderr
    assert result.exit_code == 2


def test_a_plan_begins_with_its_warnings(state: Path) -> None:
    address = "ipv4: {enabled: true, address: [{ip: 192.0.2.0, prefix-length: 24}]}"

    result = _run("plan", state, f"interfaces: [{{name: eth1, {address}}}]")

    first, *steps = result.stdout.splitlines()
    assert first == "warning: eth1: 192.0.2.0/24 is the network's own address"
    assert len(steps) == 1


def test_a_difference_and_the_way_back_are_documents(state: Path) -> None:
    document = "interfaces: [{name: eth1, mtu: 9000}, {name: d0, type: dummy}]"
    head = "interfaces:\n- name: eth1\n  type: ethernet\n  state: up\n"

    assert _run("diff", state, document).stdout == f"{head}  mtu: 9000\n- name: d0\n  type: dummy\n"
    assert _run("revert", state, document).stdout == (
        f"{head}  mtu: 1500\n- name: d0\n  type: dummy\n  state: absent\n"
    )


def test_the_page_shows_a_plan_as_it_is_printed(tmp_path: Path) -> None:
    page = (CHECKOUT / "docs" / "host.md").read_text(encoding="utf-8")
    state, bond, printed, *_ = re.findall(r"```(?:yaml|text)\n(.*?)```", page, re.DOTALL)
    path = tmp_path / "state.yml"
    path.write_text(state, encoding="utf-8")

    assert _run("plan", path, bond).stdout == printed
    assert "state: absent" in _run("revert", path, bond).stdout


def test_the_pages_bridge_is_made_over_its_bond(tmp_path: Path) -> None:
    page = (CHECKOUT / "docs" / "host.md").read_text(encoding="utf-8")
    document = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)[-1]
    nics = "interfaces: [{name: enp7s0, type: ethernet}, {name: enp8s0, type: ethernet}]"
    path = tmp_path / "state.yml"
    path.write_text(nics, encoding="utf-8")

    result = _run("plan", path, document)

    assert "br0: add port bond0\n" in result.stdout
    assert result.exit_code == 1


def test_a_file_that_is_no_text_ends_with_2(state: Path, tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")

    result = CliRunner().invoke(sriovbond, ["host", "plan", str(binary), "--state", str(state)])

    assert "it is not UTF-8" in result.stderr
    assert result.exit_code == 2


def test_no_document_steers_the_terminal_or_makes_lines_of_its_own(state: Path) -> None:
    text = r'"\e[31m\n2. remove it"'

    plan = _run("plan", state, f"interfaces: [{{name: eth1, description: {text}}}]")
    fault = _run("plan", state, f"interfaces: [{{name: eth1, {text}: 1}}]")

    assert plan.stdout.splitlines() == [
        r"1. eth1: set description \u001b[31m\n2. remove it, now nothing"
    ]
    assert len(fault.stderr.splitlines()) == 1
    assert "\x1b" not in plan.output + fault.output


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_the_shown_state_of_this_machine_leaves_a_plan_nothing_to_do(
    tmp_path: Path, form: str
) -> None:
    shown = CliRunner().invoke(sriovbond, ["host", "show", "-o", form])
    path = tmp_path / "shown"
    path.write_text(shown.stdout, encoding="utf-8")

    planned = CliRunner().invoke(sriovbond, ["host", "plan", str(path)])

    assert "name" in shown.stdout
    assert (planned.stdout, planned.stderr, planned.exit_code) == ("nothing to do\n", "", 0)


def test_one_interface_is_shown_by_its_name_and_one_that_is_missing_is_said() -> None:
    loopback = CliRunner().invoke(sriovbond, ["host", "show", "lo"])
    missing = CliRunner().invoke(sriovbond, ["host", "show", "lo", "nosuch0", "\x1bx"])

    assert loopback.stdout == "interfaces:\n- name: lo\n  type: loopback\n  state: ignore\n"
    assert missing.stderr == "Error: no interface \\u001bx, nosuch0 is on this node\n"
    assert missing.exit_code == 2


def test_a_check_prints_findings_with_their_rules_and_ends_with_1() -> None:
    document = (
        "interfaces: [{name: bond9, type: bond, link-aggregation: {mode: 1}, "
        "ipv4: {enabled: true, address: [{ip: 192.0.2.0, prefix-length: 24}]}}]"
    )

    result = CliRunner().invoke(sriovbond, ["host", "check", "-"], input=document)

    lines = [line for line in result.stdout.splitlines() if "bond9" in line]
    assert [re.findall(r"\[(.*)\]$", line) for line in lines] == [
        ["no-link-monitoring"],
        ["network-address"],
    ]
    assert lines[1].startswith("warning: bond9: 192.0.2.0/24 is the network's own address; give")
    assert result.exit_code == 1


def test_a_check_goes_on_where_a_plan_would_refuse() -> None:
    document = "interfaces:\n- {name: br9, type: linux-bridge, bridge: {port: [{name: eth99}]}}"

    result = CliRunner().invoke(sriovbond, ["host", "check", "-"], input=document)

    fault = "Error: standard input: line 2, column 3: br9: its ports eth99 are missing\n"
    assert fault in result.stdout
    assert "br9: its port eth99 is missing on this node; look at the port's" in result.stdout
    assert result.exit_code == 1


def test_a_check_of_a_document_that_cannot_be_ends_with_2() -> None:
    result = CliRunner().invoke(sriovbond, ["host", "check", "-"], input="interfaces: 7")

    assert "standard input: line 1, column 13: interfaces must be a list" in result.stderr
    assert result.exit_code == 2


def test_each_mode_says_how_the_switch_must_be_set() -> None:
    lines = CliRunner().invoke(sriovbond, ["host", "modes"]).stdout.splitlines()

    assert lines[4:8] == [
        "active-backup (1)",
        "  what it does: one port carries all, another takes over",
        "  the switch:   nothing: separate ports, with the same VLANs; also of two switches",
        "  VFs as ports: nothing with fail_over_mac active; trust with none; follow is not for VFs",
    ]
    assert len(lines) == 4 * 7
