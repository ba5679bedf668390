import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from sriovbond.cli import sriovbond
from sriovbond.cni.decoding import MAX_JSON_BYTES
from tests.docs_tables import CHECKOUT


def validate(folder: Path, content: object) -> Result:
    file = folder / "net.conf"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return CliRunner().invoke(sriovbond, ["validate", str(file)])


MANIFESTS = [
    path
    for path in sorted((CHECKOUT / "manifests").iterdir())
    if path.suffix in {".conf", ".yaml"}
    and '"type": "sriovbond"' in path.read_text(encoding="utf-8")
]
OURS = {"cniVersion": "1.0.0", "type": "sriovbond", "name": "net"}


def test_a_valid_configuration_is_called_so(tmp_path: Path) -> None:
    answer = validate(tmp_path, {**OURS, "mode": "active-backup"})

    assert answer.exit_code == 0
    assert answer.stdout == f"{tmp_path / 'net.conf'}: valid\n"


def test_every_fault_is_reported(tmp_path: Path) -> None:
    answer = validate(tmp_path, {**OURS, "mode": "fast", "mtu": "x", "miimmon": 1})

    assert answer.exit_code == 1
    for words in ("mode: ", "mtu: ", "did you mean 'miimon'?"):
        assert words in answer.stderr


def test_a_doubtful_configuration_is_a_warning_with_its_rule(tmp_path: Path) -> None:
    answer = validate(tmp_path, {**OURS, "miimon": 0})

    assert answer.exit_code == 0
    assert answer.stdout.startswith("warning: miimon 0 and no arp_interval")
    assert "[no-link-monitoring]" in answer.stdout


def test_a_log_file_that_will_not_be_written_is_a_warning(tmp_path: Path) -> None:
    answer = validate(tmp_path, {**OURS, "logFile": "/etc/cron.d/bond"})

    assert answer.exit_code == 0
    assert "cannot log to '/etc/cron.d/bond': it is not below /var/log" in answer.stdout


def test_a_strict_configuration_with_a_warning_is_not_valid(tmp_path: Path) -> None:
    answer = validate(tmp_path, {**OURS, "miimon": 0, "policy": "strict"})

    assert answer.exit_code == 1
    assert "[no-link-monitoring]" in answer.stdout
    assert "cannot build the bond under `policy: strict`: miimon 0" in answer.stderr


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": None}, "name is None and must start with a letter"),
        ({"name": "a/b"}, "name is 'a/b' and must start with a letter"),
        ({"cniVersion": "9.9.9"}, "cannot speak cniVersion '9.9.9'"),
        ({"cniVersion": 1}, "cannot read stdin.cniVersion: found 1; it must be a text"),
        ({"prevResult": []}, "cannot read stdin.prevResult: found []"),
        ({"dns": {"search": 7}}, "cannot read stdin.dns.search: found 7; it must be a list"),
        (
            {"ipam": {"type": "../evil"}},
            "expected the file name of an IPAM plugin, found '../evil'",
        ),
        ({"plugins": {}}, "plugins: found {}; it must be a list"),
    ],
    ids=json.dumps,
)
def test_configurations_that_the_plugin_would_refuse_are_reported(
    tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    answer = validate(tmp_path, {**OURS, **changes})

    assert answer.exit_code == 1
    assert words in answer.stderr
    assert answer.stdout == ""


def test_faults_around_a_configuration_do_not_hide_those_in_it(tmp_path: Path) -> None:
    answer = validate(tmp_path, {"type": "sriovbond", "mtu": "x"})

    assert "name is None" in answer.stderr
    assert "mtu: " in answer.stderr


@pytest.mark.parametrize("depth", [*range(800, 1000, 5), 200_000])
def test_a_text_nested_too_deeply_is_reported_without_a_traceback(
    tmp_path: Path, depth: int
) -> None:
    nested = f"{'[' * depth}{']' * depth}"

    answer = validate(tmp_path, f'{{"name": "net", "type": "sriovbond", "links": {nested}}}')

    assert isinstance(answer.exception, SystemExit)
    assert answer.exit_code in (1, 2)


def test_a_list_names_its_plugins(tmp_path: Path) -> None:
    plugin = {"type": "sriovbond", "name": "a/b", "cniVersion": "9.9.9"}

    answer = validate(tmp_path, {"name": "net", "cniVersion": "1.0.0", "plugins": [plugin]})

    assert (answer.exit_code, answer.stderr) == (0, "")


def test_a_list_without_a_name_is_not_valid(tmp_path: Path) -> None:
    answer = validate(tmp_path, {"plugins": [OURS]})

    assert answer.exit_code == 1
    assert "name is None" in answer.stderr


def test_each_of_our_plugins_in_a_list_is_judged_and_no_other(tmp_path: Path) -> None:
    others = {"type": "tuning", "mode": "none of ours"}
    plugins = [others, {**OURS, "mtu": "x"}, {**OURS, "miimon": 0}, {**OURS, "mode": "fast"}, 7]

    answer = validate(tmp_path, {"cniVersion": "1.0.0", "name": "net", "plugins": plugins})

    assert answer.exit_code == 1
    assert answer.stdout.startswith("warning: plugins[2] (sriovbond): miimon 0")
    told = answer.stderr.splitlines()
    assert told[0].startswith("Error: plugins[1] (sriovbond): cannot use the network conf")
    assert "[name-taken]" in told[1]
    assert told[2].startswith("Error: plugins[3] (sriovbond): cannot use the network conf")
    assert told[3:] == ["Error: plugins[4]: found 7; it must be an object"]


def test_a_list_without_our_plugin_is_not_called_valid(tmp_path: Path) -> None:
    answer = validate(tmp_path, {"plugins": [{"type": "bond"}, {"type": "sriovbnd"}]})

    assert answer.exit_code == 2
    assert "lists no plugin of type sriovbond; found: 'bond', 'sriovbnd'" in answer.stderr


@pytest.mark.parametrize("where", ["delegate", "plugins[0].delegate"])
def test_a_delegate_of_flannel_is_judged_with_the_name_around_it(
    tmp_path: Path, where: str
) -> None:
    flannel = {"type": "flannel", "delegate": {"type": "sriovbond", "mode": "fast"}}
    given = flannel if where == "delegate" else {"plugins": [flannel]}

    answer = validate(tmp_path, {**given, "name": "mynet"})

    assert answer.exit_code == 1
    [told] = answer.stderr.splitlines()
    assert told.startswith(f"Error: {where} (sriovbond): cannot use the network configuration: mod")


def a_network(name: str, config: object, kind: str = "NetworkAttachmentDefinition") -> str:
    spec = {"config": config if isinstance(config, str) else json.dumps(config)}
    manifest = {"apiVersion": "k8s.cni.cncf.io/v1", "kind": kind, "metadata": {"name": name}}
    return yaml.safe_dump({**manifest, "spec": spec})


def test_networks_in_yaml_are_judged_by_their_name_and_other_objects_ignored(
    tmp_path: Path,
) -> None:
    manifests = (
        a_network("sriov-a", {"type": "sriov", "mode": "none of ours"}),
        a_network("sriovbond", {"type": "sriovbond"}, kind="Pod"),
        a_network("nameless", {"type": "sriovbond"}),
        a_network("odd", {"name": "net", "plugins": [{"type": "sriovbond", "mode": "fast"}]}),
        a_network("broken", "{"),
    )

    answer = validate(tmp_path, "---\n".join(manifests))

    assert answer.exit_code == 1
    told = answer.stderr.splitlines()
    assert len(told) == 2
    assert told[0].startswith(
        "Error: NetworkAttachmentDefinition 'odd', plugins[0] (sriovbond): cannot use"
    )
    assert told[1].startswith(
        "Error: NetworkAttachmentDefinition 'broken': cannot decode spec.config: "
    )


def test_a_config_that_is_no_text_is_reported(tmp_path: Path) -> None:
    manifest = {"kind": "NetworkAttachmentDefinition", "metadata": {"name": "net"}}
    content = yaml.safe_dump({**manifest, "spec": {"config": OURS}})

    answer = validate(tmp_path, content)

    assert answer.exit_code == 1
    assert "'net': spec.config is {" in answer.stderr
    assert "it must be a text" in answer.stderr


@pytest.mark.parametrize("written", [json.dumps, yaml.safe_dump], ids=["json", "yaml"])
def test_a_list_of_kubernetes_is_taken_apart(
    tmp_path: Path, written: Callable[[object], str]
) -> None:
    """As `kubectl get network-attachment-definitions -o json` writes it."""
    items = [yaml.safe_load(a_network("net", {"type": "sriovbond", "mode": "fast"}))]

    answer = validate(tmp_path, written({"apiVersion": "v1", "kind": "List", "items": items}))

    assert answer.exit_code == 1
    assert "NetworkAttachmentDefinition 'net' (sriovbond): cannot use" in answer.stderr


def test_manifests_without_our_plugin_are_not_called_valid(tmp_path: Path) -> None:
    manifests = [a_network("a", {"type": "sriovbnd"}), a_network("nf1", {}, kind="Pod")]

    answer = validate(tmp_path, "---\n".join(manifests))

    assert answer.exit_code == 2
    assert "found: NetworkAttachmentDefinition 'a' of type 'sriovbnd', Pod 'nf1'" in answer.stderr


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_our_own_networks_are_valid(path: Path) -> None:
    answer = CliRunner().invoke(sriovbond, ["validate", str(path)])

    assert (answer.exit_code, answer.stderr) == (0, "")


@pytest.mark.parametrize(
    "content", ["{", "[]", "", "- a", "key: value", "a: b: c", "&a {items: [*a]}"]
)
def test_a_value_of_neither_form_is_reported_with_both(tmp_path: Path, content: str) -> None:
    answer = validate(tmp_path, content)

    assert answer.exit_code == 2
    assert re.search(r"one JSON object, or YAML|a JSON object, or YAML", answer.stderr)
    assert "YAML with NetworkAttachmentDefinitions" in answer.stderr


def test_why_it_is_no_yaml_is_reported(tmp_path: Path) -> None:
    answer = validate(tmp_path, "kind: NetworkAttachmentDefinition\nspec: config: x\n")

    assert "mapping values are not allowed here" in answer.stderr
    assert "line 2" in answer.stderr


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    answer = CliRunner().invoke(sriovbond, ["validate", str(tmp_path / "no.conf")])

    assert answer.exit_code == 2
    assert "does not exist" in answer.stderr


@pytest.mark.parametrize("type_", ["bond", None, "sriovbnd"])
def test_another_plugins_configuration_is_nothing_to_judge(tmp_path: Path, type_: object) -> None:
    answer = validate(tmp_path, {**OURS, "type": type_})

    assert answer.exit_code == 2
    assert f"type is {type_!r}: the runtime would call that plugin; write" in answer.stderr


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (json.dumps(OURS), 0),
        (json.dumps({**OURS, "miimon": 0}), 0),
        (json.dumps({**OURS, "mode": "fast"}), 1),
        ("nothing of ours", 2),
        ("", 2),
    ],
)
def test_standard_input_is_judged_as_a_file_is(content: str, status: int) -> None:
    answer = CliRunner().invoke(sriovbond, ["validate", "-"], input=content)

    assert answer.exit_code == status
    assert answer.stdout.endswith("-: valid\n") is (status == 0)


def test_a_file_that_is_too_large_is_not_read_to_its_end(tmp_path: Path) -> None:
    answer = validate(tmp_path, " " * (MAX_JSON_BYTES + 1))

    assert answer.exit_code == 2
    assert f"it has more than {MAX_JSON_BYTES} bytes" in answer.stderr


def test_a_file_that_may_not_be_read_is_nothing_to_judge(tmp_path: Path) -> None:
    loop = tmp_path / "net.conf"
    loop.symlink_to("/proc/self/mem")

    answer = CliRunner().invoke(sriovbond, ["validate", str(loop)])

    assert answer.exit_code == 2
    assert "cannot read " in answer.stderr


TWICE = """{"cniVersion": "1.0.0", "name": "net", "type": "sriovbond", "mode": "active-backup",
  "links": [{"name": "net1", "name": "net2"}, {"name": "net3"}], "mode": "balance-rr"}"""


def test_a_duplicate_key_is_reported_with_both_values(tmp_path: Path) -> None:
    answer = validate(tmp_path, TWICE)

    assert answer.exit_code == 1
    assert "'mode' is duplicated, as 'active-backup' and as 'balance-rr'" in answer.stderr
    assert "'links.0.name' is duplicated, as 'net1' and as 'net2'" in answer.stderr


def test_a_duplicate_key_in_the_text_of_a_network_is_reported(tmp_path: Path) -> None:
    answer = validate(tmp_path, a_network("net", TWICE))

    assert answer.exit_code == 1
    assert "'mode' is duplicated" in answer.stderr


@pytest.mark.parametrize("place", ["around", "ours", "another"])
def test_duplicate_keys_of_a_list_are_reported_where_they_concern_us(
    tmp_path: Path, place: str
) -> None:
    twice = {
        one: '"x": 1, "x": 2,' if one == place else "" for one in ("around", "ours", "another")
    }
    content = f"""{{"cniVersion": "1.0.0", {twice["around"]} "name": "net", "plugins": [
        {{{twice["another"]} "type": "tuning"}},
        {{{twice["ours"].replace("x", "miimon").replace("2", "1")} "type": "sriovbond"}}]}}"""

    answer = validate(tmp_path, content)

    assert answer.exit_code == (0 if place == "another" else 1)
    assert ("is duplicated" in answer.stderr) is (place != "another")


IN_YAML = """kind: NetworkAttachmentDefinition
metadata:
  name: first
spec:
  config: '{"cniVersion": "1.0.0", "type": "sriovbond", "mode": "balance-rr"}'
  config: '{"cniVersion": "1.0.0", "type": "sriovbond"}'
"""


def test_a_duplicate_key_in_yaml_is_reported_with_its_lines(tmp_path: Path) -> None:
    answer = validate(tmp_path, IN_YAML)

    assert answer.exit_code == 1
    assert "the key 'config' is duplicated, in lines 5 and 6" in answer.stderr


def test_duplicate_keys_in_another_object_are_ignored(tmp_path: Path) -> None:
    pod = "kind: Pod\nmetadata: {name: a, name: b}\n"

    answer = validate(tmp_path, pod + "---\n" + a_network("net", OURS))

    assert answer.exit_code == 0


def test_aliases_and_merges_of_yaml_are_no_keys_given_twice(tmp_path: Path) -> None:
    config = json.dumps(OURS)
    content = f"""a: &a {{name: net}}
kind: NetworkAttachmentDefinition
metadata: {{<<: *a, labels: *a}}
spec: {{config: '{config}'}}
"""

    answer = validate(tmp_path, content)

    assert (answer.exit_code, answer.stderr) == (0, "")


LITERAL = """apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: a}
spec:
  config: |
    {
      "type": "sriovbond",

      "mode" "balance-rr"
    }
"""
FOLDED = LITERAL.replace("config: |", "config: >-  # folded")
QUOTED = LITERAL.replace("config: |", "config: '").replace("    }\n", "    }'\n")
DOUBLE = """kind: NetworkAttachmentDefinition
metadata: {name: a}
spec:
  config: "{\\"type\\":\\n \\"sriovbond\\",\\x20\\

      \\"mode\\" \\u0022balance-rr\\"}"
"""
IN_JSON = """{"apiVersion": "k8s.cni.cncf.io/v1",
 "kind": "NetworkAttachmentDefinition", "spec":
   {"config": "{\\n \\"type\\": \\u0022sriovbond\\", \\"mode\\" \\"balance-rr\\"}"}}
"""


def written(content: str) -> str:
    lines = content.splitlines()
    line = next(number for number, text in enumerate(lines, 1) if "balance-rr" in text)
    quote = {DOUBLE: "\\u0022balance", IN_JSON: '\\"balance'}.get(content, '"balance')
    return f"Expecting ':' delimiter: line {line}, column {lines[line - 1].index(quote) + 1} of "


@pytest.mark.parametrize("content", [LITERAL, FOLDED, QUOTED, DOUBLE, IN_JSON])
@pytest.mark.parametrize("before", ["", "kind: Pod\n---\n# a word\n"], ids=["alone", "second"])
def test_a_fault_of_json_is_reported_with_its_place_in_the_file(
    tmp_path: Path, content: str, before: str
) -> None:
    if content == IN_JSON and before:
        before = "\n\n"
    answer = validate(tmp_path, before + content)

    lines = before.count("\n")
    told = re.sub(
        r"line (\d+),", lambda found: f"line {int(found[1]) - lines},", answer.stderr, count=1
    )
    assert answer.exit_code == 1
    assert written(content) in told


def test_a_text_that_ends_too_early_is_reported_at_its_end(tmp_path: Path) -> None:
    answer = validate(tmp_path, LITERAL.replace("    }\n", "").replace('"mode" ', '"mode": '))

    assert "line 9, column 27 of " in answer.stderr


def test_a_control_character_in_a_text_of_json_is_reported_with_its_place(tmp_path: Path) -> None:
    answer = validate(
        tmp_path, LITERAL.replace('"mode" "balance-rr"', '"mode": "balance-\n      rr"')
    )

    assert "Invalid control character at: line 10, column 7 of " in answer.stderr


@pytest.mark.parametrize("first", ["sriovbond", "sriov", "bridge", "host-device"])
def test_after_a_plugin_that_makes_the_interface_ours_is_refused(
    tmp_path: Path, first: str
) -> None:
    plugins = [{"type": first, "links": "auto"}, {"type": "tuning"}, {"type": "sriovbond"}]

    answer = validate(tmp_path, {"name": "net", "cniVersion": "1.0.0", "plugins": plugins})

    assert answer.exit_code == 1
    assert "plugins[2] (sriovbond): cannot make 'bond0' in " in answer.stderr
    assert "an earlier plugin of this list made bond0" in answer.stderr
    assert "give the bond a network of its own [name-taken]" in answer.stderr


def test_after_plugins_that_make_no_interface_ours_is_valid(tmp_path: Path) -> None:
    plugins = [{"type": "tuning"}, {"type": "sriovbond"}, {"type": "bandwidth"}]

    answer = validate(tmp_path, {"name": "net", "cniVersion": "1.0.0", "plugins": plugins})

    assert (answer.exit_code, answer.stderr) == (0, "")
