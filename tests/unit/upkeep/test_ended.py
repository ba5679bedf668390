"""The memory of pods that kubelet does not list is bounded; the proofs are tested in the VM."""

from pathlib import Path
from tempfile import TemporaryDirectory

from deviceinfo import Places, PodRef
from sriovbond.host import Host
from sriovbond.records import Record
from sriovbond.upkeep.ended import Ended
from tests.support import kubelet as kubelets


def a_record(name: str) -> Record:
    namespace = (0, 0, 0)
    return Record(
        "net", name, "net1", "/gone", namespace, "boot", None, pod=PodRef("default", name)
    )


def test_of_too_many_missing_pods_the_oldest_are_queried_again(tmp_path: Path) -> None:
    clock = [0.0]
    with TemporaryDirectory() as folder, kubelets.running(Path(folder)) as kubelet:
        kubelet.serve(kubelets.a_pod("other"))
        host = Host(places=Places(pod_resources=kubelet.socket), proc=tmp_path, state=tmp_path)
        (tmp_path / "records").mkdir()
        ended = Ended(host, clock=lambda: clock[0], most=2)
        for name in ("a", "b", "c"):
            assert "kubelet is asked again" in ended.doubt(a_record(name))
        clock[0] = 61

        doubts = [ended.doubt(a_record(name)) for name in ("b", "c", "a")]

    assert ["asked again" in doubt for doubt in doubts] == [False, False, True]


def test_a_doubt_that_is_the_same_has_the_same_words(tmp_path: Path) -> None:
    """Other words would be reported, and be an Event, each time."""
    clock = [0.0]
    with TemporaryDirectory() as folder, kubelets.running(Path(folder)) as kubelet:
        kubelet.serve(kubelets.a_pod("other"))
        host = Host(places=Places(pod_resources=kubelet.socket), proc=tmp_path, state=tmp_path)
        (tmp_path / "records").mkdir()
        ended = Ended(host, clock=lambda: clock[0])

        doubts = []
        for clock[0] in (0.0, 5.0, 15.0, 35.0):
            doubts.append(ended.doubt(a_record("a")))

    assert len(set(doubts)) == 1
