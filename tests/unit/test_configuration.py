import json

import pytest

from sriovbond.cni.request import parse_request
from sriovbond.commands.configuration import configuration, refuse_taken_name
from sriovbond.errors import RefusedError
from tests.support.shims import variables

CONFIG = b'{"cniVersion": "1.1.0", "name": "a", "type": "sriovbond", "failOverMac": 0}'


def test_pods_of_one_network_have_their_own_macs() -> None:
    args = ["MAC=02:00:00:00:00:01", "MAC=02:00:00:00:00:02", ""]

    environments = [variables("ADD", CNI_ARGS=one) for one in args]
    told = [configuration(parse_request(one, CONFIG)).mac for one in environments]

    assert told == ["02:00:00:00:00:01", "02:00:00:00:00:02", None]


def test_a_name_is_taken_by_an_interface_of_the_pod_and_not_by_one_of_the_host() -> None:
    def with_interface(**place: str) -> bytes:
        result = {"cniVersion": "1.1.0", "interfaces": [{"name": "bond0", **place}]}
        return json.dumps({**json.loads(CONFIG), "prevResult": result}).encode()

    refuse_taken_name(parse_request(variables("ADD"), with_interface()))

    request = parse_request(variables("ADD"), with_interface(sandbox="/run/netns/pod"))
    with pytest.raises(RefusedError, match="an earlier plugin of this list made bond0"):
        refuse_taken_name(request)
