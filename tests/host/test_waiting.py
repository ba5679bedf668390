"""A change waits for a person, who keeps it or reverts it; what is not of it is left alone."""

from pathlib import Path

import pytest
import yaml

from sriovbond.errors import MachineError, TryLaterError
from sriovbond.trial import enactments, ending
from sriovbond.trial.transaction import ChangeOutcome
from tests.support.changes import Changes
from tests.support.sites import a_node
from tests.support.uplinks import BRIDGE, DNS

SOON_S = 30.0


def test_a_change_that_waits_is_kept_by_commit_alone(changes: Changes) -> None:
    assert changes.apply(BRIDGE, SOON_S, is_waiting=True) is ChangeOutcome.WAITING
    with pytest.raises(TryLaterError, match=r"a change waits for .* more"):
        changes.apply(DNS)

    changes.commit()

    with pytest.raises(MachineError, match="no change waits"):
        changes.commit()
    assert changes.node.left(BRIDGE) == []


def test_a_change_that_waits_is_reverted_by_rollback(changes: Changes) -> None:
    before = changes.node.settle()
    changes.apply(BRIDGE + DNS, is_waiting=True)

    changes.rollback()

    changes.node.assert_is(before)


def test_an_enactment_follows_a_change_that_waits_is_kept_and_is_rolled_back(
    changes: Changes,
) -> None:
    def condition() -> tuple[str, str]:
        file = enactments.folder(changes.node.host) / "uplink.yml"
        rows = yaml.safe_load(file.read_text())["status"]["conditions"]
        (row,) = [row for row in rows if row["status"] == "True"]
        return row["type"], row["message"]

    changes.apply(BRIDGE, is_waiting=True, name="uplink")
    waiting = condition()
    changes.commit()
    kept = condition()
    changes.apply(BRIDGE + DNS, is_waiting=True, name="uplink")
    changes.rollback()

    assert waiting == ("Progressing", "Applying desired state")
    assert kept == ("Available", "successfully reconciled")
    assert condition() == ("Failing", "it was rolled back; all is as it was before")


def test_a_change_of_another_namespace_is_left_alone(changes: Changes, tmp_path: Path) -> None:
    changes.apply(BRIDGE, is_waiting=True)
    with a_node(tmp_path / "other") as other:
        checkpoint = changes.checkpoint
        assert checkpoint is not None
        with pytest.raises(MachineError, match="of another network namespace"):
            ending.revert(other.site, changes.node.host, checkpoint)

        assert other.sent == []
    assert changes.node.left(BRIDGE) == []
    changes.rollback()


@pytest.mark.parametrize("promotes", ["0", "1"])
def test_routes_outlive_the_only_address_of_a_link(changes: Changes, promotes: str) -> None:
    """The kernel removes the routes of a link with its last address, also of the document's."""
    node, names = changes.node, ("all", "eth2")
    node.ip("address add 198.51.100.9/24 dev eth2", "route add 10.0.0.0/8 via 198.51.100.1")
    node.site.node.set_sysctls({f"ipv4/conf/{x}/promote_secondaries": promotes for x in names})
    before = node.settle()
    address = "{enabled: true, dhcp: false, address: [{ip: 198.51.100.8, prefix-length: 24}]}"

    changes.apply(f"interfaces: [{{name: eth2, ipv4: {address}}}]", is_waiting=True)
    meanwhile = node.pod.run("ip", "route").stdout
    changes.rollback()

    assert "10.0.0.0/8 via 198.51.100.1 dev eth2" in meanwhile
    node.assert_is(before)
