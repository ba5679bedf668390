"""The table of what kernels take of bonding: made of figures; those that differ are named."""

from sriovbond.bond.options import MEMBER_OPTIONS, OPTIONS
from tests.kernels import table
from tests.kernels.table import Kernel, Measured, Outcome
from tests.vm import kernels

TAKEN, REFUSED, DROPPED = Outcome
ROWS = {row.name: row for row in (*OPTIONS, *MEMBER_OPTIONS) if row.name != "mode"}
NAMES = [
    "linux-image-6.12.9+deb13-amd64",
    "linux-image-6.12.10+deb13-amd64",
    "linux-image-6.12.11+deb13-cloud-amd64",
    "linux-image-7.3.4+deb13-amd64",
    "linux-binary-7.3.4+deb13-amd64",
    "linux-modules-7.3.4+deb13-amd64",
    "linux-image-7.4.1+deb13-amd64",
    "linux-binary-7.4.1+deb13-amd64",
]


def a_kernel(**changes: Measured) -> Kernel:
    """Return a kernel that takes all, but for the changes."""
    whole = {
        name: Measured(modes=[mode.value for mode in row.modes], values={"1": TAKEN})
        for name, row in ROWS.items()
    }
    return Kernel(release="6.12.9+deb13-amd64", options={**whole, **changes})


def cells(kernel: Kernel, name: str) -> list[str]:
    lines = table.table({"6.12": kernel}).splitlines()
    [row] = [line for line in lines if line.startswith(f"| `{name}` |")]
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_an_option_that_is_taken_in_all_its_modes_is_there() -> None:
    assert cells(a_kernel(), "miimon") == ["`miimon`", "2.4", "yes"]


def test_an_option_that_the_kernel_drops_is_a_no() -> None:
    dropped = Measured(modes=[], values={"on": DROPPED})

    assert cells(a_kernel(lacp_strict=dropped), "lacp_strict")[-1] == "no"


def test_a_value_that_is_refused_is_named() -> None:
    row = ROWS["use_carrier"]
    partly = Measured(
        modes=[mode.value for mode in row.modes], values={"on": TAKEN, "off": REFUSED}
    )

    assert cells(a_kernel(use_carrier=partly), "use_carrier")[-1] == "yes, not `off`"


def test_modes_other_than_the_rows_are_named() -> None:
    narrow = Measured(modes=["802.3ad"], values={"1": TAKEN})

    assert cells(a_kernel(min_links=narrow), "min_links")[-1] == "yes, in 802.3ad only"


def test_an_option_that_a_kernel_treats_unlike_the_published_table_is_named() -> None:
    dropped = Measured(modes=[], values={"1": DROPPED})

    assert table.differences(a_kernel(), a_kernel(prio=dropped)) == ["prio"]
    assert table.differences(a_kernel(), a_kernel()) == []


def test_the_published_table_has_every_option_of_four_kernels() -> None:
    published = table.read(table.PUBLISHED)

    assert len(published) >= 4
    assert {"5.10", "6.1", kernels.DEFAULT} < published.keys()
    assert all(kernel["options"].keys() == ROWS.keys() for kernel in published.values())


def test_the_newest_kernel_is_the_newest_one_with_all_its_packages() -> None:
    releases = kernels.stock_releases(NAMES)

    assert releases == ["6.12.9+deb13-amd64", "6.12.10+deb13-amd64", "7.3.4+deb13-amd64"]
