"""What a request's configuration asks of the bond."""

from sriovbond.bond.config import NetConf, parse_config
from sriovbond.cni.memory import remembered
from sriovbond.cni.request import CniRequest, read_config


def configuration(request: CniRequest) -> NetConf:
    """Return what the configuration and CNI_ARGS describe. Raises ConfigError with every fault."""
    return _understood(request.stdin, request.args.get("MAC", ""))


@remembered
def _understood(stdin: bytes, mac: str) -> NetConf:
    return parse_config(read_config(stdin), {"MAC": mac})
