from sriovbond.cni.request import parse_request
from sriovbond.commands.configuration import configuration

CONFIG = b'{"cniVersion": "1.1.0", "name": "a", "type": "sriovbond", "failOverMac": 0}'


def test_pods_of_one_network_have_their_own_macs() -> None:
    macs = ["02:00:00:00:00:01", "02:00:00:00:00:02", None]

    told = [configuration(parse_request(_environment(mac), CONFIG)).mac for mac in macs]

    assert told == macs


def _environment(mac: str | None) -> dict[str, str]:
    args = f"IgnoreUnknown=1;MAC={mac}" if mac else "IgnoreUnknown=1"
    return {
        "CNI_COMMAND": "ADD",
        "CNI_CONTAINERID": "pod1",
        "CNI_NETNS": "/run/netns/pod1",
        "CNI_IFNAME": "bond0",
        "CNI_PATH": "/opt/cni/bin",
        "CNI_ARGS": args,
    }
