"""The example alerts use series that the agent exposes, and have a remedy for the operator."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from sriovbond.agent.report.metrics import Metrics
from sriovbond.dispatch import Failure
from tests.docs_tables import CHECKOUT
from tests.support.watched import a_watched_bond

ALERTS = [
    rule
    for group in yaml.safe_load((CHECKOUT / "manifests/alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
OF_PROMETHEUS = {"instance", "job"}
"""Labels that Prometheus adds to each series of a scrape."""
IN_EXPRESSIONS = re.compile(r'(\w+)\s*(?:=~|!=|!~|=)\s*"([^"]*)"')
each = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: str(alert["alert"]))


def exposed() -> Mapping[str, list[Mapping[str, str]]]:
    """Return the labels of each series, by its name."""
    metrics = Metrics(lambda: [a_watched_bond()], lambda: 0, kept=lambda: {"net": 1})
    metrics.count_call("ADD", 0.1, {"look": 0.1}, Failure(101, "a", rule="name-taken"))
    found: dict[str, list[Mapping[str, str]]] = {"up": [{"job": "sriovbond"}]}
    for family in text_string_to_metric_families(metrics.page().content.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.labels)
    return found


EXPOSED = exposed()


def names(expression: str) -> set[str]:
    return set(re.findall(r"\bsriovbond_\w+|\bup\b", expression))


@each
def test_every_metric_is_exposed(alert: dict[str, Any]) -> None:
    assert names(alert["expr"])
    assert names(alert["expr"]) <= EXPOSED.keys()
    assert names(" ".join(alert["annotations"].values())) <= EXPOSED.keys() | {
        name.removesuffix("_count") for name in EXPOSED
    }


@each
def test_every_label_and_value_is_exposed(alert: dict[str, Any]) -> None:
    series = [labels for name in names(alert["expr"]) for labels in EXPOSED[name]]
    known = {label for labels in series for label in labels} | OF_PROMETHEUS

    grouped = re.findall(r"by \(([^)]*)\)", alert["expr"])
    used = {label.strip() for labels in grouped for label in labels.split(",")}
    told = set(re.findall(r"\$labels\.(\w+)", str(alert["annotations"])))
    matched = IN_EXPRESSIONS.findall(alert["expr"])

    assert used | told | {label for label, _ in matched} <= known
    assert [
        (label, value)
        for label, value in matched
        if value and not any(labels.get(label) == value for labels in series)
    ] == []


@each
def test_every_alert_has_a_severity_a_description_and_a_runbook(alert: dict[str, Any]) -> None:
    assert re.fullmatch(r"Sriovbond[A-Z]\w+", alert["alert"])
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    assert {"summary", "description", "runbook"} == alert["annotations"].keys()
    # what is absent is of no instance
    assert ("$labels.instance" in str(alert["annotations"])) != ("absent(" in alert["expr"])


def test_no_alert_has_the_name_of_another() -> None:
    assert len({alert["alert"] for alert in ALERTS}) == len(ALERTS)


@each
def test_of_a_series_that_begins_with_its_first_count_the_beginning_counts(
    alert: dict[str, Any],
) -> None:
    """Prometheus' increase() of a series that has one value so far is none."""
    at_first = {
        family.name: family.samples
        for family in text_string_to_metric_families(
            Metrics(lambda: [a_watched_bond()], lambda: 0).page().content.decode()
        )
    }

    increased = re.findall(r"increase\((\w+)_total\b", alert["expr"])

    for name in increased:
        assert at_first[name] or re.search(rf"unless {name}_total\S* offset", alert["expr"])
