"""The documents of a boot: one for each name, in the order in which they were committed last."""

from pathlib import Path

import pytest

from sriovbond.errors import MachineError
from sriovbond.host import Host
from sriovbond.trial import persisted


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(state=tmp_path / "state", root=tmp_path / "root")


def test_a_document_takes_the_place_of_an_earlier_one_of_its_name(host: Host) -> None:
    for name, text in (("a", "1"), ("b", "2"), ("a", "3"), ("../../x y", "4")):
        persisted.keep(host, name, text)

    rows = persisted.list_documents(host)

    assert [(row.name, row.text) for row in rows] == [("b", "2"), ("a", "3"), ("..-..-x-y", "4")]
    assert [path.name for path in sorted(persisted.folder(host).iterdir())] == [
        "0002-b.yml",
        "0003-a.yml",
        "0004-..-..-x-y.yml",
    ]


def test_a_document_that_others_can_write_is_not_applied(host: Host) -> None:
    persisted.keep(host, "a", "1")
    (row,) = persisted.list_documents(host)
    row.file.chmod(0o666)

    with pytest.raises(MachineError, match="can be written by others"):
        _ = row.text


def test_a_long_name_is_cut_and_its_document_is_listed(host: Host) -> None:
    persisted.keep(host, "x" * 100, "1")

    assert [row.name for row in persisted.list_documents(host)] == ["x" * 63]


def test_a_number_that_a_boot_would_not_read_is_refused(host: Host) -> None:
    persisted.keep(host, "a", "1")
    (row,) = persisted.list_documents(host)
    row.file.rename(row.file.with_name("999999-a.yml"))

    with pytest.raises(MachineError, match="renumber the documents"):
        persisted.keep(host, "b", "1")


def test_there_is_a_bound(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persisted, "MOST", 2)  # 256 synced files take their time
    persisted.keep(host, "a", "1")
    persisted.keep(host, "b", "1")
    persisted.keep(host, "b", "2")

    with pytest.raises(MachineError, match="there are 2 documents"):
        persisted.keep(host, "c", "1")


def test_all_are_removed_and_other_files_stay(host: Host) -> None:
    persisted.keep(host, "a", "1")
    (persisted.folder(host) / "notes.txt").write_text("mine")

    assert persisted.remove(host) == 1
    assert persisted.list_documents(host) == []
    assert (persisted.folder(host) / "notes.txt").exists()
