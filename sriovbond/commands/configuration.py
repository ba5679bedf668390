"""Reads the bond's configuration from a request, and refuses what ADD refuses for it alone.

`sriovbond validate` refuses by the same functions.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from sriovbond.bond import plan as planning
from sriovbond.bond import rules
from sriovbond.bond.config import NetConf, parse_config
from sriovbond.cni.decoding import find_duplicate_keys
from sriovbond.cni.network import NetworkText
from sriovbond.cni.request import CniRequest
from sriovbond.cni.result import CniResult, Dns
from sriovbond.errors import RefusedError, SriovbondError


def configuration(request: CniRequest) -> NetConf:
    """Return the configuration and CNI_ARGS as one NetConf. Raises ConfigError with every fault."""
    args = request.args
    return request.text.once(_understand, args.get("MAC", ""), args.get("IP", ""))


def _understand(text: NetworkText, mac: str, ip: str) -> NetConf:
    duplicates = find_duplicate_keys(text.decoded)
    return parse_config(text.config, {"MAC": mac, "IP": ip}, duplicates)


def accept(request: CniRequest, config: NetConf) -> None:
    """Raise what an ADD raises for its request alone, independent of the pod and the node.

    Raises CniError, ConfigError, RefusedError.
    """
    with naming_unknown_keys(config):
        own_dns(request.config)
        refuse_taken_name(request)
        planning.refuse(config.warnings, config.policy)


def own_dns(config: Mapping[str, object]) -> Dns | None:
    """Return the configuration's own DNS, which has priority over IPAM's."""
    if not config.get("dns"):
        return None
    own = CniResult.from_json({"dns": config["dns"]}, where="stdin").dns
    return None if own == Dns() else own


def refuse_taken_name(request: CniRequest, standing: Collection[str] = ()) -> None:
    """Raise RefusedError when IFNAME is in use: in prevResult, or by a link in the pod."""
    name, before = request.ifname, request.prev_result
    made = (
        {interface.name for interface in before.interfaces if interface.sandbox}
        if before
        else set()
    )
    # results before 0.3.0 have no interface names
    if name in made or (before and not before.interfaces and name in standing):
        why = f"an earlier plugin of this list made {name}"
        remedy = "give the bond a network of its own"
    elif name in standing:
        why = "an interface of that name exists already"
        remedy = "delete it, or ask for another name"
    else:
        return
    refusal = rules.NAME_TAKEN.finding(f"cannot make {name!r} in {request.netns!r}: {why}", remedy)
    raise RefusedError(refusal)


@contextmanager
def naming_unknown_keys(config: NetConf) -> Iterator[None]:
    """Add the unknown keys to each refusal's text: one of them may be the reason."""
    try:
        yield
    except SriovbondError as error:
        if all(fault.rule != rules.UNKNOWN_KEY.id for fault in (*error.faults, *error.hints)):
            error.hints += config.passed_over
        raise
