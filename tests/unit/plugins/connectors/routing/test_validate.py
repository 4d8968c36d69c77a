"""What ``validate`` says of rules, inline and in their file."""

from __future__ import annotations

from pathlib import Path

import pytest

from untrace_pipeline.config.diagnostics import Problem, Severity
from untrace_pipeline.config.loader import load
from untrace_pipeline.errors import ConfigError

CONFIG = """\
receivers: {otlp: {protocols: {http: {endpoint: "localhost:0"}}}}
processors:
  attributes: {actions: [{key: a, value: 1, action: insert}]}
  tail_sampling: {policies: [{name: all, type: always_sample}]}
connectors:
  routing:
%s
exporters: {debug: }
service:
  pipelines:
    traces/in: {receivers: [otlp], exporters: [routing]}
    traces/a: {receivers: [routing], exporters: [debug]}
    traces/b: {receivers: [routing], exporters: [debug]}
    traces/other: {receivers: [otlp], exporters: [debug]}
"""
GOOD = "rules: [{id: r, conditions: {all: [{field: model, operator: eq, value: x}]}, actions: {destinations: [a]}}]"


def problems(options: str, tmp_path: Path) -> list[Problem]:
    """Return what is said of a configuration with these options of the connector."""
    lines = "\n".join(f"    {line}" for line in options.replace("RULES", str(tmp_path / "rules.yaml")).splitlines())
    try:
        return list(load([f"yaml:{CONFIG % lines}"]).warnings)
    except ConfigError as error:
        return list(error.problems)


@pytest.mark.parametrize(
    "options",
    [
        GOOD,
        f"{GOOD}\nversion: '2'\ndefaultDestinations: [b]\nsamplingConfig: {{rate: 0.5}}\nmatch: all\nby: span",
        GOOD.replace("[a]", "[a, {name: traces/b, percentage: 10}], transformations: [attributes]"),
        "table: [{statement: 'route()', pipelines: [traces/a, traces/b]}]",
    ],
)
def test_good_rules_are_not_doubted(tmp_path: Path, options: str) -> None:
    """What is right has no problems."""
    assert problems(options, tmp_path) == []


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (GOOD.replace("[a]", "[nowhere]"), "bad-value", "destination nowhere is no pipeline"),
        (GOOD.replace("[a]", "[traces/nowhere]"), "unknown-pipeline", "traces/nowhere does not exist"),
        (GOOD.replace("[a]", "[traces/other]"), "unconnected-pipeline", "does not have connector routing"),
        (GOOD.replace("[a]", "[a], transformations: [nothing]"), "bad-value", "transformation nothing"),
        (GOOD.replace("[a]", "[a], transformations: [tail_sampling]"), "bad-value", "holds back"),
        (GOOD.replace("[a]", "[a/b/c]"), "bad-value", "is not understood"),
        (GOOD.replace("eq", "equals"), "bad-value", "operator"),
        (GOOD.replace("field: model", "feld: model"), "unknown-option", "feld"),
        (f"{GOOD}\ntable: []\nrules_file: x.yaml", "bad-value", "rules and rules_file: use one of them"),
        (f"{GOOD}\ndefault_pipelines: [traces/a]", "bad-value", "default_pipelines cannot stand beside rules"),
        ("match: all", "bad-value", "table, rules or rules_file is needed"),
        (
            "rules: [{id: r, actions: {destinations: [a]}}, {id: r, actions: {destinations: [a]}}]",
            "bad-value",
            "two rules with the id r",
        ),
        (
            "rules: [{id: r, destinations: [a], actions: {destinations: [a]}}]",
            "bad-value",
            "either in actions or in the rule",
        ),
        (
            GOOD.replace("model", "'span.name =='").replace("{field: ", "").replace(", operator: eq, value: x}", ""),
            "bad-value",
            "the end is not expected here",
        ),
    ],
)
def test_wrong_rules_are_errors(tmp_path: Path, options: str, code: str, words: str) -> None:
    """Mistakes are told with their place in the configuration."""
    found = [one for one in problems(options, tmp_path) if one.severity is Severity.ERROR]
    assert any(one.code == code and words in f"{one.path} {one.message}" for one in found), [str(one) for one in found]


def test_doubts_are_warnings(tmp_path: Path) -> None:
    """A rule that can never match works, and is told."""
    rules = GOOD.replace("}]}, actions", "}, {field: model, operator: neq, value: x}]}, actions")
    (found,) = problems(rules, tmp_path)
    assert (found.code, found.severity) == ("doubtful-option", Severity.WARNING)
    assert found.path == "connectors.routing.rules[0].conditions"
    assert "can never match" in found.message


@pytest.mark.parametrize(
    ("text", "words", "severity"),
    [
        (
            GOOD.replace("[a]", "[nowhere]"),
            "rules.yaml:1:88: rules[0].actions.destinations: destination nowhere",
            Severity.ERROR,
        ),
        (
            GOOD.replace("value: x", "value: 3"),
            "rules.yaml:1:17: rules[0].conditions: rule r can never match",
            Severity.WARNING,
        ),
        ("", "the file is empty", Severity.ERROR),
        ("rules: 3", "rules.yaml:1:8: rules: 3 is of the wrong type", Severity.ERROR),
    ],
)
def test_file_is_looked_into(tmp_path: Path, text: str, words: str, severity: Severity) -> None:
    """Problems of the rules file are told at the option that names it, with their place in the file."""
    (tmp_path / "rules.yaml").write_text(text)
    (found,) = problems("rules_file: RULES", tmp_path)
    assert found.path == "connectors.routing.rules_file"
    assert words in found.message
    assert found.severity is severity


def test_absent_file_is_an_error(tmp_path: Path) -> None:
    """The daemon would not start without it."""
    (found,) = problems("rules_file: RULES", tmp_path)
    assert "cannot be read: No such file" in found.message
