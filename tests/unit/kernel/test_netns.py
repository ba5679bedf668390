"""Namespaces: refusals that need no kernel."""

import pytest

from sriovbond.bond.links import Sysctl
from sriovbond.errors import MachineError
from sriovbond.kernel import netns


@pytest.mark.parametrize("name", ["all", "default"])
def test_the_sysctls_of_all_links_are_no_links(name: str) -> None:
    with netns.own() as here:
        assert here.link_sysctls(name) == ()
        with pytest.raises(MachineError, match=f"of the link '{name}'.*give the link another name"):
            here.set_link_sysctls(name, [Sysctl("ipv4", "no_such_key", "1")])
