from pathlib import Path

import pytest

from sriovbond.cni import environment
from sriovbond.cni.versions import Command
from sriovbond.cni.wire import CniError

COMPLETE = {
    "CNI_CONTAINERID": "abc_1.2-3",
    "CNI_NETNS": "/run/netns/pod",
    "CNI_IFNAME": "bond0",
    "CNI_PATH": "/opt/cni/bin",
}
ATTACHMENT = {"CNI_CONTAINERID", "CNI_IFNAME"}


@pytest.mark.parametrize("text", ["", "add", "FOO", "ADD "])
def test_a_command_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(
        CniError, match=r"CNI_COMMAND .*ADD, DEL, CHECK, GC, STATUS, VERSION"
    ) as caught:
        environment.read_command({"CNI_COMMAND": text})

    assert caught.value.code == 4


@pytest.mark.parametrize(
    ("command", "needed"),
    [
        (Command.ADD, {*ATTACHMENT, "CNI_NETNS"}),
        (Command.CHECK, {*ATTACHMENT, "CNI_NETNS"}),
        (Command.DEL, ATTACHMENT),
        (Command.GC, {"CNI_PATH"}),
    ],
)
def test_every_missing_variable_is_named_at_once(command: Command, needed: set[str]) -> None:
    with pytest.raises(CniError) as caught:
        environment.check_variables(command, {"CNI_NETNS": ""})

    assert caught.value.code == 4
    assert {name for name in COMPLETE if f"{name} is not set" in caught.value.msg} == needed


@pytest.mark.parametrize("command", [Command.STATUS, Command.VERSION])
def test_status_and_version_need_no_other_variable(command: Command) -> None:
    environment.check_variables(command, {})


@pytest.mark.parametrize(
    ("variable", "value", "rule"),
    [
        ("CNI_CONTAINERID", "../etc", "start with a letter or digit"),
        ("CNI_CONTAINERID", "-a", "start with a letter or digit"),
        ("CNI_CONTAINERID", "a\n", "start with a letter or digit"),
        ("CNI_CONTAINERID", "é", "start with a letter or digit"),
        ("CNI_IFNAME", "a23456789012345x", "at most 15 bytes"),
        ("CNI_IFNAME", "éééééééé", "at most 15 bytes"),
        ("CNI_IFNAME", "a/b", "not hold '/'"),
        ("CNI_IFNAME", "a:b", "not hold '/', ':'"),
        ("CNI_IFNAME", "a b", "white space"),
        ("CNI_IFNAME", ".", "'.' or '..'"),
        ("CNI_IFNAME", "..", "'.' or '..'"),
        ("CNI_IFNAME", "a\udcff", "be UTF-8"),
        ("CNI_IFNAME", "bond%d", "not hold '%'"),
    ],
)
def test_an_unusable_value_is_refused_with_its_rule(variable: str, value: str, rule: str) -> None:
    with pytest.raises(CniError, match=f"{variable} is ") as caught:
        environment.check_variables(Command.ADD, {**COMPLETE, variable: value})

    assert rule in caught.value.msg
    assert repr(value) in caught.value.msg


def test_missing_and_unusable_variables_are_reported_together() -> None:
    with pytest.raises(CniError, match="CNI_NETNS is not set; CNI_CONTAINERID is '/'"):
        environment.check_variables(
            Command.ADD, {**COMPLETE, "CNI_NETNS": "", "CNI_CONTAINERID": "/"}
        )


def test_a_percent_sign_does_not_block_a_del() -> None:
    environment.check_variables(Command.DEL, {**COMPLETE, "CNI_IFNAME": "bond%d"})


def test_a_name_of_15_bytes_is_taken() -> None:
    environment.check_variables(Command.ADD, {**COMPLETE, "CNI_IFNAME": "a" * 15})


def test_cni_args_are_pairs() -> None:
    args = environment.parse_args("IgnoreUnknown=true;K8S_POD_NAME=web;A=b=c;EMPTY=;")

    assert args == {"IgnoreUnknown": "true", "K8S_POD_NAME": "web", "A": "b=c", "EMPTY": ""}


def test_every_part_of_cni_args_that_is_no_pair_is_named() -> None:
    with pytest.raises(CniError, match="CNI_ARGS: found 'FOO', '=bar'") as caught:
        environment.parse_args("A=b;FOO;=bar")

    assert caught.value.code == 4


def test_cni_path_is_split_and_empty_folders_left_out() -> None:
    assert environment.parse_path("/a::/b:") == (Path("/a"), Path("/b"))


@pytest.mark.parametrize(
    ("text", "meant"),
    [("1", True), ("true", True), ("TRUE", True), ("", False), ("0", False), ("yes", False)],
)
def test_a_switch_is_on_as_in_skel(text: str, meant: bool) -> None:  # noqa: FBT001
    assert environment.is_true(text) is meant
