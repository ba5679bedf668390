"""Churn, as the bonding driver writes it."""

import pytest

from sriovbond.survey import lacp

FILE = """Ethernet Channel Bonding Driver: v6.12.117

Bonding Mode: IEEE 802.3ad Dynamic link aggregation
Transmit Hash Policy: layer2 (0)

802.3ad info
LACP active: on
LACP rate: slow

Slave Interface: pf0
MII Status: up
Slave queue ID: 0
Aggregator ID: 1
Actor Churn State: monitoring
Partner Churn State: churned
Actor Churned Count: 0
Partner Churned Count: 1

Slave Interface: pf1
MII Status: up
Actor Churn State: churned
Partner Churn State: churned
Actor Churned Count: 1

Slave Interface: pf2
Actor Churn State: none
Partner Churn State: none
"""


def test_churned_ends_are_read_by_port() -> None:
    assert lacp.read_churned(FILE) == {"pf0": ("partner",), "pf1": ("actor", "partner")}


@pytest.mark.parametrize("text", ["", "Slave Interface: pf0\n", "Actor Churn State\n", "\0"])
def test_a_file_that_says_nothing_of_churn_has_none(text: str) -> None:
    assert lacp.read_churned(text) == {}
