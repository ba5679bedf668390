"""The agent killed at every netlink request and file of ADD and DEL, with VFs and host links."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median

from tests.soak.figures import Report
from tests.support import carrying, ipams, restarts
from tests.support.calls import a_config
from tests.support.lending import lent_by_this_machine
from tests.support.pods import a_pod, batch, ip
from tests.support.restarts import Stage, Sweep
from tests.support.shims import Shim
from tests.support.thick import Thick
from tests.vm import rig

HOME = ("home1", "home2")


def kills(shim: Shim, report: Report) -> None:
    """Report what each kill left behind."""
    for words, staged in (("VFs", _vfs), ("links of the host", _host_links)):
        for what in ("ADD, then DEL", "ADD, then ADD and DEL", "DEL"):
            shim.clear()
            with staged(shim) as stage:
                sweep = restarts.of(stage, reads=True)
                _run(sweep, what)
            left = restarts.told(sweep.traces)
            report.tell("kills", f"steps of {what}, over {words}", len(sweep.traces))
            report.tell("kills", "of them leave a trace", left.count("\n") + bool(left), "", 0)
            report.tell("kills", "restart of a warm agent", median(sweep.restarts_s), "s")
            if left:
                sys.stdout.write(f"{left}\n")


def _run(sweep: Sweep, what: str) -> None:
    if what == "DEL":
        restarts.at_each_step_of_del(sweep)
        return
    then = restarts.added_again if "then ADD" in what else restarts.deleted
    restarts.at_each_step_of_add(sweep, then)


@contextmanager
def _vfs(shim: Shim) -> Iterator[Stage]:
    """Two VFs in the pod that carry addresses and routes; IPAM gives the bond some."""
    with ExitStack() as held:
        held.callback(rig.reset_vfs)
        pod = held.enter_context(a_pod())
        for number, pf in enumerate(rig.layout().pfs[:2], 1):
            pod.give(pf.vfs[0].name, f"net{number}")

        def lay_out() -> None:
            for number, mtu in ((1, 1500), (2, 1450)):
                name = f"net{number}"
                pod.batch(f"link set {name} mtu {mtu} up", *carrying.carried(name, number))
            pod.batch(*carrying.over_both("net1", "net2"))

        # by `none` the second one takes the MAC of the first, and must get its own back
        config = a_config(failOverMac="none", ipam=ipams.host_local(shim.home))
        yield Stage(Thick(shim, pod), config, (shim.home / "leases",), lay_out)


@contextmanager
def _host_links(shim: Shim) -> Iterator[Stage]:
    """Two links of the host, one up with addresses and one down."""
    batch(
        "link add home1 address 02:00:00:00:0a:01 type dummy",
        "link add home2 address 02:00:00:00:0a:02 mtu 1450 type dummy",
        "link set home1 up",
        *carrying.carried("home1", 1),
    )
    links = [{"name": name} for name in HOME]
    ipam = ipams.host_local(shim.home)
    config = a_config(links=links, linksInContainer=False, ipam=ipam)
    try:
        with a_pod() as pod, lent_by_this_machine(*HOME):
            yield Stage(Thick(shim, pod), config, (shim.home / "leases",), with_host=True)
    finally:
        for name in HOME:
            ip(f"link del {name}", check=False)
