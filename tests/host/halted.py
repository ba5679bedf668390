"""On the node: a change that comes as far as a place, and stays there."""

import sys
import time
from pathlib import Path
from typing import Final

from sriovbond.host import Host
from sriovbond.kernel import netns
from sriovbond.nodenet import document
from sriovbond.nodenet.joined import Joined, join
from sriovbond.reshape import acting
from sriovbond.reshape.site import Site
from sriovbond.survey import node
from sriovbond.trial import persisted, transaction
from sriovbond.trial.transaction import Manner, _Change
from tests.host.outage import DOCUMENT, HALTED
from tests.host.power import Place
from tests.support import wire

_LONG_S: Final = 3600.0


def main() -> None:
    """Apply the document up to the place."""
    place, host = Place[sys.argv[1]], Host()
    with netns.own() as own:
        site = Site(own, host.root, host.places.sysfs, host)

        def prepare() -> Joined:
            state = node.read(own, host)
            text = Path("/", DOCUMENT).read_text(encoding="utf-8")
            return join(document.unite(document.read(text, state)).state, state)

        _arrange(place)
        is_waiting = place in {Place.WAITING, Place.REVERTING}
        manner = Manner(_LONG_S, is_waiting, print, "uplink")
        transaction.apply(site, host, prepare, manner)
        if place is Place.REVERTING:
            wire.at_change(6, _halt)
            transaction.rollback(site, host)
        _halt()


def _arrange(place: Place) -> None:
    """Have the change halt there."""
    match place:
        case Place.BEGUN:
            _halt_in(acting, "carry_out")
        case Place.HALF:
            wire.at_change(8, _halt)
        case Place.MADE:
            _halt_in(_Change, "verify")
        case Place.KEEPING:
            _halt_in(persisted, "keep")


def _halt(*_: object) -> None:
    Path("/", HALTED).touch()
    time.sleep(_LONG_S)


def _halt_in(owner: object, name: str) -> None:
    setattr(owner, name, _halt)


if __name__ == "__main__":
    main()
