from collections.abc import Iterator

import pytest

from tests.support import cluster_api
from tests.support.cluster_api import ClusterApi


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[ClusterApi]:
    """A server with the recorded pod and its networks, reached without a proxy."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with cluster_api.served() as server:
        server.add_pod(cluster_api.recorded_pod())
        for network in cluster_api.recorded_networks():
            server.add_network(network)
        yield server
