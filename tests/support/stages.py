"""Attachments to be made, over VFs of a pod and over links of the host."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.support import carrying, ipams
from tests.support.calls import a_config
from tests.support.lending import lent_by_this_machine
from tests.support.pods import a_pod, batch, ip
from tests.support.restarts import Stage
from tests.support.shims import Shim
from tests.support.thick import Thick
from tests.vm import rig

HOME = ("home1", "home2")


@contextmanager
def over_vfs(shim: Shim, *, spanning: bool = True) -> Iterator[Stage]:
    """Two VFs in the pod that carry addresses and routes; IPAM gives the bond some.

    With `spanning` they have routes over both, too.
    """
    with ExitStack() as held:
        held.callback(rig.reset_vfs)
        pod = held.enter_context(a_pod())
        for number, pf in enumerate(rig.layout().pfs[:2], 1):
            pod.give(pf.vfs[0].name, f"net{number}")

        def lay_out() -> None:
            for number, mtu in ((1, 1500), (2, 1450)):
                name = f"net{number}"
                pod.batch(f"link set {name} mtu {mtu} up", *carrying.carried(name, number))
            if spanning:
                pod.batch(*carrying.over_both("net1", "net2"))

        # by `none` the second one takes the MAC of the first, and must get its own back
        config = a_config(failOverMac="none", ipam=ipams.host_local(shim.home))
        yield Stage(Thick(shim, pod), config, (shim.home / "leases",), lay_out)


@contextmanager
def over_dummies(shim: Shim) -> Iterator[Stage]:
    """Two dummies in the pod, which it may delete."""
    with a_pod() as pod:
        pod.batch(
            "link add net1 address 02:00:00:00:0b:01 type dummy",
            "link add net2 address 02:00:00:00:0b:02 type dummy",
        )

        def lay_out() -> None:
            pod.batch("link set net1 mtu 1450 up", "link set net2 up")

        links = [{"name": "net1"}, {"name": "net2"}]
        config = a_config(links=links, failOverMac="none", ipam=ipams.host_local(shim.home))
        yield Stage(Thick(shim, pod), config, (shim.home / "leases",), lay_out)


@contextmanager
def over_host_links(shim: Shim) -> Iterator[Stage]:
    """Two links of the host, one up with addresses and one down."""
    batch(
        "link add home1 address 02:00:00:00:0a:01 type dummy",
        "link add home2 address 02:00:00:00:0a:02 mtu 1450 type dummy",
        "link set home1 up",
        *carrying.carried("home1", 1),
    )
    try:
        with a_pod() as pod, lent_by_this_machine(*HOME):
            yield _of_the_host(shim, Thick(shim, pod), HOME)
    finally:
        for name in HOME:
            ip(f"link del {name}", check=False)


@contextmanager
def over_host_vfs(shim: Shim) -> Iterator[Stage]:
    """Two VFs of the host, one up with addresses and one down."""
    names = [pf.vfs[0].name for pf in rig.layout().pfs[:2]]
    with ExitStack() as held:
        held.callback(rig.reset_vfs)
        batch(f"link set {names[0]} up", *carrying.carried(names[0], 1))
        pod = held.enter_context(a_pod())
        held.enter_context(lent_by_this_machine(*names))
        yield _of_the_host(shim, Thick(shim, pod), names)


def _of_the_host(shim: Shim, thick: Thick, names: tuple[str, ...] | list[str]) -> Stage:
    links = [{"name": name} for name in names]
    ipam = ipams.host_local(shim.home)
    config = a_config(links=links, linksInContainer=False, ipam=ipam)
    return Stage(thick, config, (shim.home / "leases",), with_host=True)
