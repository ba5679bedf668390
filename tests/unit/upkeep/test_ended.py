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
            assert "next check in 60 s" in ended.doubt(a_record(name))
        clock[0] = 61

        doubts = [ended.doubt(a_record(name)) for name in ("b", "c", "a")]

    assert ["next check" in doubt for doubt in doubts] == [False, False, True]
