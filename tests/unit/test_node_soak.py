"""The soak of a node; the pods themselves come and go in `make test-node`."""

import json
from pathlib import Path

import pytest

from tests.node import sandbox
from tests.node.inside import soak_faults
from tests.node.inside.soak_faults import AGENT_KILLED, FAULTS, MULTUS_KILLED, NONE, SPOILING

PODS = 500


def test_a_seed_gives_the_same_faults_again_and_another_seed_others() -> None:
    def drawn(seed: int) -> list[str]:
        return [soak_faults.draw(seed, number)[0].title for number in range(PODS)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_each_fault_strikes_some_of_the_pods() -> None:
    drawn = {soak_faults.draw(15, number)[0].title for number in range(PODS)}

    every = (NONE, *FAULTS, *SPOILING, *AGENT_KILLED, *MULTUS_KILLED)
    assert drawn == {fault.title for fault in every}


def test_no_two_faults_have_one_title() -> None:
    titles = [fault.title for fault in (*FAULTS, *SPOILING, *AGENT_KILLED, *MULTUS_KILLED)]

    assert len({*titles}) == len(titles)


@pytest.mark.parametrize(
    "written",
    [
        {"cniVersion": "0.3.1", "name": "multus", "type": "multus-shim"},
        {"cniVersion": "0.3.1", "name": "multus", "plugins": [{"type": "multus-shim"}]},
    ],
    ids=["a plugin", "a list"],
)
def test_multus_shim_reads_its_configuration_as_a_runtime_hands_it_over(
    tmp_path: Path, written: dict[str, object]
) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text(json.dumps(written))

    sandbox.write_config(source, target)

    config = json.loads(target.read_text())
    assert config == {"cniVersion": "0.3.1", "name": "multus", "type": "multus-shim"}


def test_a_sandbox_is_known_by_its_container_id_in_records_and_leases() -> None:
    one = sandbox.Sandbox("soak-1", "uid", Path("config"))

    assert one.record.name == f"{one.container_id}@bond0.json"
    assert len(one.container_id) == 64
    assert one.container_id != sandbox.Sandbox("soak-1", "another", Path("config")).container_id
