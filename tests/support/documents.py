"""What `host show` prints of a node, and what `host plan` makes of it there."""

from typing import Any

from sriovbond.host import Host
from sriovbond.kernel.netns import Namespace
from sriovbond.nodenet import document
from sriovbond.nodenet.joined import join
from sriovbond.nodenet.model import NetState, NodeLink
from sriovbond.nodenet.steps import plan
from sriovbond.nodenet.writer import plain, to_yaml
from sriovbond.survey import node as survey
from sriovbond.survey.shown import show


def shown(node: Namespace) -> NetState:
    """Return what is shown of a node."""
    return show(survey.read(node, Host()))


def left_to_do(node: Namespace, text: str = "") -> list[str]:
    """Return the steps that a document would take on a node, by default what is shown of it."""
    documents = document.read(text or to_yaml(shown(node)))
    wish = document.unite(documents)
    joined = join(wish.state, survey.read(node, Host()))
    assert not joined.complaints
    assert not wish.unset
    return [str(step) for step in plan(joined)]


def link(state: NetState, name: str) -> NodeLink:
    """Return an interface of a state."""
    return next(row for row in state.interfaces or () if row.name == name)


def values(state: NetState, name: str) -> dict[str, Any]:
    """Return an interface as the document has it."""
    return plain(link(state, name))
