import json
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sriovbond.cni.result import CniResult, Dns, Interface, IpConfig, Route
from sriovbond.cni.versions import SUPPORTED_VERSIONS
from sriovbond.cni.wire import CniError
from tests.support.examples import at_most

WHOLE: dict[str, object] = {
    "cniVersion": "1.1.0",
    "interfaces": [
        {
            "name": "bond0",
            "mac": "02:00:00:00:00:01",
            "mtu": 9000,
            "sandbox": "/run/netns/pod",
            "socketPath": "/run/socket",
            "pciID": "0000:01:10.0",
        }
    ],
    "ips": [
        {"address": "192.0.2.5/24", "gateway": "192.0.2.1", "interface": 0},
        {"address": "192.0.2.6/24"},
        {"address": "2001:db8::5/64", "interface": 0},
    ],
    "routes": [
        {
            "dst": "0.0.0.0/0",
            "gw": "192.0.2.1",
            "mtu": 1400,
            "advmss": 1360,
            "priority": 0,
            "table": 100,
            "scope": 0,
        },
        {"dst": "::/0"},
    ],
    "dns": {
        "nameservers": ["192.0.2.1"],
        "domain": "example",
        "search": ["example"],
        "options": ["ndots:2"],
    },
}
RESULT = CniResult(
    interfaces=(
        Interface(
            name="bond0",
            mac="02:00:00:00:00:01",
            mtu=9000,
            sandbox="/run/netns/pod",
            socket_path="/run/socket",
            pci_id="0000:01:10.0",
        ),
    ),
    ips=(
        IpConfig(ip_interface("192.0.2.5/24"), ip_address("192.0.2.1"), 0),
        IpConfig(ip_interface("192.0.2.6/24")),
        IpConfig(ip_interface("2001:db8::5/64"), None, 0),
    ),
    routes=(
        Route(ip_network("0.0.0.0/0"), ip_address("192.0.2.1"), 1400, 1360, 0, 100, 0),
        Route(ip_network("::/0")),
    ),
    dns=Dns(("192.0.2.1",), "example", ("example",), ("ndots:2",)),
)
PLAIN_INTERFACES = [
    {"name": "bond0", "mac": "02:00:00:00:00:01", "sandbox": "/run/netns/pod"},
]
PLAIN_ROUTES = [{"dst": "0.0.0.0/0", "gw": "192.0.2.1"}, {"dst": "::/0"}]
ANSWERS: dict[str, dict[str, object]] = {
    "1.1.0": WHOLE,
    "1.0.0": {
        **WHOLE,
        "interfaces": PLAIN_INTERFACES,
        "routes": PLAIN_ROUTES,
    },
    "0.4.0": {
        **WHOLE,
        "interfaces": PLAIN_INTERFACES,
        "ips": [
            {"version": "4", "address": "192.0.2.5/24", "gateway": "192.0.2.1", "interface": 0},
            {"version": "4", "address": "192.0.2.6/24"},
            {"version": "6", "address": "2001:db8::5/64", "interface": 0},
        ],
        "routes": PLAIN_ROUTES,
    },
    "0.2.0": {
        "ip4": {
            "ip": "192.0.2.5/24",
            "gateway": "192.0.2.1",
            "routes": [{"dst": "0.0.0.0/0", "gw": "192.0.2.1"}],
        },
        "ip6": {"ip": "2001:db8::5/64", "routes": [{"dst": "::/0"}]},
        "dns": WHOLE["dns"],
    },
}
LIKE = {"0.1.0": "0.2.0", "0.3.0": "0.4.0", "0.3.1": "0.4.0"}


def test_a_whole_result_is_read() -> None:
    assert CniResult.from_json(WHOLE) == RESULT


@pytest.mark.parametrize("version", SUPPORTED_VERSIONS)
def test_a_result_is_written_in_each_version_without_undefined_keys(version: str) -> None:
    expected = {**ANSWERS[LIKE.get(version, version)], "cniVersion": version}

    assert RESULT.to_json(version) == expected


@pytest.mark.parametrize("version", SUPPORTED_VERSIONS)
def test_an_empty_result_is_only_its_version(version: str) -> None:
    assert CniResult().to_json(version) == {"cniVersion": version}


def test_the_old_form_is_read_with_its_routes() -> None:
    result = CniResult.from_json({**ANSWERS["0.2.0"], "cniVersion": "0.2.0"})

    assert [str(ip.address) for ip in result.ips] == ["192.0.2.5/24", "2001:db8::5/64"]
    assert [str(route.dst) for route in result.routes] == ["0.0.0.0/0", "::/0"]


def test_a_result_without_version_has_the_assumed_one() -> None:
    result = CniResult.from_json({"ip4": {"ip": "192.0.2.5/24"}}, "0.1.0")

    assert result.cni_version == "0.1.0"
    assert len(result.ips) == 1


def test_fields_of_a_later_version_are_read_as_go_gives_them() -> None:
    route = {"dst": "0.0.0.0/0", "priority": 7}

    result = CniResult.from_json({"cniVersion": "0.4.0", "routes": [route]})

    assert result.routes[0].priority == 7


UNKNOWN: dict[str, dict[str, object]] = {
    "1.1.0": {
        "cniVersion": "1.1.0",
        "interfaces": [{"name": "a", "x": 1}],
        "ips": [{"address": "192.0.2.5/24", "version": "4", "x": None}],
        "routes": [{"dst": "::/0", "x": [1]}],
        "dns": {"x": {"y": 1.5}},
        "x": "top",
    },
    "1.0.0": {
        "cniVersion": "1.0.0",
        "interfaces": [{"name": "a", "mtu": 1500, "pciID": "0000:01:10.0"}],
        "routes": [{"dst": "::/0", "mtu": 1400}],
    },
    "0.2.0": {
        "cniVersion": "0.2.0",
        "ip4": {"ip": "192.0.2.5/24", "x": 1, "routes": [{"dst": "0.0.0.0/0", "x": 2}]},
        "x": "top",
    },
}


@pytest.mark.parametrize("version", UNKNOWN)
def test_keys_that_a_version_does_not_define_pass_through_it(version: str) -> None:
    assert CniResult.from_json(UNKNOWN[version]).to_json(version) == UNKNOWN[version]


def test_keys_that_a_version_does_not_define_are_not_written_in_another() -> None:
    written = CniResult.from_json(UNKNOWN["1.1.0"]).to_json("1.0.0")

    assert '"x"' not in json.dumps(written)


def test_a_changed_field_wins_over_the_one_passed_through() -> None:
    result = CniResult.from_json(UNKNOWN["1.0.0"])
    changed = replace(result, interfaces=(replace(result.interfaces[0], mtu=9000),))

    written = changed.to_json("1.0.0")

    assert written["interfaces"] == [{"name": "a", "mtu": 9000, "pciID": "0000:01:10.0"}]


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"cniVersion": "3.0.0"}, r"r\.cniVersion"),
        ({"cniVersion": []}, r"r\.cniVersion"),
        ({"interfaces": [{}]}, r"r\.interfaces\[0\]\.name"),
        ({"interfaces": [{"name": "a", "mtu": "9000"}]}, r"r\.interfaces\[0\]\.mtu"),
        ({"ips": {}}, r"r\.ips"),
        ({"ips": [None]}, r"r\.ips"),
        ({"ips": [{}]}, r"r\.ips\[0\]\.address"),
        ({"ips": [{"address": "::1/128", "interface": -1}]}, r"r\.ips\[0\]\.interface"),
        ({"routes": [{"dst": "::/0"}, {"dst": "::/0", "gw": "x"}]}, r"r\.routes\[1\]\.gw"),
        ({"dns": {"nameservers": "x"}}, r"r\.dns\.nameservers"),
        ({"cniVersion": "0.2.0", "ip4": {"routes": []}}, r"r\.ip4\.ip"),
    ],
)
def test_a_malformed_result_is_refused_with_its_place(
    values: dict[str, object], place: str
) -> None:
    with pytest.raises(CniError, match=f"cannot read {place}: ") as caught:
        CniResult.from_json(values, where="r")

    assert caught.value.code == 6


FEWER = settings(max_examples=at_most(50), suppress_health_check=[HealthCheck.too_slow])
NUMBERS = st.none() | st.integers(0, 2**32 - 1)
SCOPES = st.none() | st.integers(0, 2**8 - 1)
TEXTS = st.lists(st.text(), max_size=2).map(tuple)
EXTRA = st.dictionaries(st.text().map("x-{}".format), st.none() | st.text(), max_size=2)
ADDRESSES = st.ip_addresses()
INTERFACES = st.builds(
    Interface, st.text(), st.text(), NUMBERS, st.text(), st.text(), st.text(), EXTRA
)
PREFIXED = st.builds(lambda address: ip_interface(f"{address}/24"), ADDRESSES)
IPS = st.builds(IpConfig, PREFIXED, st.none() | ADDRESSES, NUMBERS, EXTRA)
ROUTES = st.builds(
    Route,
    PREFIXED.map(lambda interface: interface.network),
    st.none() | ADDRESSES,
    NUMBERS,
    NUMBERS,
    NUMBERS,
    NUMBERS,
    SCOPES,
    EXTRA,
)
RESULTS = st.builds(
    CniResult,
    st.lists(INTERFACES, max_size=2).map(tuple),
    st.lists(IPS, max_size=3).map(tuple),
    st.lists(ROUTES, max_size=3).map(tuple),
    st.builds(Dns, TEXTS, st.text(), TEXTS, TEXTS, EXTRA),
    st.just("1.1.0"),
    EXTRA,
)


@FEWER
@given(RESULTS)
def test_a_result_survives_the_wire_unchanged(result: CniResult) -> None:
    wire = json.dumps(result.to_json("1.1.0"))

    assert CniResult.from_json(json.loads(wire)) == result


@FEWER
@given(RESULTS, st.sampled_from(SUPPORTED_VERSIONS))
def test_fields_that_a_version_defines_survive_it(result: CniResult, version: str) -> None:
    once = json.loads(json.dumps(result.to_json(version), allow_nan=False))

    again = CniResult.from_json(once)

    assert again.to_json(version) == once
    assert again.cni_version == version


@FEWER
@given(RESULTS, st.sampled_from(SUPPORTED_VERSIONS[2:]))
def test_no_address_and_no_route_is_lost_since_0_3_0(result: CniResult, version: str) -> None:
    again = CniResult.from_json(result.to_json(version))

    assert [(ip.address, ip.gateway, ip.interface) for ip in again.ips] == [
        (ip.address, ip.gateway, ip.interface) for ip in result.ips
    ]
    assert [(route.dst, route.gw) for route in again.routes] == [
        (route.dst, route.gw) for route in result.routes
    ]
