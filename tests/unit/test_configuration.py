from sriovbond.cni.request import parse_request
from sriovbond.commands.configuration import configuration
from tests.support.shims import variables

CONFIG = b'{"cniVersion": "1.1.0", "name": "a", "type": "sriovbond", "failOverMac": 0}'


def test_pods_of_one_network_have_their_own_macs() -> None:
    args = ["MAC=02:00:00:00:00:01", "MAC=02:00:00:00:00:02", ""]

    environments = [variables("ADD", CNI_ARGS=one) for one in args]
    told = [configuration(parse_request(one, CONFIG)).mac for one in environments]

    assert told == ["02:00:00:00:00:01", "02:00:00:00:00:02", None]
