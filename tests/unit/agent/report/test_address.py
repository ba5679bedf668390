import pytest

from sriovbond.agent.report.address import Address


@pytest.mark.parametrize(
    "text", ["127.0.0.1:9750", "0.0.0.0:1", "[::1]:65535", "unix:/run/sriovbond/metrics.sock"]
)
def test_an_address_is_written_as_it_was_read(text: str) -> None:
    assert str(Address.parse(text)) == text


def test_an_ipv6_address_is_written_in_its_short_form() -> None:
    assert str(Address.parse("[0:0::1]:80")) == "[::1]:80"


@pytest.mark.parametrize(
    "text",
    [
        *("", "9750", ":9750", "localhost:9750", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536"),
        *("::1:9750", "[127.0.0.1]:9750", "[::1]", "300.0.0.1:9750", "127.0.0.1:٩٧"),
        *("unix:run/metrics.sock", "unix:", "/run/metrics.sock", "unix:/" + "x" * 100),
    ],
)
def test_a_text_that_is_no_address_is_refused_with_the_valid_forms(text: str) -> None:
    with pytest.raises(ValueError, match=r"127\.0\.0\.1:9750, or \[IPv6\]:PORT, or unix:/PATH"):
        Address.parse(text)
