"""Whether a bond may take a host link: the node's permission, and the reasons against it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from sriovbond.bond import rules
from sriovbond.bond.links import ALTNAME_MAX, Member
from sriovbond.bond.rules import Finding

NODE_FILE = "/etc/sriovbond/node.toml"
KEY = "host_links"
_UNUSED, _NONE = "unused", "none"
_MOST_NAMES = 256
_MOST_TOLD = 5
# Kinds that may be members; a tunnel, a bridge or a switch's port belongs to its creator.
_KINDS = frozenset({"", "dummy", "veth", "vlan", "macvlan", "netdevsim"})


@dataclass(frozen=True, slots=True)
class HostLinks:
    """What the node lends to pods: its unused links if `names` is None, else those named.

    `fault` is why the node's file cannot be used; then nothing is lent.
    """

    names: tuple[str, ...] | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Other users of a host link, beyond those in its snapshot.

    `has_functions`: it has VFs or sub-functions. `resource` is the device plugin's that offers it
    and `is_given` whether it is allocated to this pod; `is_unknown`: the owner of the VF is
    unknown. `elsewhere` is the link on top of it in another namespace.
    """

    has_functions: bool = False
    resource: str = ""
    is_given: bool = False
    is_unknown: bool = False
    elsewhere: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """A link that the node does not lend, and why."""

    member: Member
    why: str
    is_of_plugin: bool = False

    @property
    def key(self) -> str:
        """The key that the node's file would need: a name alone lends no device of a plugin."""
        return self.member.device if self.is_of_plugin else self.member.name


def parse_host_links(setting: object) -> HostLinks:
    """Parse the node's setting. Raises ValueError with a text for the operator."""
    if setting == _UNUSED:
        return HostLinks()
    if setting == _NONE:
        return HostLinks(names=())
    is_list = isinstance(setting, list) and len(setting) <= _MOST_NAMES
    if isinstance(setting, list) and is_list and all(_is_name(name) for name in setting):
        return HostLinks(names=tuple(setting))
    raise ValueError(
        f'{KEY}: expected "{_UNUSED}", "{_NONE}", or a list of at most {_MOST_NAMES} names, '
        f"patterns or PCI addresses, found {setting!r}"
    )


def _is_name(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name) <= ALTNAME_MAX and name.isprintable()


def kept(lent: HostLinks, member: Member, usage: Usage) -> Kept | None:
    """Return why the node does not lend the link; None if a pod may have it."""
    if lent.fault:
        return Kept(member, lent.fault)
    if lent.names and any(_is_address(name, member) for name in lent.names):
        return None
    if usage.resource and not usage.is_given:
        why = f"the device plugin of {usage.resource} has it, and kubelet did not give it this pod"
        return Kept(member, why, is_of_plugin=True)
    if lent.names is None:
        reasons = list(_uses(member, usage))
        return Kept(member, " and ".join(reasons)) if reasons else None
    # not by altname, and no device of a plugin: a pod that had the link may have named it
    if any(fnmatchcase(member.name, name) for name in lent.names):
        return None
    lent_names = ", ".join(lent.names[:_MOST_TOLD]) or "none"
    return Kept(member, f"the node lends {lent_names}")


def _is_address(name: str, member: Member) -> bool:
    device = member.device
    return bool(device) and name.lower() in (device, device.removeprefix("0000:"))


def _uses(member: Member, usage: Usage) -> Sequence[str]:
    link = member.link
    carried = [entry.text for entry in (*link.addresses, *link.routes)]
    if link.has_default_route and "route default" not in carried:
        carried.append("route default")
    more = f" and {len(carried) - _MOST_TOLD} more" if len(carried) > _MOST_TOLD else ""
    kind = "an interface of kind"
    uses = (
        (bool(carried), f"it has {', '.join(carried[:_MOST_TOLD])}{more}"),
        (bool(link.uppers), f"it carries {', '.join(link.uppers)}"),
        (bool(link.master), f"it is in {link.within.name if link.within else 'a bond or bridge'}"),
        (usage.has_functions, "VFs or sub-functions are made of it"),
        (bool(usage.elsewhere), f"{usage.elsewhere} in another namespace is on top of it"),
        (link.kind not in _KINDS, f"it is {kind} {link.kind}"),
        (usage.is_unknown, "it is a VF, and neither kubelet nor its checkpoint reports its owner"),
    )
    return [words for holds, words in uses if holds]


def refusal(lent: HostLinks, those: Sequence[Kept]) -> Finding:
    """Return the finding: the links with reasons, and the line by which the node lends them."""
    refusals = "; ".join(f"{kept_link.member}: {kept_link.why}" for kept_link in those[:_MOST_TOLD])
    refusals += f"; and {len(those) - _MOST_TOLD} more" if len(those) > _MOST_TOLD else ""
    if lent.fault:
        remedy = f"correct {NODE_FILE} on the node"
    else:
        names = dict.fromkeys((*(lent.names or ()), *(kept_link.key for kept_link in those)))
        line = f"{KEY} = {json.dumps(list(names), ensure_ascii=False)}"
        remedy = (
            "name interfaces that the node does not use, or have it lend these: write "
            f"{line} into {NODE_FILE} on the node"
        )
    return rules.HOST_LINKS_NOT_ALLOWED.finding(
        f"cannot take interfaces of the host, {refusals}", remedy
    )
