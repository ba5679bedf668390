"""Captures of nmpolicy find parts of the state and put them into the document."""

import json

import pytest

from sriovbond.nodenet.document import DocumentError, read, read_state
from sriovbond.nodenet.model import NetState
from sriovbond.nodenet.writer import plain

STATE = read_state(
    "interfaces:\n"
    "- {name: eth1, type: ethernet, state: up, mac-address: '02:00:00:00:00:0a',"
    " ipv4: {enabled: true, dhcp: false, address: [{ip: 192.0.2.9, prefix-length: 24}]}}\n"
    "- {name: eth2, type: ethernet, state: down}\n"
    "routes:\n"
    "  running:\n"
    "  - {destination: 0.0.0.0/0, next-hop-interface: eth1, next-hop-address: 192.0.2.1}\n"
    "dns-resolver: {running: {server: [192.0.2.53]}}\n"
)


def _filled(text: str) -> dict[str, object]:
    (document,) = read(text, STATE)
    return plain(document.state)


def test_a_value_a_part_and_a_text_around_it_are_put_in() -> None:
    assert _filled(
        "capture:\n"
        "  nic: interfaces.name == capture.gw.routes.running.0.next-hop-interface\n"
        '  gw: routes.running.destination == "0.0.0.0/0"\n'
        "desiredState:\n"
        "  interfaces:\n"
        "  - name: '{{ capture.nic.interfaces.0.name }}.7'\n"
        "    type: vlan\n"
        "    vlan: {base-iface: '{{ capture.nic.interfaces.0.name }}', id: 7}\n"
        "    ipv4: '{{ capture.nic.interfaces.0.ipv4 }}'\n"
    ) == {
        "interfaces": [
            {
                "name": "eth1.7",
                "type": "vlan",
                "ipv4": {
                    "enabled": True,
                    "dhcp": False,
                    "address": [{"ip": "192.0.2.9", "prefix-length": 24}],
                },
                "vlan": {"base-iface": "eth1", "id": 7},
            }
        ]
    }


@pytest.mark.parametrize("given", [STATE, None])
def test_captures_are_of_the_state_that_a_bare_policy_has_with_it(given: NetState | None) -> None:
    """As nmstate has it (NetworkPolicy in net_policy.rs)."""
    policy = (
        'capture: {nic: interfaces.mtu == "9000"}\n'
        "desired: {interfaces: [{name: '{{ capture.nic.interfaces.0.name }}', state: down}]}\n"
        "current: {interfaces: [{name: eth7, type: ethernet, mtu: 9000, of-another: 1}]}\n"
    )

    (document,) = read(policy, given)

    assert plain(document.state) == {"interfaces": [{"name": "eth7", "state": "down"}]}
    with pytest.raises(DocumentError, match=r"line 3, column 58: interfaces\[0\].mtu"):
        read(policy.replace("mtu: 9000,", "mtu: many,"), given)


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ('interfaces.ipv4.address.ip == "192.0.2.9"', ["eth1"]),
        ("interfaces.ipv4.address.prefix-length == 24", ["eth1"]),
        ("interfaces.name == 'eth2'", ["eth2"]),
        ('interfaces.name != "eth1"', ["eth2"]),
        ("interfaces.ipv4.enabled != false", ["eth1"]),
        ("interfaces.name", ["eth1", "eth2"]),
        ("capture.up | interfaces.state", ["eth1"]),
        ("the state that isn't changed", ["eth1", "eth2"]),
    ],
)
def test_a_search_looks_into_lists_and_for_others(search: str, expected: list[str]) -> None:
    filled = _filled(
        "capture:\n"
        "  up: interfaces.state == up\n"
        f"  found: {json.dumps(search)}\n"
        "desiredState: {interfaces: '{{ capture.found.interfaces }}'}\n"
    )

    links = filled["interfaces"]
    assert isinstance(links, list)
    assert [link["name"] for link in links] == expected


@pytest.mark.parametrize(
    "text",
    [
        "{{ capture.nic.interfaces.0.name",
        "capture.nic.interfaces.0.name }}",
        "}} capture.nic.interfaces.0.name {{",
        "{{ }}",
        "{{ capture.nic.interfaces.0.name capture.nic.interfaces.0.name }}",
        "{{ capture.nic.interfaces.0.name }} and {{",
    ],
)
def test_half_a_reference_is_no_text(text: str) -> None:
    with pytest.raises(DocumentError, match=r"a reference is \{\{ capture\.NAME\.PATH"):
        _filled(
            "capture: {nic: interfaces.name == eth1}\n"
            f"desiredState: {{interfaces: [{{name: eth1, description: {json.dumps(text)}}}]}}\n"
        )


def test_a_change_is_made_to_each_part() -> None:
    assert _filled(
        "capture:\n"
        '  down: capture.nics | interfaces.lldp.enabled := "false"\n'
        '  nics: interfaces.type=="ethernet"\n'
        "desiredState: {interfaces: '{{ capture.down.interfaces }}'}\n"
    )["interfaces"] == [{**link, "lldp": {"enabled": False}} for link in plain(STATE)["interfaces"]]


def test_a_mac_address_is_found_in_any_case() -> None:
    assert _filled(
        "capture: {nic: interfaces.mac-address == '02:00:00:00:00:0A'}\n".replace("'", '"')
        .replace("nic: ", "nic: '")
        .replace("}\n", "'}\n")
        + "desiredState: {interfaces: [{name: '{{ capture.nic.interfaces.0.name }}'}]}\n"
    ) == {"interfaces": [{"name": "eth1"}]}


def test_a_path_alone_takes_that_part() -> None:
    assert _filled(
        "capture: {dns: dns-resolver.running}\n"
        "desiredState: {dns-resolver: {config: '{{ capture.dns.dns-resolver.running }}'}}\n"
    ) == {"dns-resolver": {"config": {"server": ["192.0.2.53"]}}}


def test_words_alone_are_the_whole_state() -> None:
    """An example of nmstate's has `override me with the cache`."""
    assert _filled(
        "capture:\n"
        "  all: the node as it is\n"
        "  nic: interfaces.name == capture.all.routes.running.0.next-hop-interface\n"
        "desiredState: {interfaces: [{name: '{{ capture.nic.interfaces.0.name }}'}]}\n"
    ) == {"interfaces": [{"name": "eth1"}]}


@pytest.mark.parametrize(
    ("capture", "fault"),
    [
        ("interfaces.type == 'bond'", "nothing has type"),
        ("interfaces.name == ", "PATH == VALUE"),
        ('interfaces.name == "eth1', "a quote is not closed"),
        ("capture.other | interfaces.name := x", "which is missing"),
        ("capture.x | interfaces.name := y", "which is missing or needs x"),
        ("interfaces.x | interfaces.name := y", "capture.NAME is expected before |"),
        ("dns-resolver.running.server == 1", "can be searched"),
        ("interfaces.name=eth1", "PATH == VALUE or PATH := VALUE is expected"),
        ("interfaces.name:", "PATH == VALUE"),
        ("interfaces.type != ethernet", "nothing has another type than 'ethernet'"),
        ("interfaces.name =! eth1", "PATH == VALUE"),
        ("interfacs", "a path such as interfaces.name is expected"),
        ("some words == more", "a path such as interfaces.name is expected"),
    ],
)
def test_an_expression_without_meaning_is_refused_at_its_place(capture: str, fault: str) -> None:
    text = f"capture:\n  x: >-\n    {capture}\ndesiredState: {{interfaces: []}}\n"

    with pytest.raises(DocumentError) as caught:
        read(text, STATE)

    assert caught.value.lines[0].startswith("line 2, column 6: ")
    assert fault in caught.value.lines[0]


def test_a_reference_to_nothing_is_refused_at_its_place() -> None:
    text = "capture: {}\ndesiredState:\n  interfaces: '{{ capture.x.interfaces }}'\n"

    with pytest.raises(
        DocumentError, match=r"line 3, column 15: capture\.x\.interfaces is missing"
    ):
        read(text, STATE)


def test_captures_need_a_state() -> None:
    with pytest.raises(DocumentError, match="captures need the node's state"):
        read("capture: {x: interfaces.name}\ndesiredState: {interfaces: []}\n")


@pytest.mark.parametrize(
    "capture",
    [
        f"interfaces.name == interfaces.{'9' * 5000}.name",
        f"interfaces.{'below.' * 600}mtu := 9",
        f"interfaces.name == capture.a.{'below.' * 600}mtu",
    ],
    ids=["a number of many digits", "a deep change", "a deep value"],
)
def test_a_path_that_no_state_has_is_no_crash(capture: str) -> None:
    with pytest.raises(DocumentError):
        read(
            f"capture: {{a: 'interfaces', b: '{capture}'}}\n"
            "desiredState: {interfaces: '{{ capture.b.interfaces }}'}\n",
            STATE,
        )


@pytest.mark.slow
def test_captures_are_bounded_in_number_and_size() -> None:
    many = "".join(f"  c{number}: interfaces\n" for number in range(257))
    parts = "  - '{{ capture.a.interfaces }}'\n" * 40_000

    with pytest.raises(DocumentError, match="at most 256 captures are expected, found 257"):
        read(f"capture:\n{many}desiredState: {{}}\n", STATE)
    with pytest.raises(DocumentError, match="what was captured makes it larger than 4194304 bytes"):
        read(f"capture: {{a: interfaces}}\ndesiredState:\n  interfaces:\n{parts}", STATE)
