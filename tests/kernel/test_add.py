"""ADD over real VFs and over veth pairs: the requested bond is built."""

import pytest

from tests.kernel.conftest import Wires
from tests.support.calls import Runtime, a_config
from tests.support.pods import Pod, batch, ip


@pytest.mark.vf
def test_add_bonds_the_two_vfs_of_a_pod_without_their_names_in_links(
    runtime: Runtime, vf_pod: Pod
) -> None:
    result = runtime.add(a_config()).ok()

    state = vf_pod.bond()
    assert state is not None
    assert state.settings["mode"] == "active-backup"
    assert state.settings["fail_over_mac"] == "active"
    assert state.settings["miimon"] == 100
    assert {member.name for member in state.members} == {"net1", "net2"}
    assert result["interfaces"] == [
        {"name": "bond0", "mac": state.mac, "mtu": 1500, "sandbox": vf_pod.path}
    ]


def test_add_bonds_named_links_of_the_pod(runtime: Runtime, wires: Wires) -> None:
    runtime.add(a_config(links=wires.links)).ok()

    state = wires.pod.bond()
    assert state is not None
    assert [member.name for member in state.members] == ["net1", "net2"]
    assert all(member.is_up for member in state.members)


LONG = "an-altname-that-is-longer-than-a-name-may-be"


def test_add_bonds_links_of_the_pod_by_their_altnames(runtime: Runtime, wires: Wires) -> None:
    wires.pod.batch(
        "link property add dev net1 altname blue",
        f"link property add dev net2 altname green altname {LONG}",
    )
    config = a_config(links=[{"name": LONG}, {"name": "blue"}], primary="blue")

    result = runtime.add(config).ok()

    state = wires.pod.the_bond()
    assert {member.name for member in state.members} == {"net1", "net2"}
    assert state.settings["primary"] == "net1"
    runtime.check(config, result).ok()
    runtime.delete(config).ok()
    assert wires.pod.the_link("net2").altnames == ("green", LONG)


def test_add_refuses_one_link_by_two_names(runtime: Runtime, wires: Wires) -> None:
    wires.pod.ip("link property add dev net1 altname blue")

    reply = runtime.add(a_config(links=[{"name": "net1"}, {"name": "blue"}]))

    assert "[member-twice]" in reply.msg


def test_add_refuses_a_name_that_is_an_altname_in_the_pod(runtime: Runtime, wires: Wires) -> None:
    wires.pod.ip("link property add dev net1 altname bond0")

    reply = runtime.add(a_config(links=wires.links))

    assert "[name-taken]" in reply.msg


@pytest.mark.parametrize("record", ["there", "lost"])
def test_links_of_the_host_come_home_that_were_requested_by_altname(
    runtime: Runtime, on_host: tuple[str, str], pod: Pod, record: str
) -> None:
    batch(*(f"link property add dev {name} altname {name}-{LONG}" for name in on_host))
    links = [{"name": f"{name}-{LONG}"} for name in on_host]
    config = a_config(links=links, linksInContainer=False)
    runtime.add(config).ok()
    assert {one.name for one in pod.the_bond().members} == set(on_host)
    if record == "lost":
        (file,) = runtime.host.records.glob("*.json")
        file.unlink()

    runtime.delete(config).ok()

    for name in on_host:
        assert ip(f"-j link show {name}-{LONG}")[0]["ifname"] == name
