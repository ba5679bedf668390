# ruff: noqa: INP001 - a program, and no module of a package
"""Write the bill of materials of the system this runs in, as CycloneDX 1.6 on stdout.

Its Debian packages (dpkg's own list) and the Python packages of the interpreter that runs this:
image.sh pipes it into the image's. Standard library only. Arguments: name and version of the image.
"""

import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path
from urllib.parse import quote

DPKG = Path("/var/lib/dpkg/status")
RELEASE = Path("/etc/os-release")


def debian_packages(status: str, distribution: str) -> Iterator[dict[str, object]]:
    """Yield a component for each installed package of dpkg's status file."""
    for paragraph in status.split("\n\n"):
        fields = dict(re.findall(r"^(\S+): (.*)$", paragraph, re.MULTILINE))
        if fields.get("Status", "").endswith(" installed"):
            name, version = fields["Package"], fields["Version"]
            place = f"deb/debian/{quote(name)}@{quote(version)}"
            qualifiers = f"arch={fields['Architecture']}&distro={quote(distribution)}"
            yield _component(name, version, f"pkg:{place}?{qualifiers}")


def python_packages() -> Iterator[dict[str, object]]:
    """Yield a component for each Python package that can be imported here."""
    for package in distributions():
        name = re.sub(r"[-_.]+", "-", package.name).lower()
        yield _component(name, package.version, f"pkg:pypi/{name}@{quote(package.version)}")


def _component(name: str, version: str, purl: str) -> dict[str, object]:
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def bill(name: str, version: str) -> dict[str, object]:
    """Return the bill of materials of this system, as the image of that name."""
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)', RELEASE.read_text(), re.MULTILINE))
    distribution = f"{release['ID']}-{release.get('VERSION_ID', 'unstable')}"
    status = DPKG.read_text(encoding="utf-8")
    components = [*debian_packages(status, distribution), *python_packages()]
    by_purl = {str(component["purl"]): component for component in components}
    subject = {"type": "container", "bom-ref": "image", "name": name, "version": version}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": subject},
        "components": [by_purl[purl] for purl in sorted(by_purl)],
    }


if __name__ == "__main__":
    json.dump(bill(*sys.argv[1:3]), sys.stdout, indent=1)
