"""The image's bill of materials names what is installed, as CycloneDX has it."""

import json
import subprocess
import sys
from importlib.metadata import version

from manifests import sbom
from tests.docs_tables import CHECKOUT

STATUS = """Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2:2.41-12+b1
Description: the C library
 of GNU

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
"""


def test_a_debian_package_that_is_installed_is_a_component_with_its_purl() -> None:
    [package] = sbom.debian_packages(STATUS, "debian-13")

    assert package == {
        "type": "library",
        "bom-ref": "pkg:deb/debian/libc6@2%3A2.41-12%2Bb1?arch=amd64&distro=debian-13",
        "name": "libc6",
        "version": "2:2.41-12+b1",
        "purl": "pkg:deb/debian/libc6@2%3A2.41-12%2Bb1?arch=amd64&distro=debian-13",
    }


def test_a_python_package_is_a_component_by_its_normal_name() -> None:
    purls = {package["purl"] for package in sbom.python_packages()}

    assert f"pkg:pypi/prometheus-client@{version('prometheus_client')}" in purls


def test_the_bill_of_this_system_names_its_python_and_each_component_once() -> None:
    command = [sys.executable, "-", "localhost/sriovbond", "0.1.0"]
    program = (CHECKOUT / "manifests" / "sbom.py").read_bytes()

    bill = json.loads(
        subprocess.run(command, input=program, check=True, capture_output=True).stdout
    )

    references = [component["bom-ref"] for component in bill["components"]]
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["name"] == "localhost/sriovbond"
    assert len(references) == len(set(references))
    assert any(reference.startswith("pkg:deb/debian/python3@") for reference in references)
    assert any(reference.startswith("pkg:pypi/sriovbond@0") for reference in references)
