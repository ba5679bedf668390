"""The docs match the code: examples, commands, tables, links, names."""

import json
import logging
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from deviceinfo import Source
from sriovbond import cli, dispatch, log
from sriovbond.bond.config import parse_config
from sriovbond.bond.rules import RULES
from sriovbond.bond.schema import json_schema
from sriovbond.cli.reference import PARTS
from sriovbond.cni.versions import SUPPORTED_VERSIONS
from sriovbond.cni.wire import ErrorCode
from sriovbond.happenings.happening import WARNINGS, HappeningKind
from tests import docs_tables
from tests.docs_tables import CHECKOUT, README

PAGES = sorted({*CHECKOUT.glob("*.md"), *docs_tables.PAGES})
MANIFESTS = sorted(
    path
    for path in (CHECKOUT / "manifests").iterdir()
    if path.is_file() and path != docs_tables.SCHEMA
)
USERS_READ = "".join(path.read_text(encoding="utf-8") for path in docs_tables.PAGES)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
OURS_ALONE = ("/work/", "shared/", "/tmp/dev", "RIG.md", "FACTS", "STYLE.md")  # noqa: S108


def _blocks(page: Path, *languages: str) -> list[str]:
    found = FENCE.findall(page.read_text(encoding="utf-8"))
    return [body for language, body in found if language in languages]


def _documents(path: Path) -> Iterator[Any]:
    """Yield every JSON or YAML value of a page's examples or of a manifest."""
    if path.suffix == ".md":
        for body in _blocks(path, "json", "yaml"):
            yield from yaml.safe_load_all(body)
    elif path.suffix in {".yaml", ".conf"}:
        yield from yaml.safe_load_all(path.read_text(encoding="utf-8"))


def _configurations(value: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - any JSON
    """Yield our configurations in a plugin's, a list's, flannel's, or a network's of Multus."""
    if not isinstance(value, dict):
        return
    if value.get("type") == "sriovbond":
        yield value
    if value.get("kind") == "NetworkAttachmentDefinition":
        yield from _configurations(json.loads(value["spec"]["config"]))
    for plugin in [*value.get("plugins", ()), value.get("delegate")]:
        yield from _configurations(plugin)


EXAMPLES = [
    pytest.param(configuration, id=f"{path.name}-{number}")
    for path in (*PAGES, *MANIFESTS)
    for number, configuration in enumerate(
        found for document in _documents(path) for found in _configurations(document)
    )
]


def _commands(page: Path) -> Iterator[list[str]]:
    """Yield the words of every `sriovbond ...` in a page's shell blocks and inline code."""
    lines = [line for body in _blocks(page, "sh") for line in body.splitlines()]
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    for line in (*lines, *INLINE.findall(prose)):
        words = shlex.split(line, comments=True) if "sriovbond " in line else []
        words = words[1:] if words[:1] == ["sudo"] else words
        if words and words[0].rpartition("/")[2] == "sriovbond" and len(words) > 1:
            yield [word.strip("[]") for word in words[1:]]  # of a synopsis


COMMANDS = [
    pytest.param(words, id=f"{page.name}-{' '.join(words)}")
    for page in PAGES
    for words in _commands(page)
]


def _make_targets(page: Path) -> set[str]:
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    code = [*_blocks(page, "sh"), *INLINE.findall(prose)]
    found = (re.findall(r"^make ([a-z][a-z-]*)", text, re.MULTILINE) for text in code)
    return {target for targets in found for target in targets}


def _anchors(page: Path) -> set[str]:
    """Return GitHub's anchors of a page's headings."""
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {docs_tables.anchor_of(heading) for heading in headings}


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_a_configuration_without_faults_and_unknown_keys(
    example: dict[str, Any],
) -> None:
    config = parse_config(example)

    assert [str(one) for one in config.warnings if one.rule == "unknown-key"] == []
    jsonschema.Draft202012Validator(json_schema()).validate(example)


def test_there_are_examples_of_each_form() -> None:
    names = {str(example.id).rpartition("-")[0] for example in EXAMPLES}

    assert {"README.md", "nfv-pod.yaml", "ipam.yaml", "standalone-flannel.conf"} <= names


def _networks(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the configuration of each network of Multus, ours or another plugin's."""
    for document in _documents(path):
        if isinstance(document, dict) and document.get("kind") == "NetworkAttachmentDefinition":
            yield json.loads(document["spec"]["config"])


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_networks_name_a_version_that_their_multus_reads(path: Path) -> None:
    newest = "0.4.0" if path.name == "multus-3.yaml" else "1.0.0"  # multus-cni issues 875 and 879

    versions = {network.get("cniVersion", "none") for network in _networks(path)}

    assert versions <= {version for version in SUPPORTED_VERSIONS if version <= newest}


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


def _find_command(words: list[str]) -> tuple[click.Command, list[str]]:
    """Return the command that the first words name, one of a group too, and the other words."""
    command: click.Command | None = cli.sriovbond
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, *words = words
        command = command.get_command(click.Context(command), name)
        assert command is not None, name
    assert command is not None
    return command, words


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_in_the_docs_is_known_with_its_options(words: list[str]) -> None:
    command, rest = _find_command(words)

    left = command.make_parser(click.Context(command)).parse_args(rest)[1]

    assert left == [], "it takes fewer words"


@pytest.mark.parametrize("words", [["host", "aply", "f"], ["host", "apply", "f", "--frce"]])
def test_a_command_or_option_of_a_group_that_is_unknown_is_a_fault(words: list[str]) -> None:
    with pytest.raises((AssertionError, click.UsageError)):
        test_every_command_in_the_docs_is_known_with_its_options(words)


def _options(command: click.Command, name: str) -> Iterator[tuple[str, click.Option]]:
    """Yield each option that people may give, with the whole name of its command."""
    if isinstance(command, click.Group):
        for part in command.list_commands(click.Context(command)):
            inner = command.get_command(click.Context(command), part)
            if inner is not None and not inner.hidden:
                yield from _options(inner, f"{name} {part}".strip())
        return
    yield from ((name, option) for option in command.params if isinstance(option, click.Option))


@pytest.mark.parametrize(
    "option",
    [pytest.param(row[1], id=f"{row[0]} {row[1].opts[-1]}") for row in _options(cli.sriovbond, "")],
)
def test_every_option_is_in_the_docs(option: click.Option) -> None:
    spellings = "|".join(map(re.escape, option.opts))

    assert re.search(rf"(?<![\w-])({spellings})(?![\w-])", USERS_READ)


def test_the_command_of_the_docs_judges_networks_of_bond_cni() -> None:
    page = (CHECKOUT / "docs/migration.md").read_text(encoding="utf-8")
    [expression] = re.findall(r"sed -E '([^']+)'", page)
    network = yaml.safe_load((CHECKOUT / "manifests/from-bond-cni.yaml").read_text("utf-8"))
    network["spec"]["config"] = network["spec"]["config"].replace("sriovbond", "bond")
    networks = json.dumps({"apiVersion": "v1", "kind": "List", "items": [network]}, indent=4)

    command = ["sed", "-E", expression]
    changed = subprocess.run(command, input=networks, capture_output=True, text=True, check=True)
    done = CliRunner().invoke(cli.sriovbond, ["validate", "-"], input=changed.stdout)

    assert (done.exit_code, done.output) == (0, "-: valid\n")


def test_every_command_is_in_the_docs() -> None:
    told = {words[0] for page in PAGES for words in _commands(page)}

    assert told == set(cli.SUMMARIES)


# In a process of its own: what this one has imported already could hide a fault.
def _printed(*words: str) -> str:
    command = [sys.executable, "-m", "sriovbond", *words]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    return done.stdout or done.stderr


@pytest.mark.parametrize("part", PARTS)
def test_the_reference_is_printed_by_the_command_line(part: str) -> None:
    assert _printed("reference", part) == PARTS[part]() + "\n"


def test_the_schema_is_printed_by_the_command_line() -> None:
    assert _printed("schema") == docs_tables.schema()


def test_every_table_is_in_one_page() -> None:
    pages = (*docs_tables.PAGES, docs_tables.DECISIONS, docs_tables.SECURITY)
    held = [part for path in pages for part in docs_tables.parts_of(path)]

    assert sorted(held) == sorted(docs_tables.tables())


@pytest.mark.parametrize("path", docs_tables.GENERATED, ids=lambda path: path.name)
def test_generated_pages_are_current(path: Path) -> None:
    written = path.read_text(encoding="utf-8")

    assert written == docs_tables.GENERATED[path](), "run: make docs"


def test_decisions_are_in_order_and_each_is_in_the_index() -> None:
    text = docs_tables.DECISIONS.read_text(encoding="utf-8")
    numbers = [int(number) for number in re.findall(r"^## (\d+)\. ", text, re.MULTILINE)]

    indexed = [int(number) for number in re.findall(r"^\| \[(\d+)\]", text, re.MULTILINE)]

    assert numbers == sorted(set(numbers)) == indexed


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_make_target_in_the_docs_exists(page: Path) -> None:
    makefile = (CHECKOUT / "Makefile").read_text(encoding="utf-8")

    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))

    assert _make_targets(page) <= targets


def test_the_pod_in_the_examples_is_the_manifest() -> None:
    page = CHECKOUT / "docs/examples.md"

    assert (CHECKOUT / "manifests/nfv-pod.yaml").read_text() in _blocks(page, "yaml")


def test_the_readme_can_be_read_at_one_go() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 180


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    links = LINK.findall(page.read_text(encoding="utf-8"))

    broken = [link for link in links if "://" not in link and not _leads_somewhere(page, link)]

    assert broken == []


def _leads_somewhere(page: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = page.parent / name if name else page
    return target.exists() and (not anchor or anchor in _anchors(target))


@pytest.mark.parametrize("page", docs_tables.PAGES, ids=lambda path: path.name)
def test_every_id_of_a_rule_leads_to_its_section(page: Path) -> None:
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    linked = re.findall(r"\[`([a-z-]+)`\]\((?:docs/)?rules\.md#([a-z-]+)\)", prose)

    ids = {rule.id for rule in RULES}
    named = {name for name in ids if f"`{name}`" in prose or f"`[{name}]`" in prose}
    assert named == {name for name, _ in linked}
    assert [link for link in linked if link[0] != link[1]] == []


def test_every_source_is_in_the_docs() -> None:
    page = (CHECKOUT / "docs/members.md").read_text(encoding="utf-8")

    rows = re.findall(r"^\| ([^|]+?) \| ", page, re.MULTILINE)

    assert set(Source) <= set(rows)


def test_every_error_code_of_ours_is_in_the_docs_and_no_other() -> None:
    page = (CHECKOUT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    sources = [path.read_text(encoding="utf-8") for path in (CHECKOUT / "sriovbond").rglob("*.py")]
    names = {name for text in sources for name in re.findall(r"\bErrorCode\.([A-Z_]+)", text)}
    # an IPAM plugin's code is compared with that one, which is no answer of ours
    raised = {ErrorCode[name] for name in names} - {ErrorCode.UNKNOWN_CONTAINER}
    ours = {*raised, *(code for _, code in dispatch.CODES), dispatch.IPAM, dispatch.INTERNAL}

    listed = re.findall(r"^\| (\d+) \|", page, re.MULTILINE)

    assert {int(code) for code in listed} == {int(code) for code in ours}


def test_the_warning_in_the_docs_is_as_the_log_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    page = CHECKOUT / "docs/troubleshooting.md"
    [line] = [
        line for body in _blocks(page, "text") for line in body.splitlines() if "rule=" in line
    ]
    fields = dict(word.partition("=")[::2] for word in shlex.split(line))
    message, rule, step = fields["msg"], fields["rule"], fields["step"]
    common = ("command", "pod", "container", "ifname", "network")

    shared = {name: fields[name] for name in common}
    with log.logged_to(None, Path("/var/log"), **shared), log.step(step):
        log.event(logging.WARNING, message, rule=rule)

    assert capsys.readouterr().err.partition(" ")[2] == f"{line.partition(' ')[2]}\n"
    assert f'log.step("{step}")' in (CHECKOUT / "sriovbond/commands/add.py").read_text("utf-8")


@pytest.mark.parametrize("path", [*PAGES, *MANIFESTS], ids=lambda path: path.name)
def test_no_page_names_a_file_or_tool_of_the_authors_alone(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert [name for name in OURS_ALONE if name in text] == []


@pytest.mark.parametrize("kind", HappeningKind)
def test_every_kind_of_happening_is_in_the_docs_with_its_type(kind: HappeningKind) -> None:
    rows = [line for line in USERS_READ.splitlines() if f"`{kind}`" in line]

    [row] = [line for line in rows if line.startswith("| `Bond")]
    assert row.split(" | ")[1] == ("Warning" if kind in WARNINGS else "Normal")
