"""Prints the NICs' facts, for a terminal: ethtool's speed, devlink's port and health."""

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.table import Table

from sriovbond.bond.links import PhysicalFunction
from sriovbond.cli import tables
from sriovbond.nic.facts import Ethtool, Function, Reporter

_SWITCHDEV = "switchdev"
_MOST_MODES = 4  # a fast NIC has dozens: JSON has all of them


def print_nics(functions: Sequence[Function], console: Console) -> None:
    """Print a row for each queried function."""
    if not functions:
        return
    table = Table("device", "interface", "driver", "ethtool", "devlink")
    for function in functions:
        cells = (function.device, function.interface, function.driver or "unknown")
        tables.add_row(table, *cells, describe_link(function.ethtool), describe_port(function))
    tables.print_table(table, console)


def describe_link(ethtool: Ethtool | None) -> str:
    """Return speed and link modes as text."""
    if ethtool is None:
        return "no interface to ask"
    if ethtool.problem:
        return ethtool.problem
    words = [f"{ethtool.speed_mbps} Mb/s" if ethtool.speed_mbps else "speed unknown"]
    words += [f"{ethtool.duplex} duplex"] if ethtool.duplex else []
    if ethtool.autonegotiation is not None:
        words.append(f"autonegotiation {'on' if ethtool.autonegotiation else 'off'}")
    return "; ".join([", ".join(words), *_describe_modes(ethtool.supported)])


def _describe_modes(modes: Sequence[str]) -> Iterator[str]:
    rest = len(modes) - _MOST_MODES
    if modes:
        more = f" and {rest} more" if rest > 0 else ""
        yield f"link modes {' '.join(modes[:_MOST_MODES])}{more}"


def describe_port(function: Function) -> str:
    """Return devlink's facts and problems as text."""
    words = []
    if function.port:
        number = function.port.vf_number
        words.append(f"port {function.port.flavour}{'' if number is None else f' {number}'}")
    if function.representors:
        words.append(f"representor {' '.join(function.representors)}")
    if function.eswitch:
        words.append(f"eswitch {function.eswitch}")
    if function.reporters:
        words.append(f"health: {', '.join(map(_describe_reporter, function.reporters))}")
    return "; ".join([*words, *function.problems]) or "no device to ask"


def _describe_reporter(reporter: Reporter) -> str:
    counts = (("errors", reporter.errors), ("recoveries", reporter.recoveries))
    numbers = ", ".join(f"{count} {what}" for what, count in counts if count)
    return f"{reporter.name} {reporter.state}{f' ({numbers})' if numbers else ''}"


def contradictions(pfs: Iterable[PhysicalFunction], functions: Iterable[Function]) -> Iterator[str]:
    """Yield PFs that an ADD judges wrongly, since it knows representors by their names only."""
    modes = {function.device: function.eswitch for function in functions if function.eswitch}
    for pf in dict.fromkeys(pfs):
        mode = modes.get(pf.device, "")
        if mode and (mode == _SWITCHDEV) != pf.has_representors:
            guess = "switchdev mode" if pf.has_representors else "legacy mode"
            yield (
                f"{pf.name or pf.device}: devlink says eswitch {mode}; by the names of the host's "
                f"interfaces an ADD takes it for {guess}"
            )
