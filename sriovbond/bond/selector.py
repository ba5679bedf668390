"""One entry of `links`: the links it selects, and their own options in the bond."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from sriovbond.bond.kinds import ValueKind
from sriovbond.bond.links import ALTNAME_MAX, Member
from sriovbond.bond.options import MEMBER_OPTIONS, Setting, option

SELECTORS = ("name", "network", "resource", "pci", "pf")
_PATTERN = re.compile(r"[*?\[]")
_PATTERN_LENGTH = 317  # a resource's name: a DNS subdomain, a slash and 63 characters


def parse_by(kind: ValueKind) -> BeforeValidator:
    """Return the pydantic validator that parses as the kind of an option does."""
    return BeforeValidator(
        lambda json_value: None if json_value is None else kind.parse(json_value)
    )


_Pattern = Annotated[str | None, Field(min_length=1, max_length=_PATTERN_LENGTH)]


class LinkSelector(BaseModel):
    """One entry of `links`: it selects the links that match all its selectors; and their options.

    Each of name, network, resource, pci and pf may be a shell pattern.
    """

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={"anyOf": [{"required": [key]} for key in SELECTORS]},
    )

    name: Annotated[_Pattern, Field(description="The interface, or an altname.")] = None
    network: Annotated[
        _Pattern, Field(description="The NetworkAttachmentDefinition, with or without namespace.")
    ] = None
    resource: Annotated[
        _Pattern, Field(description="The extended resource by which kubelet gave the device.")
    ] = None
    pci: Annotated[_Pattern, Field(description="The address of the device.")] = None
    pf: Annotated[_Pattern, Field(description="The PF of a VF, by name or address.")] = None
    prio: Annotated[int | None, parse_by(option("prio").kind)] = None
    queue_id: Annotated[int | None, parse_by(option("queue_id").kind)] = None
    actor_port_prio: Annotated[int | None, parse_by(option("actor_port_prio").kind)] = None

    @model_validator(mode="after")
    def _selects(self) -> Self:
        if not self.wanted:
            raise ValueError(f"expected one of {', '.join(SELECTORS)}, found none")
        name = self.name or ""
        if not _PATTERN.search(name) and len(name) > ALTNAME_MAX:
            raise ValueError(f"an interface's name has at most {ALTNAME_MAX} characters")
        return self

    @cached_property
    def wanted(self) -> dict[str, str]:
        """Its values, by selector."""
        texts = {key: getattr(self, key) for key in SELECTORS}
        return {key: value for key, value in texts.items() if value}

    @cached_property
    def is_exact(self) -> bool:
        """Whether it is one interface's name and nothing else, as in bond-cni."""
        return set(self.wanted) == {"name"} and not _PATTERN.search(self.name or "")

    def takes_all_of(self, later: Self) -> bool:
        """Return whether all links selected by `later` are certainly selected by this one, too."""
        return all(
            _is_within(later.wanted[key], text) if key in later.wanted else False
            for key, text in self.wanted.items()
        )

    def __str__(self) -> str:
        return ", ".join(f"{key} {value!r}" for key, value in self.wanted.items())

    @property
    def settings(self) -> tuple[Setting, ...]:
        """Its options."""
        options = ((row.name, getattr(self, row.name)) for row in MEMBER_OPTIONS)
        return tuple(Setting(name, value) for name, value in options if value is not None)

    def apply_to(self, member: Member) -> Member:
        """Return the member with the entry's options."""
        return replace(
            member, prio=self.prio, queue_id=self.queue_id, actor_port_prio=self.actor_port_prio
        )


def _is_within(value: str, pattern: str) -> bool:
    """Return whether all matches of one selector's text are certainly matches of another's.

    Two patterns are compared by their text only if they have no brackets, and the wider one no
    question mark: then its stars alone can match the wildcards of the other.
    """
    if _plain(value) == _plain(pattern):
        return True
    if _PATTERN.search(value) and ("[" in value or "[" in pattern or "?" in pattern):
        return False
    return fnmatchcase(value, pattern)


def _plain(text: str) -> str:
    """Return an address in its shorter spelling, any other text unchanged."""
    if ":" not in text or _PATTERN.search(text):
        return text
    return text.lower().removeprefix("0000:")


def most_members(links: Sequence[LinkSelector] | None) -> int | None:
    """Return the maximum number of members that `links` selects, None if it depends on the pod."""
    if links is None or not all(link.is_exact for link in links):
        return None
    return len({link.name for link in links})


def find_shadowed(links: Sequence[LinkSelector]) -> Iterator[tuple[int, int]]:
    """Yield the places of entries that an earlier one leaves no match, and the latter's."""
    for place, link in enumerate(links):
        takers = (other for other in range(place) if links[other].takes_all_of(link))
        earlier = next(takers, None)
        if earlier is not None:
            yield place, earlier


def host_faults(links: Sequence[LinkSelector] | None) -> list[str]:
    """Return why `links` cannot match on the host."""
    if links is None:
        return ["linksInContainer: false needs `links`: name the host's interfaces"]
    return [
        f"links.{place}: {link} cannot be found on the host: kubelet gives devices to pods; "
        "select by name, pci or pf, or leave linksInContainer out"
        for place, link in enumerate(links)
        if link.network or link.resource
    ]
