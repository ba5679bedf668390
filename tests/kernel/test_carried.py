"""Configured addresses of fe80::/10, and routes over several links, are restored too."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sriovbond import homecoming
from sriovbond.bond.links import Member, Place
from sriovbond.errors import SriovbondError
from sriovbond.host import Host
from sriovbond.kernel import netns, snapshots
from tests.support import ipams, worlds
from tests.support.builders import a_plan
from tests.support.calls import Runtime, a_config
from tests.support.lending import lend
from tests.support.pods import Pod, batch, ip
from tests.support.worlds import HAND_SET

NAMES = ("one", "two", "three")
LINKS = [{"name": "one"}, {"name": "two"}]
GIVEN = tuple(
    line
    for number, name in enumerate(NAMES, start=1)
    for line in (
        f"link add {name} address 02:00:00:00:0c:0{number} type dummy",
        f"link set {name} up",
        f"addr add 203.0.113.{16 * number + 1}/28 dev {name}",
        f"addr add 2001:db8:{number}::1/64 dev {name} nodad",
        f"addr add {HAND_SET}{number}/64 dev {name} nodad",
    )
)
WAYS = {
    "both members": ("one", "two"),
    "a member and another": ("two", "three"),
    "all": NAMES,
    "one member, twice": ("one", "one"),
}
over = pytest.mark.parametrize("names", WAYS.values(), ids=WAYS.keys())


def ways(names: tuple[str, ...]) -> list[str]:
    """Return the lines of `ip` that set a route of each family over these links.

    The kernel stores the third, which has no gateways, as one route for each link.
    """
    four, six = "", ""
    for place, name in enumerate(names):
        number = NAMES.index(name) + 1
        four += f" nexthop via 203.0.113.{16 * number + 2 + place} dev {name} weight {number}"
        six += f" nexthop via 2001:db8:{number}::{2 + place} dev {name} weight {number}"
    return [
        f"route add 198.20.0.0/24 metric 9{four}",
        f"route add 2001:db8:fe::/64 metric 9{six}",
        *(f"route append 2001:db8:fd::/64 metric 9 dev {name}" for name in dict.fromkeys(names)),
    ]


@pytest.fixture(autouse=True)
def _lent(host: Host) -> None:
    """Lend these tests' links, whatever addresses they have: lending is tested elsewhere."""
    lend(host, "one", "two", "three")


@pytest.fixture
def on_host() -> Iterator[None]:
    """The three links on the host."""
    batch(*GIVEN)
    yield
    for name in NAMES:
        ip(f"link del {name}", check=False)


def look(**namespaces: str | None) -> worlds.World:
    return worlds.settled(worlds.world(namespaces))


@over
def test_a_failed_add_restores_the_members_addresses_and_routes(
    runtime: Runtime, pod: Pod, tmp_path: Path, names: tuple[str, ...]
) -> None:
    pod.batch(*GIVEN, *ways(names))
    before = look(pod=pod.path)
    path = ipams.scripted(tmp_path, '[ "$CNI_COMMAND" = DEL ]')

    reply = runtime.add(a_config(links=LINKS, ipam={"type": "scripted-ipam"}), CNI_PATH=path)

    assert reply.code == 104
    assert "details" not in reply.body, reply.body
    assert worlds.differences(before, look(pod=pod.path)) == []
    assert "dead" not in pod.ip("route show") + pod.ip("-6 route show")


@over
@pytest.mark.usefixtures("on_host")
def test_host_links_come_home_with_their_addresses_and_routes(
    runtime: Runtime, pod: Pod, names: tuple[str, ...]
) -> None:
    batch(*ways(names))
    before = look(host=None)
    taken = ip("-j link show one")[0]["ifindex"]  # so that it returns with another
    pod.ip(f"link add stranger index {taken} type dummy")
    config = a_config(links=LINKS, linksInContainer=False)

    runtime.add(config).ok()
    runtime.delete(config).ok()

    assert ip("-j link show one")[0]["ifindex"] != taken
    assert worlds.differences(before, look(host=None)) == []
    assert "dead" not in ip("route show") + ip("-6 route show")


def test_a_host_link_that_never_left_gets_no_second_route_beside_one_by_a_nexthop_object() -> None:
    """An ADD that fails before it has moved the link releases it all the same."""
    batch(
        "link add one type veth peer far-one",
        *(f"link set {name} up" for name in ("one", "far-one")),
        "addr add 203.0.113.17/28 dev one",
        "addr add 2001:db8:1::1/64 dev one nodad",
        "nexthop add id 7 via 203.0.113.18 dev one",
        "nexthop add id 8 via 203.0.113.19 dev one",
        "nexthop add id 9 group 7/8",
        "nexthop add id 10 via 2001:db8:1::2 dev one",
        "route add 198.20.0.0/24 nhid 7",
        "route add 198.20.1.0/24 nhid 9",
        "route add 2001:db8:fe::/64 nhid 10",
    )
    losses: list[SriovbondError] = []
    try:
        before = (ip("route show"), ip("-6 route show dev one"))
        with netns.own() as home:
            link = next(link for link in snapshots.take(home.netlink) if link.name == "one")
        homecoming.restore(a_plan([Member(link, Place.HOST)]), losses.extend)
        after = (ip("route show"), ip("-6 route show dev one"))
    finally:
        ip("link del one")

    assert (after, losses) == (before, [])


@pytest.mark.usefixtures("on_host")
def test_a_route_that_lost_a_link_is_reported_and_blocks_no_del(
    runtime: Runtime, pod: Pod, capfd: pytest.CaptureFixture[str]
) -> None:
    batch(*ways(("one", "two")))
    config = a_config(links=LINKS, linksInContainer=False)
    runtime.add(config).ok()
    pod.ip("link del two")

    runtime.delete(config).ok()

    assert "cannot put route 198.20.0.0/24 back" in capfd.readouterr().err
    assert "2001:db8:1::2 dev one" in ip("-6 route show 2001:db8:fe::/64")


@pytest.mark.parametrize("mode", ["eui64", "random", "none"])
def test_a_link_local_address_is_carried_only_if_configured(pod: Pod, mode: str) -> None:
    pod.batch(
        "link add one type dummy",
        f"link set one addrgenmode {mode}",
        "link set one up",
        f"addr add {HAND_SET}1/64 dev one nodad",
    )
    standing = pod.ip("-j -6 addr show one")[0]["addr_info"]

    with netns.opened(pod.path) as inside:
        carried = {link.name: link.addresses for link in snapshots.take(inside.netlink)}

    assert len(standing) == (1 if mode == "none" else 2)
    assert [one.text for one in carried["one"]] == [f"{HAND_SET}1/64"]


def test_a_route_by_router_advertisement_is_left_to_the_router(pod: Pod) -> None:
    """Put back it would outlive the router: it has no end then, and the kernel cannot renew it."""
    own = "2001:db8:9::/64 via fe80::1 dev one metric 1024 pref medium"
    pod.batch(
        *(f"link add {name} type veth peer far-{name}" for name in ("one", "two")),
        *(f"link set {name} up" for name in ("one", "far-one", "two", "far-two")),
        "route add default via fe80::1 dev one proto ra",
        "route append default via fe80::1 dev two proto ra",
        "route add 2001:db8:9::/64 via fe80::1 dev one",
    )
    with netns.opened(pod.path) as inside:
        before = [link for link in snapshots.take(inside.netlink) if link.name in ("one", "two")]
        pod.batch(*(f"link set {link.name} {to}" for to in ("down", "up") for link in before))
        now = {link.name: link for link in snapshots.take(inside.netlink)}
        pairs = [(now[link.name], link) for link in before]
        refused = [row for pair in pairs for row in snapshots.restore(inside.netlink, *pair)]
        refused += snapshots.restore_spanning(inside.netlink, pairs)

    assert [len(link.routes) for link in before] == [2, 1]
    assert refused == []
    routes = pod.ip("-6 route show")
    assert own in routes
    assert "default" not in routes


def test_members_with_link_local_addresses_of_the_kernel_are_not_refused(
    runtime: Runtime, pod: Pod
) -> None:
    pod.batch(*GIVEN[:2], *GIVEN[5:7])

    runtime.add(a_config(links=LINKS, memberAddresses="refuse")).ok()
