"""Runs nmstate's pure-data cases and example documents: `make conformance NMSTATE=DIR`.

DIR has policy/NAME/{policy,current,expected}.yml, diff/NAME/{current,desired,diff}.yml,
revert/NAME/{current,desired,revert}.yml, examples/*.yml and nncp/*.yaml; each may be missing.
Prints a line for each case; ends with 1 where one differs without a reason that is known.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from sriovbond.nodenet import document
from sriovbond.nodenet.difference import difference, revert
from sriovbond.nodenet.document import DocumentError
from sriovbond.nodenet.joined import Joined, join
from sriovbond.nodenet.model import ETHERNET, VETH, NetState, NodeLink
from sriovbond.nodenet.normal import normal
from sriovbond.nodenet.routing import ABSENT, NodeRoutes, Resolver
from sriovbond.nodenet.writer import to_yaml


class Verdict(StrEnum):
    """How a case ended."""

    EQUAL = "equal"
    ON_PURPOSE = "differs on purpose"
    UNEXPLAINED = "DIFFERS"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a case."""

    kind: str
    name: str
    verdict: Verdict
    text: str = ""

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}: {self.verdict}{': ' + self.text if self.text else ''}"


def run(folder: Path) -> Iterator[Outcome]:
    """Yield the outcome of every case below a folder."""
    for kind, case in (("policy", _policy), ("diff", _diff), ("revert", _revert)):
        for path in sorted((folder / kind).glob("*/current.yml")):
            yield _guarded(kind, path.parent, case)
    for kind in ("examples", "nncp"):
        for path in sorted((folder / kind).glob("*.y*ml")):
            yield _guarded(kind, path, _document)


def _guarded(kind: str, path: Path, case: Callable[[Path], tuple[Verdict, str]]) -> Outcome:
    try:
        return Outcome(kind, path.name, *case(path))
    except DocumentError as error:
        if error.problems or not error.refused:
            return Outcome(kind, path.name, Verdict.UNEXPLAINED, "; ".join(error.lines))
        names = "; ".join(error.lines)
        return Outcome(kind, path.name, Verdict.ON_PURPOSE, f"refused by name: {names}")


def _policy(folder: Path) -> tuple[Verdict, str]:
    current = document.read_state(_read(folder / "current.yml"))
    (policy,) = document.read(_read(folder / "policy.yml"), current)
    joined = join(policy.state, current)
    return _compare(joined, difference(joined), _expected(folder / "expected.yml"))


def _diff(folder: Path) -> tuple[Verdict, str]:
    joined = _joined(folder)
    return _compare(joined, difference(joined), _expected(folder / "diff.yml"))


def _revert(folder: Path) -> tuple[Verdict, str]:
    joined = _joined(folder)
    return _compare(joined, revert(joined), _expected(folder / "revert.yml"))


def _document(path: Path) -> tuple[Verdict, str]:
    """Read a document, and read what is written of it."""
    current = document.read_state("interfaces: [{name: eth1, type: ethernet, state: up}]")
    documents = document.read(_read(path), current)
    for read in documents:
        (again,) = document.read(to_yaml(read.state)) or [replace(read, state=NetState())]
        if again.state != read.state:
            return Verdict.UNEXPLAINED, f"written and read again it is\n{to_yaml(again.state)}"
    unset = [str(problem) for read in documents for problem in read.unset]
    if unset:
        return Verdict.ON_PURPOSE, f"read, and refused by name where it is to be done: {unset[0]}"
    return Verdict.EQUAL, "read whole"


def _joined(folder: Path) -> Joined:
    current = document.read_state(_read(folder / "current.yml"))
    desired, *_ = document.read(_read(folder / "desired.yml"))
    return join(desired.state, current)


def _expected(path: Path) -> NetState:
    documents = document.read(_read(path))
    return documents[0].state if documents else NetState()


def _compare(joined: Joined, ours: NetState, theirs: NetState) -> tuple[Verdict, str]:
    if joined.complaints:
        return Verdict.UNEXPLAINED, "; ".join(row.text for row in joined.complaints)
    if _in_one_order(ours) == _in_one_order(theirs):
        return Verdict.EQUAL, ""
    for why, alter in _PURPOSES:
        if _in_one_order(alter(ours, joined)) == _in_one_order(alter(theirs, joined)):
            return Verdict.ON_PURPOSE, why
    return Verdict.UNEXPLAINED, f"ours is\n{to_yaml(ours)}theirs is\n{to_yaml(theirs)}"


def _in_one_order(state: NetState) -> NetState:
    """Return it as two who write the same differently would: links by name, a veth as ethernet."""
    links = sorted(map(_in_one_form, state.interfaces or ()), key=lambda link: link.label)
    routes = state.routes.config if state.routes else None
    ordered = NodeRoutes(config=tuple(sorted(routes, key=repr))) if routes else None
    return replace(state, interfaces=tuple(links) or None, routes=ordered)


def _in_one_form(link: NodeLink) -> NodeLink:
    return normal(replace(link, type=ETHERNET if link.type == VETH else link.type))


def _without_absent(state: NetState, joined: Joined) -> NetState:
    """Leave out what is to be absent: nmstate's diff drops routes, and keeps what is gone."""
    routes = (state.routes and state.routes.config) or ()
    present = tuple(row for row in routes if row.state != ABSENT)
    links = [
        link
        for link in state.interfaces or ()
        if link.state != ABSENT or link.label in joined.links
    ]
    return replace(
        state,
        routes=NodeRoutes(config=present) if present else None,
        interfaces=tuple(links) or None,
    )


def _without_known_routes(state: NetState, joined: Joined) -> NetState:
    """Leave out routes that were there: nmstate's revert removes them where they are mentioned."""
    known = (joined.current.routes and joined.current.routes.config) or ()
    routes = (state.routes and state.routes.config) or ()
    kept = tuple(row for row in routes if replace(row, state=None) not in known)
    return replace(state, routes=NodeRoutes(config=kept) if kept else None)


def _without_no_resolver(state: NetState, _joined: Joined) -> NetState:
    """Leave out a resolver that clears all: nmstate's revert leaves what was added."""
    dns = state.dns_resolver
    is_nothing = dns is not None and dns.config in (None, Resolver())
    return replace(state, dns_resolver=None) if is_nothing else state


_PURPOSES = (
    (
        "nmstate's diff leaves out routes that are to go, and repeats interfaces that are gone",
        _without_absent,
    ),
    (
        "nmstate's revert removes routes that were there, and forgets those of an interface",
        _without_known_routes,
    ),
    (
        "nmstate's revert of an empty resolver leaves what was added",
        _without_no_resolver,
    ),
)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Print every outcome, and a sum of each kind; return the exit status."""
    folder = Path(*arguments) if len(arguments) == 1 else Path("missing")
    if not folder.is_dir():
        sys.stderr.write("give the folder with nmstate's cases: make conformance NMSTATE=DIR\n")
        return 2
    sums: Counter[tuple[str, Verdict]] = Counter()
    for outcome in run(folder):
        sums[outcome.kind, outcome.verdict] += 1
        sys.stdout.write(f"{outcome}\n")
    for (kind, verdict), number in sorted(sums.items()):
        sys.stdout.write(f"{kind}: {number} {verdict}\n")
    is_explained = all(verdict != Verdict.UNEXPLAINED for _, verdict in sums)
    return 0 if sums and is_explained else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
