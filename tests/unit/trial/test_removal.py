"""What of ours is on a node goes when no change is at work or waits, and not before."""

from dataclasses import replace

import pytest

from sriovbond.dhcp import files
from sriovbond.errors import TryLaterError
from sriovbond.host import Host
from sriovbond.reshape.site import Site
from sriovbond.trial import persisted, removal, store
from sriovbond.trial.checkpoint import Phase
from tests.unit.trial.test_clients import OTHER
from tests.unit.trial.test_store import a_checkpoint


def test_documents_and_clients_are_removed(host: Host, site: Site) -> None:
    persisted.keep(host, "uplink", "interfaces: []")
    files.write(host, OTHER)

    assert list(removal.remove(site, host))[-1].startswith("removed 1 documents")
    assert files.names(host) == ()
    assert persisted.list_documents(host) == []


def test_nothing_is_removed_while_a_change_waits(host: Host, site: Site) -> None:
    files.write(host, OTHER)
    end_s = store.now_s() + 60
    waiting = replace(a_checkpoint(), phase=Phase.WAITING, boot=host.boot_id(), deadline_s=end_s)
    store.write(host, waiting)

    with pytest.raises(TryLaterError, match="a change waits"):
        list(removal.remove(site, host))

    assert files.names(host) == (OTHER.name,)


def test_nothing_is_removed_while_a_change_is_at_work(
    host: Host, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "_LOCK_S", 0.1)  # 60 s are long for a test
    files.write(host, OTHER)

    with store.locked(host, 1.0), pytest.raises(TryLaterError, match="is at work"):
        list(removal.remove(site, host))

    assert files.names(host) == (OTHER.name,)
