import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sriovbond.cni.attachment import Attachment
from sriovbond.cni.network import NetworkText
from sriovbond.cni.request import CniRequest, parse_request, valid_attachments
from sriovbond.cni.versions import SUPPORTED_VERSIONS, Command
from sriovbond.cni.wire import CniError
from tests.support.examples import at_most

ENVIRONMENT = {
    "CNI_COMMAND": "ADD",
    "CNI_CONTAINERID": "pod1",
    "CNI_NETNS": "/run/netns/pod1",
    "CNI_IFNAME": "bond0",
    "CNI_ARGS": "IgnoreUnknown=true;K8S_POD_NAME=web",
    "CNI_PATH": "/opt/cni/bin:/usr/lib/cni",
    "PATH": "/usr/bin",
}
CONFIG: dict[str, object] = {"cniVersion": "1.1.0", "name": "net", "type": "sriovbond"}
STRICT = [Command.ADD, Command.CHECK, Command.GC, Command.STATUS]


def a_request(command: Command, changes: dict[str, object]) -> CniRequest:
    return a_raw_request(command, json.dumps({**CONFIG, **changes}).encode())


def a_raw_request(command: Command, stdin: bytes) -> CniRequest:
    return parse_request({**ENVIRONMENT, "CNI_COMMAND": str(command)}, stdin)


def test_an_add_is_read_whole() -> None:
    stdin = json.dumps(CONFIG).encode()

    request = parse_request({**ENVIRONMENT, "CNI_NETNS_OVERRIDE": "1"}, stdin)

    assert request == CniRequest(
        command=Command.ADD,
        attachment=Attachment("pod1", "bond0"),
        netns="/run/netns/pod1",
        args={"IgnoreUnknown": "true", "K8S_POD_NAME": "web"},
        text=NetworkText(stdin),
        cni_version="1.1.0",
        environment={
            **{name: text for name, text in ENVIRONMENT.items() if name != "PATH"},
            "CNI_NETNS_OVERRIDE": "1",
        },
        netns_override=True,
    )
    assert request.config == CONFIG
    assert request.network == "net"
    assert request.path == (Path("/opt/cni/bin"), Path("/usr/lib/cni"))


def test_the_specifications_keys_are_read_in_any_case_as_in_go() -> None:
    stdin = (
        b'{"CNIVersion": "1.0.0", "Name": "net", "type": "sriovbond", "IPAM": {"type": "static"}}'
    )

    request = a_raw_request(Command.ADD, stdin)

    assert (request.network, request.cni_version) == ("net", "1.0.0")
    assert request.config["ipam"] == {"type": "static"}


def test_a_config_without_version_is_0_1_0() -> None:
    assert a_request(Command.ADD, {"cniVersion": None}).cni_version == "0.1.0"


def test_a_prev_result_is_read_in_the_version_of_the_config() -> None:
    request = a_request(
        Command.ADD, {"cniVersion": "0.4.0", "prevResult": {"ips": [{"address": "192.0.2.5/24"}]}}
    )

    assert request.prev_result is not None
    assert request.prev_result.cni_version == "0.4.0"
    assert str(request.prev_result.ips[0].address) == "192.0.2.5/24"


@pytest.mark.parametrize("command", STRICT)
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"name": None}, 7),
        ({"name": "a/b"}, 7),
        ({"name": 5}, 7),
        ({"cniVersion": "9.9.9"}, 1),
        ({"cniVersion": 1.1}, 6),
        ({"prevResult": "x"}, 6),
        ({"prevResult": {"cniVersion": "7"}}, 6),
        ({"prevResult": {"ips": [{"address": "x"}]}}, 6),
    ],
)
def test_a_faulty_config_is_refused(
    command: Command, changes: dict[str, object], code: int
) -> None:
    with pytest.raises(CniError) as caught:
        a_request(command, changes)

    assert caught.value.code == code


@pytest.mark.parametrize("stdin", [b"", b"[]", b"{", b"\xff"])
@pytest.mark.parametrize("command", STRICT)
def test_stdin_that_is_no_object_is_refused(command: Command, stdin: bytes) -> None:
    with pytest.raises(CniError) as caught:
        a_raw_request(command, stdin)

    assert caught.value.code == 6


@pytest.mark.parametrize(
    ("command", "version"),
    [(Command.CHECK, "0.3.1"), (Command.GC, "1.0.0"), (Command.STATUS, "1.0.0")],
)
def test_a_command_missing_in_the_version_is_refused(command: Command, version: str) -> None:
    with pytest.raises(CniError) as caught:
        a_request(command, {"cniVersion": version})

    assert caught.value.code == 1


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"name": None}, "name is None"),
        ({"name": "../../etc"}, "name is '../../etc'"),
        ({"cniVersion": "9.9.9"}, "cniVersion '9.9.9'"),
        ({"cniVersion": 5}, "stdin.cniVersion: found 5"),
        ({"prevResult": {"ips": 5}}, "prevResult.ips: found 5"),
        ({"prevResult": []}, "stdin.prevResult: found []"),
    ],
)
def test_a_del_notes_a_faulty_config_and_goes_on(changes: dict[str, object], fault: str) -> None:
    request = a_request(Command.DEL, changes)

    assert len(request.faults) == 1
    assert fault in request.faults[0]
    assert request.config == {**CONFIG, **changes}


@pytest.mark.parametrize("stdin", [b"", b"[]", b"{", b"\xff", b" " * (5 * 1024 * 1024)])
def test_a_del_goes_on_without_a_config(stdin: bytes) -> None:
    request = a_raw_request(Command.DEL, stdin)

    assert request.config == {}
    assert request.network == ""
    assert request.cni_version == "0.1.0"
    assert "stdin" in request.faults[0]
    assert request.stdin == stdin


def test_a_del_without_cni_version_has_no_fault() -> None:
    assert a_request(Command.DEL, {"cniVersion": None}).faults == ()


def test_a_del_never_lets_a_bad_network_name_through() -> None:
    assert a_request(Command.DEL, {"name": "../x"}).network == ""


def test_a_del_goes_on_with_malformed_args() -> None:
    request = parse_request(
        {**ENVIRONMENT, "CNI_COMMAND": "DEL", "CNI_ARGS": "x", "CNI_NETNS": ""},
        json.dumps(CONFIG).encode(),
    )

    assert request.args == {}
    assert "CNI_ARGS" in request.faults[0]


@pytest.mark.parametrize("missing", ["CNI_CONTAINERID", "CNI_IFNAME"])
def test_a_del_without_an_attachment_is_refused(missing: str) -> None:
    with pytest.raises(CniError, match=missing) as caught:
        parse_request({**ENVIRONMENT, "CNI_COMMAND": "DEL", missing: ""}, b"{}")

    assert caught.value.code == 4


@pytest.mark.parametrize("stdin", [b"", b"{", b'{"cniVersion": "9"}'])
def test_version_is_answered_whatever_stdin_holds(stdin: bytes) -> None:
    assert parse_request({"CNI_COMMAND": "VERSION"}, stdin).cni_version == "1.1.0"


def test_version_takes_the_version_asked_with() -> None:
    stdin = b'{"cniVersion": "0.4.0"}'

    assert parse_request({"CNI_COMMAND": "VERSION"}, stdin).cni_version == "0.4.0"


LISTED = [{"containerID": "a", "ifname": "net1"}, {"containerID": "b", "ifname": "net2"}]


@pytest.mark.parametrize(
    ("config", "valid"),
    [
        ({"cni.dev/valid-attachments": LISTED[:1], "cni.dev/attachments": LISTED}, LISTED[:1]),
        ({"cni.dev/attachments": LISTED}, LISTED),
        ({"cni.dev/valid-attachments": None, "cni.dev/attachments": LISTED}, LISTED),
        ({"cni.dev/valid-attachments": []}, []),
        # libcni's empty list, a nil slice: CRI-O (ocicni, GC) where a network has no pods
        ({"cni.dev/valid-attachments": None, "cni.dev/attachments": None}, []),
        ({"cni.dev/valid-attachments": None}, []),
    ],
)
def test_valid_attachments_are_those_listed(
    config: dict[str, object], valid: list[dict[str, str]]
) -> None:
    expected = {Attachment(item["containerID"], item["ifname"]) for item in valid}

    assert valid_attachments(config) == expected


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"cni.dev/valid-attachments": {}},
        {"cni.dev/valid-attachments": None, "cni.dev/attachments": "x"},
        {"cni.dev/valid-attachments": "x", "cni.dev/attachments": LISTED},
        {"cni.dev/valid-attachments": [*LISTED, None]},
        {"cni.dev/valid-attachments": [{"containerID": "a"}]},
        {"cni.dev/valid-attachments": [{"containerID": 1, "ifname": "a"}]},
    ],
)
def test_without_a_sound_list_nothing_may_be_removed(config: dict[str, object]) -> None:
    with pytest.raises(CniError, match="nothing was removed") as caught:
        valid_attachments(config)

    assert caught.value.code == 7


def test_a_network_whose_name_is_longer_than_a_files_is_refused_but_for_its_del() -> None:
    """Libcni's file of an ADD's result has the name, so no ADD of it succeeds."""
    stdin = json.dumps({"cniVersion": "1.0.0", "name": "n" * 256, "type": "sriovbond"}).encode()

    with pytest.raises(CniError, match="255 at most") as caught:
        parse_request({**ENVIRONMENT, "CNI_COMMAND": "ADD"}, stdin)

    assert caught.value.code == 7
    assert parse_request({**ENVIRONMENT, "CNI_COMMAND": "DEL"}, stdin).network == ""
    longest = stdin.replace(b"n" * 256, b"n" * 255)
    assert parse_request({**ENVIRONMENT, "CNI_COMMAND": "ADD"}, longest).network == "n" * 255


FEWER = settings(max_examples=at_most(50), suppress_health_check=[HealthCheck.too_slow])
NAMES = st.sampled_from(sorted({*ENVIRONMENT, "CNI_NETNS_OVERRIDE"}))
VALUES = st.one_of(st.sampled_from([*Command, *ENVIRONMENT.values()]), st.text(st.characters()))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["cniVersion", "name", "prevResult", "ips", "ip4", "interfaces", "routes", "dns", "address"]
)
CONFIGS = st.dictionaries(
    KEYS,
    st.one_of(
        JSON, st.sampled_from(SUPPORTED_VERSIONS), st.dictionaries(KEYS, st.lists(JSON) | JSON)
    ),
).map(lambda config: json.dumps(config).encode())


@FEWER
@given(st.dictionaries(NAMES, VALUES), st.one_of(st.binary(), CONFIGS))
def test_no_environment_and_no_stdin_raise_but_a_cni_error(
    environ: dict[str, str], stdin: bytes
) -> None:
    with contextlib.suppress(CniError):
        parse_request(environ, stdin)


@FEWER
@given(st.sampled_from(Command), CONFIGS)
def test_no_config_raises_but_a_cni_error(command: Command, stdin: bytes) -> None:
    with contextlib.suppress(CniError):
        a_raw_request(command, stdin)


@FEWER
@given(st.sampled_from([Command.DEL, Command.VERSION]), st.one_of(st.binary(), CONFIGS))
def test_no_stdin_blocks_a_del(command: Command, stdin: bytes) -> None:
    assert a_raw_request(command, stdin).command is command
