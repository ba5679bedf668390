"""The configuration keys that are ours, and their valid values."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from sriovbond.bond.kinds import INT_MAX, Mac, Number, absolute, whole_number
from sriovbond.bond.selector import LinkSelector, parse_by
from sriovbond.bond.situation import Redundancy, RedundancyLevel

_MTU: Final = Number(1, INT_MAX)


class Policy(StrEnum):
    """How warnings are handled: refused, logged, or ignored."""

    STRICT = "strict"
    DEFAULT = "default"
    WARN = "warn"


class MemberAddresses(StrEnum):
    """How addresses and routes of members are handled."""

    FLUSH = "flush"
    REFUSE = "refuse"
    KEEP = "keep"


def _mtu(json_value: object) -> object:
    # bond-cni treats 0 as "not given"
    return None if json_value is None or whole_number(json_value) == 0 else _MTU.parse(json_value)


def _truth(json_value: object) -> object:
    if json_value is None or isinstance(json_value, bool):
        return json_value
    raise ValueError(f"expected true or false, found {json_value!r}")


class OwnKeys(BaseModel):
    """The values of our keys on stdin, without kernel options and keys of others."""

    model_config = ConfigDict(frozen=True)

    links: Annotated[
        tuple[LinkSelector, ...] | None,
        Field(
            description="What to bond: names, or selectors by network, resource, pci, pf; "
            "absent or auto: every VF of a kernel driver in the pod"
        ),
    ] = None
    links_in_container: Annotated[
        bool | None,
        BeforeValidator(_truth),
        Field(
            alias="linksInContainer",
            description="true: `links` are in the pod; false: on the host; absent: in the pod "
            "if it has any of them, else on the host",
        ),
    ] = None
    min_members: Annotated[
        int,
        parse_by(Number(1, INT_MAX)),
        Field(alias="minMembers", description="The fewest members that will do"),
    ] = 2
    mtu: Annotated[
        int | None,
        BeforeValidator(_mtu),
        Field(description="The MTU of bond and members; absent or 0: the smallest of theirs"),
    ] = None
    mac: Annotated[
        str | None,
        parse_by(Mac()),
        Field(description="The bond's MAC, also by runtimeConfig.mac or CNI_ARGS MAC"),
    ] = None
    member_addresses: Annotated[
        MemberAddresses,
        Field(
            alias="memberAddresses",
            description="What happens to addresses that members carry: flush, refuse or keep",
        ),
    ] = MemberAddresses.FLUSH
    redundancy: Annotated[
        Redundancy,
        Field(
            description="Members that fail together: require refuses, prefer warns, off is silent"
        ),
    ] = Redundancy.PREFER
    redundancy_level: Annotated[
        RedundancyLevel,
        Field(
            alias="redundancyLevel",
            description="What members must not share: pf, or nic (PCI slot of the PF)",
        ),
    ] = RedundancyLevel.PF
    switch_lag: Annotated[
        bool | None,
        BeforeValidator(_truth),
        Field(
            alias="switchLag",
            description="true: the switch has a static LAG over exactly the members' PFs, which no "
            "host can see",
        ),
    ] = None
    policy: Annotated[
        Policy,
        Field(description="What happens to warnings: strict refuses, default logs, warn is silent"),
    ] = Policy.DEFAULT
    log_file: Annotated[
        str | None,
        BeforeValidator(absolute),
        Field(alias="logFile", description="A file below /var/log for the log; absent: stderr"),
    ] = None


OWN_FIELDS: Final = {name: field.alias or name for name, field in OwnKeys.model_fields.items()}
