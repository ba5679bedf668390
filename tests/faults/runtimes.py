"""Faults of the runtime: calls at once, late, twice, with another configuration, or not at all."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from tests.faults.fault import Fault, Phase
from tests.faults.scene import Scene
from tests.support import stages
from tests.support.calls import a_config
from tests.support.pods import come_home, ip
from tests.vm import rig

AT_ONCE: Final = 8
BONDED: Final = (Phase.BONDED,)
A_GUESTS: Final = r"^other: "
"""The other pod's own, which is compared as a guest's as soon as it is one."""


def delete_at_once(scene: Scene) -> None:
    """Send the same DEL from several runtimes."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(scene.call, ["DEL"] * AT_ONCE))
    assert [called.status for called in answers] == [0] * AT_ONCE, answers


def delete_meanwhile(scene: Scene) -> None:
    """Send the DEL of an ADD that is still at work; it has to wait for it."""
    scene.begin("DEL")


def collect_instead(scene: Scene) -> None:
    """Send a GC that does not list the attachment, and no DEL before."""
    assert scene.collect(*scene.guests).status == 0
    assert scene.pod.bond() is None


def collect_meanwhile(scene: Scene) -> None:
    """Send a GC with an old list while an ADD is at work."""
    scene.begin("GC", *scene.guests)


def give_to_another(scene: Scene) -> None:
    """Have the pod end without a DEL, and its VFs be bonded in another pod."""
    ip(f"netns del {scene.pod.name}")
    for number, pf in enumerate(rig.layout().pfs[:2], 1):
        scene.other.give(come_home(pf.vfs[0].pci), f"net{number}")
    if not scene.is_rehearsal:
        scene.invite(scene.other, scene.stage.config)


def make_again_at_its_path(scene: Scene) -> None:
    """Have another pod's namespace, with a bond of the same name, at the path of the first."""
    ip(f"netns del {scene.pod.name}")
    ip(f"netns add {scene.pod.name}")
    scene.inside(
        "link add bond0 address 02:00:00:00:0c:01 type bond",
        "link add net9 address 02:00:00:00:0c:02 type dummy",
        "link set net9 up",
    )


def with_config(**keys: object) -> Callable[[Scene], None]:
    """Return what sends the DEL with other keys in its configuration."""

    def change(scene: Scene) -> None:
        scene.config_of_del = {**scene.stage.config, **keys}

    return change


def with_other_config(config: Mapping[str, object]) -> Callable[[Scene], None]:
    """Return what sends the DEL with another configuration."""

    def change(scene: Scene) -> None:
        scene.config_of_del = dict(config)

    return change


CHANGED: Final = {
    "with another mode and other links": with_config(mode="802.3ad", links=[{"name": "eth7"}]),
    "with another IPAM plugin": with_config(ipam={"type": "static", "addresses": []}),
    "with an IPAM plugin that does not exist": with_config(ipam={"type": "nowhere"}),
    "without IPAM": with_config(ipam={}),
    "with keys that ADD refuses": with_config(mode=["x"], links="y", miimon={}, mtu="z"),
    "with no configuration at all": with_other_config({}),
    "with another network's name": with_other_config(a_config(name="another")),
}
FAULTS: Final = (
    Fault(
        f"{AT_ONCE} runtimes send the same DEL at once", delete_at_once, BONDED, is_harmless=True
    ),
    Fault(
        "the DEL comes while the ADD is at work", delete_meanwhile, (Phase.ADD,), is_harmless=True
    ),
    Fault("a GC comes instead of the DEL", collect_instead, BONDED, is_harmless=True),
    Fault(
        "a GC with an old list comes during ADD", collect_meanwhile, (Phase.ADD,), is_harmless=True
    ),
    Fault("the DEL comes when the VFs are another pod's", give_to_another, BONDED, spared=A_GUESTS),
    Fault("the pod's path is another namespace's", make_again_at_its_path, BONDED),
    *(Fault(f"DEL {words}", act, BONDED, is_harmless=True) for words, act in CHANGED.items()),
    Fault(
        "DEL of links of the host with keys that ADD refuses",
        CHANGED["with keys that ADD refuses"],
        BONDED,
        stage=stages.over_host_vfs,
        is_harmless=True,
    ),
)
