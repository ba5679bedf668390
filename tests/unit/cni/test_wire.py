from sriovbond.cni.wire import ErrorCode, error_json


def test_an_error_is_written_with_its_code_as_a_number() -> None:
    written = error_json("1.0.0", ErrorCode.INVALID_CONFIG, "cannot", "because")

    assert written == {"cniVersion": "1.0.0", "code": 7, "msg": "cannot", "details": "because"}


def test_an_error_without_details_is_written_without_the_key() -> None:
    written = error_json("1.1.0", 100, "cannot")

    assert written == {"cniVersion": "1.1.0", "code": 100, "msg": "cannot"}
