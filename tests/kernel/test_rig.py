"""The VM reads the packages and sources of the checkout once, and writes only elsewhere."""

import os
from pathlib import Path

import pytest

pytestmark = pytest.mark.vf  # only in the VM
CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("folder", [".venv", "sriovbond", "deviceinfo", "tests/support"])
def test_a_folder_that_each_process_imports_from_is_of_the_share_that_is_kept_in_memory(
    folder: str,
) -> None:
    assert os.statvfs(CHECKOUT / folder).f_flag & os.ST_RDONLY
    assert not os.statvfs(CHECKOUT).f_flag & os.ST_RDONLY


def test_sources_are_compiled_before_the_vm_starts() -> None:
    sources = (CHECKOUT / "sriovbond").glob("*.py")
    missing = [path.name for path in sources if not any(_compiled(path))]

    assert missing == []


def _compiled(path: Path) -> list[Path]:
    return list(path.parent.glob(f"__pycache__/{path.stem}.cpython-*.pyc"))
