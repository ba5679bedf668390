"""An agent that watches bonds, as its log and its metrics show it; and the bond that it watches."""

import re

from tests.support.agents import Agent, wait_for
from tests.support.pods import Pod
from tests.support.scrape import samples

POD_ARGS = "IgnoreUnknown=1;K8S_POD_NAMESPACE=nf;K8S_POD_NAME=upf-0;K8S_POD_UID=u-1"


def kinds(agent: Agent) -> list[str]:
    return re.findall(r" kind=(\w+)", agent.said)


def await_logged(agent: Agent, kind: str, count: int = 1) -> str:
    """Wait until the agent has logged this kind so often; return its last line."""
    wait_for(lambda: kinds(agent).count(kind) >= count)
    return [line for line in agent.said.splitlines() if f"kind={kind}" in line][-1]


def await_working(pod: Pod, count: int = 2) -> None:
    wait_for(lambda: sum(member.mii_up for member in pod.the_bond().members) == count)


def active(pod: Pod) -> str:
    return next((member.name for member in pod.the_bond().members if member.is_active), "")


def far_of(name: str) -> str:
    return name.replace("net", "far")


def await_watched(agent: Agent, bonds: int = 1) -> None:
    """Wait until the agent watches so many bonds: it finds a new one by its record."""
    wait_for(lambda: samples(agent.metrics, "sriovbond_bonds") == [bonds])


def await_settled(agent: Agent, bonds: int = 1) -> None:
    """Wait until it watches so many, and has seen all their members working."""
    await_watched(agent, bonds)
    wait_for(
        lambda: (
            sum(samples(agent.metrics, "sriovbond_bond_members_working"))
            == sum(samples(agent.metrics, "sriovbond_bond_members"))
        )
    )
