"""Addresses and routes of links before an ADD, as lines of `ip`."""

from tests.support import worlds


def carried(name: str, number: int) -> list[str]:
    """Return the lines of `ip` that set addresses and routes on a link."""
    return [
        f"addr add 203.0.113.{number}/28 dev {name}",
        f"addr add 2001:db8:{number}::1/64 dev {name} nodad",
        f"addr add {worlds.HAND_SET}{number}/64 dev {name} nodad",
        f"route add 198.18.{number}.0/24 via 203.0.113.14 dev {name} metric {number}",
        f"route add 198.16.{number}.0/24 dev {name} table 77",
        # the kernel lists the second of these two before the first, which is the way to it
        f"route add 198.19.{number}.1/32 dev {name} scope link",
        f"route add 198.17.{number}.0/24 via 198.19.{number}.1 dev {name}",
        f"route add 2001:db8:f{number}::/64 via 2001:db8:{number}::9 dev {name}",
    ]


def over_both(name: str, other: str) -> list[str]:
    """Return the lines of `ip` that set routes over two links with addresses of `carried`."""
    ways = {
        "198.20.0.0/24 metric 7": ("203.0.113.14", "203.0.113.13"),
        "2001:db8:fe::/64 metric 7": ("2001:db8:1::9", "2001:db8:2::9"),
    }
    return [
        f"route add {target} nexthop via {near} dev {name} weight 3 nexthop via {far} dev {other}"
        for target, (near, far) in ways.items()
    ]
