"""Routes and rules as a kernel answers them (recorded), and what of them a document can have."""

from contextlib import suppress
from dataclasses import replace

from sriovbond.errors import KernelError
from sriovbond.nodenet.routing import RouteRule
from sriovbond.nodenet.writer import plain
from sriovbond.survey import paths
from sriovbond.survey.paths import Way
from sriovbond.survey.scene import Scene
from tests.support.scenes import a_link, a_scene

VETHS = (a_link(10, "v0", "veth"), a_link(11, "v1", "veth"))


def _ways(*, are_ours: bool = True) -> tuple[Way, ...]:
    links = VETHS if are_ours else (VETHS[0], a_link(11, "v1", "vxlan"))
    with a_scene(*links, is_recorded=True) as scene:
        return paths.ways(scene)


def test_routes_set_by_hand_are_configured() -> None:
    rows = [plain(way.route) for way in _ways() if way.is_configured]

    assert rows == [
        {
            "destination": "203.0.113.128/25",
            "next-hop-interface": "v0",
            "next-hop-address": "192.0.2.2",
            "metric": 7,
            "table-id": 500,
            "advmss": 1200,
            "source": "192.0.2.9",
        },
        *(
            {
                "destination": "203.0.113.0/24",
                "next-hop-interface": name,
                "next-hop-address": gateway,
                "metric": 0,
                "table-id": 254,
                "weight": weight,
            }
            for name, gateway, weight in (("v0", "192.0.2.1", 3), ("v1", "198.51.100.1", 1))
        ),
        {
            "destination": "203.0.113.7/32",
            "metric": 0,
            "table-id": 254,
            "route-type": "blackhole",
        },
        *(
            {
                "destination": "2001:db8:9::/48",
                "next-hop-interface": name,
                "next-hop-address": gateway,
                "metric": 1024,
                "table-id": 254,
            }
            for name, gateway in (("v0", "2001:db8:1::1"), ("v1", "2001:db8:2::1"))
        ),
    ]


def test_the_kernels_own_routes_are_running_and_those_of_its_local_table_are_none() -> None:
    running = [way.route.destination for way in _ways() if not way.is_configured]

    assert "192.0.2.0/24" in running
    assert "fe80::/64" in running
    assert not any(text and text.startswith(("127.", "ff00:")) for text in running)


def test_routes_that_the_kernel_makes_of_addresses_are_hidden() -> None:
    """As nmstate has it, whose running routes are of other protocols (nispor/route.rs)."""
    hidden = {way.route.destination for way in _ways() if way.route.is_hidden}

    assert {"192.0.2.0/24", "fe80::/64"} <= hidden
    assert not hidden.intersection(way.route.destination for way in _ways() if way.is_configured)


def test_routes_over_links_that_are_not_ours_are_not_configured() -> None:
    ways = _ways(are_ours=False)

    assert {way.index for way in ways if way.is_configured} == {0, 10}
    assert {way.index for way in ways} == {0, 10, 11}


def test_rules_that_a_document_can_have_are_read_and_others_are_not() -> None:
    with a_scene(*VETHS, is_recorded=True) as scene:
        rules = [plain(row) for row in paths.rules(scene)]

    # not those of the kernel, by user, inverted, or of a mask without a mark
    assert rules == [
        {
            "family": "ipv4",
            "priority": 97,
            "route-table": 500,
            "iif": "v0",
            "suppress-prefix-length": 0,
        },
        {
            "family": "ipv4",
            "ip-to": "203.0.113.0/24",
            "priority": 98,
            "fwmark": "0x10",
            "fwmask": "0xff",
            "action": "prohibit",
        },
        {"family": "ipv4", "ip-from": "192.0.2.0/24", "priority": 99, "route-table": 500},
        {"family": "ipv6", "ip-from": "2001:db8::/32", "priority": 32765, "route-table": 500},
    ]


def test_a_rule_that_is_cut_short_is_an_error_or_says_less() -> None:
    with a_scene(is_recorded=True) as scene:
        whole = next(body for body in scene.answers.rules if b"\xcb\x00\x71" in body)
        (said,) = (plain(row) for row in _rules_of(scene, whole))

        for cut in range(1, len(whole)):
            with suppress(KernelError):
                for row in _rules_of(scene, whole[:cut]):
                    assert plain(row).items() <= said.items() | {("priority", 0)}


def _rules_of(scene: Scene, body: bytes) -> tuple[RouteRule, ...]:
    return paths.rules(replace(scene, answers=replace(scene.answers, rules=(body,))))
