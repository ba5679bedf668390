from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from deviceinfo import Listing, read_names
from tests.support import kubelet as kubelets
from tests.support.kubelet import Kubelet, a_container, a_pod


@pytest.fixture
def kubelet() -> Iterator[Kubelet]:
    with TemporaryDirectory() as folder, kubelets.running(Path(folder)) as running:
        yield running


def test_all_pods_are_named_also_those_without_devices(kubelet: Kubelet) -> None:
    kubelet.serve(a_pod("nf1", a_container(pf0="0000:01:10.0")), a_pod("web", namespace="shop"))

    listing = read_names(kubelet.socket, timeout_s=20.0)

    assert listing == Listing(frozenset({"default/nf1", "shop/web"}), sees_processes=True)


@pytest.mark.parametrize("content", [b"\xff", b"\x0a\xff"])
def test_a_malformed_answer_is_a_problem_and_names_no_pod(kubelet: Kubelet, content: bytes) -> None:
    kubelet.serve(raw={"List": content})

    listing = read_names(kubelet.socket, timeout_s=20.0)

    assert listing.names == frozenset()
    assert "cannot ask kubelet" in listing.problem
    assert "none of this API" in listing.problem


@pytest.mark.slow
def test_a_kubelet_that_hangs_is_a_problem(kubelet: Kubelet) -> None:
    kubelet.serve(a_pod("nf1"), delay_s=30)

    assert "DEADLINE_EXCEEDED" in read_names(kubelet.socket, timeout_s=1.0).problem


def test_without_a_kubelet_nothing_is_known(tmp_path: Path) -> None:
    listing = read_names(tmp_path / "kubelet.sock")

    assert "No such file" in listing.problem
