"""The bound of threads that wait for the Kubernetes API."""

from threading import Thread

import pytest

from sriovbond.cluster.limit import within

_MORE_THAN_ALLOWED = 40


def test_threads_that_could_not_be_started_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Thread) -> None:
        raise RuntimeError("can't start new thread")  # as Thread.start() at the limit of tasks

    with monkeypatch.context() as at_the_limit:
        # a real limit of tasks counts those of all processes of the user, the tests' too
        at_the_limit.setattr(Thread, "start", refuse)
        for _ in range(_MORE_THAN_ALLOWED):
            with pytest.raises(OSError, match="can't start new thread"):
                within(1.0, lambda: "an answer")

    assert within(1.0, lambda: "an answer") == "an answer"
