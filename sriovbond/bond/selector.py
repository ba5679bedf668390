"""One entry of `links`: which links it means, and their own options in the bond."""

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
    """Have pydantic take what the kind of an option takes."""
    return BeforeValidator(
        lambda json_value: None if json_value is None else kind.parse(json_value)
    )


_Pattern = Annotated[str | None, Field(min_length=1, max_length=_PATTERN_LENGTH)]


class LinkSelector(BaseModel):
    """One entry of `links`: which links it means, by all of what it names, and their options.

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
        """What it asks for, by selector."""
        texts = {key: getattr(self, key) for key in SELECTORS}
        return {key: value for key, value in texts.items() if value}

    @cached_property
    def is_exact(self) -> bool:
        """True where it is one interface's name and nothing else, as bond-cni has it."""
        return set(self.wanted) == {"name"} and not _PATTERN.search(self.name or "")

    def takes_all_of(self, later: Self) -> bool:
        """Say whether whatever `later` means is surely meant by this one, too."""
        return all(
            _is_within(later.wanted[key], text) if key in later.wanted else False
            for key, text in self.wanted.items()
        )

    def __str__(self) -> str:
        return ", ".join(f"{key} {value!r}" for key, value in self.wanted.items())

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The options asked for."""
        options = ((row.name, getattr(self, row.name)) for row in MEMBER_OPTIONS)
        return tuple(Setting(name, value) for name, value in options if value is not None)

    def apply_to(self, member: Member) -> Member:
        """Return the member with the options asked for."""
        return replace(
            member, prio=self.prio, queue_id=self.queue_id, actor_port_prio=self.actor_port_prio
        )


def _is_within(value: str, pattern: str) -> bool:
    """Say whether all that one text of a selector means is surely meant by another one.

    Of two patterns this is told by their text only where they have no brackets, and the wider one
    no question mark: then its stars alone can stand for the wildcards of the other.
    """
    if _plain(value) == _plain(pattern):
        return True
    if _PATTERN.search(value) and ("[" in value or "[" in pattern or "?" in pattern):
        return False
    return fnmatchcase(value, pattern)


def _plain(text: str) -> str:
    """Return an address as the shorter of its spellings, and anything else as it is."""
    if ":" not in text or _PATTERN.search(text):
        return text
    return text.lower().removeprefix("0000:")


def most_members(links: Sequence[LinkSelector] | None) -> int | None:
    """Return how many members `links` can give, None where only the pod's links tell."""
    if links is None or not all(link.is_exact for link in links):
        return None
    return len({link.name for link in links})


def find_shadowed(links: Sequence[LinkSelector]) -> Iterator[tuple[int, int]]:
    """Yield the entries that an earlier one leaves nothing, and the earlier ones, by place."""
    for place, link in enumerate(links):
        takers = (other for other in range(place) if links[other].takes_all_of(link))
        earlier = next(takers, None)
        if earlier is not None:
            yield place, earlier


def host_faults(links: Sequence[LinkSelector] | None) -> list[str]:
    """Say why `links` can mean nothing on the host."""
    if links is None:
        return ["linksInContainer: false needs `links`: name the host's interfaces"]
    return [
        f"links.{place}: {link} cannot be found on the host: kubelet gives devices to pods; "
        "select by name, pci or pf, or leave linksInContainer out"
        for place, link in enumerate(links)
        if link.network or link.resource
    ]
