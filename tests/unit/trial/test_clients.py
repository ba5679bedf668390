"""The clients of DHCP of a change: why there is no lease, and what a boot finds of them."""

import time
from dataclasses import replace
from math import inf

import pytest

from sriovbond import resolvconf
from sriovbond.dhcp import files, resolving, service
from sriovbond.dhcp.files import ClientFiles, ClientStatus, LinkBefore
from sriovbond.dhcp.wish import DhcpWish
from sriovbond.errors import MachineError
from sriovbond.host import Host
from sriovbond.reshape.site import Site
from sriovbond.trial import clients, store
from sriovbond.trial.checkpoint import Journal
from tests.unit.dhcp.test_files import LEASE
from tests.unit.trial.test_store import a_checkpoint

ETH1 = ClientFiles("eth1", DhcpWish("01aa"), LEASE)
BOND = ClientFiles("bond0", DhcpWish("01aa"), LEASE)
OTHER = ClientFiles("eth9", DhcpWish("01ff"))
NO_LINK = "nosuchlink"  # of no machine: what a lease gave to one would be taken off


def test_a_boot_in_the_middle_of_a_move_has_the_client_where_it_was(host: Host) -> None:
    for client in (BOND, OTHER):
        files.write(host, client)
    journal = Journal(touched=("eth1", "bond0"))
    checkpoint = replace(a_checkpoint(), clients=(ETH1,), journal=journal)

    failures = clients.restore_files(host, checkpoint)

    assert failures == []
    assert files.read_all(host) == (ETH1, OTHER)


def test_a_boot_does_not_restore_a_links_mtu_of_before_the_boot(host: Host) -> None:
    before = LinkBefore(7, 1500, is_promoting=False, leased_mtu=1400)
    clients_ = (replace(ETH1, before=before),)
    checkpoint = replace(a_checkpoint(), clients=clients_, journal=Journal(touched=("eth1",)))

    assert clients.restore_files(host, checkpoint) == []
    assert files.read(host, "eth1") == ETH1


def test_a_wish_that_cannot_be_written_is_named_and_hinders_no_other(host: Host) -> None:
    files.write(host, BOND)
    (files.folder(host) / "eth1.wish").mkdir()
    journal = Journal(touched=("eth1", "bond0"))
    checkpoint = replace(a_checkpoint(), clients=(ETH1,), journal=journal)

    (failure,) = clients.restore_files(host, checkpoint)

    assert "eth1.wish" in failure
    assert not (files.folder(host) / "bond0.wish").exists()


def test_a_boot_does_not_put_an_ended_lease_over_a_renewed_one(host: Host) -> None:
    renewed = replace(ETH1, lease=replace(LEASE, wall_s=LEASE.wall_s + 86400))
    files.write(host, renewed)
    checkpoint = replace(a_checkpoint(), clients=(ETH1,), journal=Journal(touched=("eth1",)))

    assert clients.restore_files(host, checkpoint) == []
    assert files.read(host, "eth1") == renewed


def test_a_lease_that_was_lost_since_is_not_restored(host: Host) -> None:
    lost = replace(ETH1, wish=replace(ETH1.wish, auto_dns=False), lease=None)
    files.write(host, lost)
    checkpoint = replace(a_checkpoint(), clients=(ETH1,), journal=Journal(touched=("eth1",)))

    assert clients.restore_files(host, checkpoint) == []
    assert files.read(host, "eth1") == replace(ETH1, lease=None)


def test_a_boot_days_after_a_stuck_move_restores_a_lease_that_is_used_no_more(host: Host) -> None:
    (host.root / "etc").mkdir(exist_ok=True)
    resolvconf.write(host.root, b"nameserver 198.51.100.53\n")
    given = replace(LEASE, boot="before", wall_s=time.time() - 5 * 86400)
    moved = replace(ETH1, lease=given)
    checkpoint = replace(a_checkpoint(), clients=(moved,), journal=Journal(touched=("eth1",)))

    failures = clients.restore_files(host, checkpoint)
    resolving.refresh(host)

    assert failures == []
    assert files.read(host, "eth1") == moved
    assert given.of_boot(host.boot_id(), store.now_s(), time.time()).left_s(store.now_s()) <= 0
    assert resolvconf.read(host.root) == b"nameserver 198.51.100.53\n"


def test_only_clients_that_the_change_began_or_changed_are_stopped(host: Host, site: Site) -> None:
    former, same, other = (replace(ETH1, name=f"{NO_LINK}{n}") for n in (1, 2, 3))
    changed = replace(former, wish=replace(former.wish, auto_dns=False))
    for client in (changed, same, other):
        files.write(host, client)
    journal = Journal(touched=(former.name, same.name))
    checkpoint = replace(a_checkpoint(), clients=(former, same), journal=journal)

    assert clients.stop_begun(site, checkpoint) == []

    assert files.read_all(host) == (same, other)


@pytest.mark.parametrize(
    ("touched", "expected"), [(("lo", NO_LINK), ["lo"]), ((NO_LINK,), []), ((), [])]
)
def test_clients_of_touched_links_that_are_there_are_started_again(
    host: Host,
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    touched: tuple[str, ...],
    expected: list[str],
) -> None:
    started: list[str] = []
    # a real one would ask for an address on this machine
    monkeypatch.setattr(service, "start", lambda _host, name: started.append(name))
    former = (replace(ETH1, name="lo"), replace(ETH1, name=NO_LINK))
    checkpoint = replace(a_checkpoint(), clients=former, journal=Journal(touched=touched))

    assert clients.restart(site, checkpoint) == []

    assert started == expected
    assert [client.name for client in files.read_all(host)] == expected


def test_a_change_waits_for_all_leases_together(site: Site) -> None:
    said: list[str] = []
    began_s = time.monotonic()

    clients.await_leases(site, ("eth1", "eth2", "eth3"), lambda: 60.0, 0.3, said.append)

    assert 0.3 <= time.monotonic() - began_s < 0.6
    assert [text.split(" in ")[0].strip() for text in said] == [
        f"no lease of DHCP on eth{n}" for n in (1, 2, 3)
    ]


def test_a_lease_that_came_in_time_is_found_behind_one_that_did_not(host: Host, site: Site) -> None:
    is_there = ClientStatus("bound", is_holding=True, is_confirmed=True, note="192.0.2.7/24")
    files.write_status(host, "eth2", is_there)
    said: list[str] = []

    clients.await_leases(site, ("eth1", "eth2"), lambda: 60.0, 0.1, said.append)

    assert said[1] == "   192.0.2.7/24"


def test_a_lease_that_is_needed_ends_the_change(site: Site) -> None:
    with pytest.raises(MachineError, match="no lease of DHCP on eth1"):
        clients.await_leases(site, ("eth1",), lambda: 0.0, inf, print)


def test_without_a_lease_the_words_count_requests_and_answers(host: Host) -> None:
    files.write(host, ETH1)
    status = ClientStatus("selecting", sent=5, offers=1, refusals=2, malformed=1, note="x")

    text = clients.words(host, "eth1", status, 12.4)

    assert text == (
        "no lease of DHCP on eth1 in 12 s: 5 requests with the client id 01:aa, 1 offers and "
        "2 refusals came, and 1 malformed answers; it has no carrier; x"
    )


def test_clients_that_are_removed_say_when_their_addresses_end(host: Host) -> None:
    lease = replace(LEASE, boot=host.boot_id(), lease_s=2**32 - 1)
    files.write(host, replace(ETH1, lease=lease))
    ended = replace(LEASE, boot="before", wall_s=time.time() - 5 * 86400)
    files.write(host, replace(BOND, lease=ended))
    files.write(host, OTHER)

    (line,) = clients.remove(host)

    assert line.startswith("eth1: its address 192.0.2.100/24 is not renewed")
    assert files.read_all(host) == ()


def test_a_client_whose_wish_is_malformed_is_removed_too(host: Host) -> None:
    files.write(host, ETH1)
    (files.folder(host) / "eth1.wish").write_text("{")

    assert list(clients.remove(host)) == []
    assert files.names(host) == ()
