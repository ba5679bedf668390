"""The agent killed at every netlink request and file of ADD and DEL, with VFs and host links."""

import sys
from statistics import median

from tests.soak.figures import Report
from tests.support import restarts, stages
from tests.support.restarts import Sweep
from tests.support.shims import Shim


def kills(shim: Shim, report: Report) -> None:
    """Report what each kill left behind."""
    for words, staged in (("VFs", stages.over_vfs), ("links of the host", stages.over_host_links)):
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
