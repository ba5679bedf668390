"""Write down what the newest kernel's source says of bonding's attributes: numbers, widths, values.

`python -m tests.vm.bonding_facts 7.3` fetches Debian's linux-source of that version (150 MB) and
writes tests/data/kernel/bonding.json, by which a test judges our table: facts, no text.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import yaml

from tests.vm import debian, kernels

FACTS: Final = Path(__file__).resolve().parent.parent / "data" / "kernel" / "bonding.json"
FILES: Final = (
    "include/uapi/linux/if_link.h",
    "drivers/net/bonding/bond_netlink.c",
    "drivers/net/bonding/bond_options.c",
    "Documentation/netlink/specs/rt-link.yaml",
)
_ASKED: Final = re.compile(
    r"data\[(IFLA_BOND_\w+)\]\) \{(?:(?!data\[\w+\]\) \{).)*?(BOND_OPT_\w+)", re.DOTALL
)
_WIDTH: Final = re.compile(r"\[(IFLA_BOND_\w+)\]\s*= .*?(NLA_[A-Z]+\d+|NLA_BINARY|NLA_NESTED)")
_SETS: Final = {"linkinfo-bond-attrs": "IFLA_BOND_", "bond-slave-attrs": "IFLA_BOND_SLAVE_"}


def facts(tree: Path) -> dict[str, Any]:
    """Return the attributes by name; `width` is the kernel's policy's, `spec` the spec's."""
    header, policies, options = ((tree / file).read_text() for file in FILES[:3])
    names = re.findall(r"^\t(IFLA_BOND_(?!AD_INFO_)\w+),$", header, re.MULTILINE)
    options_of = dict(_ASKED.findall(policies))
    widths = dict(_WIDTH.findall(policies))
    spec = _spec(yaml.safe_load((tree / FILES[3]).read_text()))
    rows: dict[str, Any] = {}
    for name in names:
        if name.endswith("_UNSPEC"):
            number = 0
            continue
        number += 1
        option = options_of.get(name, "")
        rows[name] = {
            "number": number,
            "width": widths.get(name, ""),
            "spec": spec.get(name, ""),
            "option": _option_name(options, option),
            "values": _values(options, option),
        }
    return rows


def _spec(document: dict[str, Any]) -> dict[str, str]:
    sets = [
        attribute_set
        for attribute_set in document["attribute-sets"]
        if attribute_set["name"] in _SETS
    ]
    return {
        _SETS[attribute_set["name"]] + row["name"].upper().replace("-", "_"): row["type"]
        for attribute_set in sets
        for row in attribute_set["attributes"]
    }


def _option_name(options: str, option: str) -> str:
    row = rf'\[{option}\] = {{.*?\.name = "(\w+)"'
    match = re.search(row, options, re.DOTALL) if option else None
    return match[1] if match else ""


def _values(options: str, option: str) -> list[str]:
    """Return the words that an option takes, in the order of their numbers; none for numbers."""
    row = re.search(rf"\[{option}\] = {{(.*?)\n\t}}", options, re.DOTALL) if option else None
    table = re.search(r"\.values = (\w+)", row[1]) if row else None
    listed = re.search(rf" {table[1]}\[\] = {{(.*?)}};", options, re.DOTALL) if table else None
    words = re.findall(r'{ "([\w+.-]+)",\s*([^,]+),([^}]*)}', listed[1]) if listed else []
    is_range = any("VALFLAG_MAX" in flags or "VALFLAG_MIN" in flags for _, _, flags in words)
    return [] if is_range else [word for word, _, _ in words]


def _fetch(series: str) -> None:
    package = f"linux-source-{series}"
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        debian.make_apt_root(work, kernels.suites_of(series))
        debian.say(f"downloading {package} (about 150 MB)")
        debian.run(work, "apt-get", "-qq", "download", package)
        version = next(work.glob("*.deb")).name.split("_")[1]
        debian.unpack(work, work / "tree")
        packed = work / "tree" / "usr" / "src" / f"{package}.tar.xz"
        members = [f"{package}/{file}" for file in FILES]
        subprocess.run(["tar", "-xJf", packed, *members], cwd=work, check=True)
        write(work / package, version)


def write(tree: Path, version: str) -> None:
    """Write the facts of an unpacked source."""
    FACTS.parent.mkdir(parents=True, exist_ok=True)
    content = {"debian": version, "files": list(FILES), "attributes": facts(tree)}
    FACTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    debian.say(f"wrote {FACTS}")


if __name__ == "__main__":
    _fetch(sys.argv[1])
