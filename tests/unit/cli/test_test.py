"""The ``test`` command: real processors and connectors, captured outputs."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent

import pytest

from tests.unit.cli.conftest import Run
from untrace_pipeline.data import Signal
from untrace_pipeline.testing import make_batch

CONFIG = """\
receivers:
  listen: {protocols: {grpc: }}
processors:
  tag: {key: team, value: red}
  tag/second: {key: step, value: 2}
connectors:
  route:
exporters:
  send: {endpoint: "localhost:1"}
  send/two: {endpoint: "localhost:1"}
service:
  pipelines:
    traces: {receivers: [listen], processors: [tag], exporters: [send, route]}
    traces/second: {receivers: [route], processors: [tag/second], exporters: [send, send/two]}
    logs: {receivers: [listen], exporters: [send]}
    metrics: {receivers: [listen], exporters: [send]}
"""


@pytest.fixture
def check(run: Run, tmp_path: Path):
    """Return a function that runs one test block against CONFIG."""

    def check(block: str, *arguments: str):
        (tmp_path / "config.yaml").write_text(CONFIG)
        (tmp_path / "tests.yaml").write_text("tests:\n" + dedent(block))
        files = ("--config", tmp_path / "config.yaml", "--config", tmp_path / "tests.yaml")
        return run("test", *files, *arguments)

    return check


def test_passes(check) -> None:
    """What is expected arrives: through processors, a fan-out and a connector, in short form."""
    outcome = check("""\
    - name: tagged on the way
      input:
        traces:
          - {name: chat, kind: client, status: error, duration: 2s, attributes: {n: 1, f: 1.5, l: [1, x], m: {a: b}}}
          - {name: embed, resource: {service.name: shop}, events: [{name: e, attributes: {k: v}}]}
      output:
        traces:
          item_count: 2
          traces:
            - {name: chat, kind: client, status: error, duration: 2s}
            - attributes: {team: red, step: null}
              resource: {service.name: shop}
              events: [{name: e, attributes: {k: v}}]
        send/two:
          traces:
            - attributes: {team: red, step: 2, n: 1, f: 1.5, l: [1, x], m: {a: b}}
            - {name: embed}
          conditions:
            - attributes["team"] == "red"
            - {field: name, operator: in, value: [chat, embed]}
        send: {item_count: 4}
    """)
    assert (outcome.code, outcome.err) == (0, ""), outcome.out
    assert outcome.out == "ok    tagged on the way\n\n1 passed, 0 failed\n"


def test_fails_with_each_difference(check) -> None:
    """Every difference is named by its path, with what was expected and what came; code 1."""
    outcome = check("""\
    - name: wrong
      input: {traces: [{name: chat, attributes: {n: 1}}]}
      output:
        send/two:
          item_count: 3
          traces: [{name: embed, attributes: {team: blue, n: null, gone: x}}]
          conditions: ['name == "embed"']
        send: {traces: []}
    - name: right
      input: {traces: []}
      output: {send: {item_count: 0}}
    """)
    assert outcome.code == 1
    assert outcome.out.splitlines() == [
        "FAIL  wrong",
        "      send/two: item_count: expected 3, got 1",
        '      send/two: traces[0].attributes.team: expected "blue", got "red"',
        "      send/two: traces[0].attributes.n: expected nothing, got 1",
        '      send/two: traces[0].attributes.gone: expected "x", got nothing',
        '      send/two: traces[0].name: expected "embed", got "chat"',
        '      send/two: conditions: name == "embed" does not hold for item 0',
        '      send: traces: expected 0, got 2: "chat", "chat"',
        "ok    right",
        "",
        "1 passed, 1 failed",
    ]


def test_pipeline_chooses_where_data_enters(check) -> None:
    """``pipeline`` feeds one pipeline only, even one that a connector feeds otherwise."""
    outcome = check("""\
    - name: behind the connector
      pipeline: traces/second
      input: {traces: [{name: a}]}
      output:
        send: {item_count: 1}
        send/two: {traces: [{attributes: {step: 2, team: null}}]}
    """)
    assert outcome.code == 0, outcome.out


def test_logs_and_metrics(check) -> None:
    """Log records and metrics have a short form too."""
    outcome = check("""\
    - name: others
      input:
        - logs: [{body: hello, severity_number: 9, severity_text: INFO, attributes: {a: true}}]
        - metrics: [{name: m, unit: s, type: sum, value: 3, attributes: {a: 1}}, {name: g, value: 1.5}]
      output:
        send:
          item_count: 3
          logs: [{body: hello, severity_number: 9, severity_text: INFO, attributes: {a: true}}]
          metrics: [{name: m, unit: s, type: sum, value: 3, attributes: {a: 1}}, {name: g, type: gauge, value: 1.5}]
    """)
    assert outcome.code == 0, outcome.out


def test_input_from_file_and_otlp(check, tmp_path: Path) -> None:
    """Input may be a file of OTLP JSON lines, or OTLP JSON in place; so may the expectation, as a part of it."""
    (tmp_path / "in.jsonl").write_bytes(make_batch(Signal.TRACES, 3).to_json() + b"\n\n")
    outcome = check(f"""\
    - name: file
      input: {{file: {tmp_path / "in.jsonl"}}}
      output: {{send/two: {{item_count: 3}}}}
    - name: otlp
      input: {{otlp: {{resourceLogs: [{{scopeLogs: [{{logRecords: [{{body: {{stringValue: x}}}}]}}]}}]}}}}
      output:
        send: {{otlp: {{resourceLogs: [{{scopeLogs: [{{logRecords: [{{body: {{stringValue: x}}}}]}}]}}]}}}}
    """)
    assert outcome.code == 0, outcome.out


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("{file: missing.jsonl}", "cannot read missing.jsonl: No such file or directory"),
        ("{otlp: {spans: []}}", "the input is no OTLP JSON request"),
        ("{otlp: {resourceSpans: 5}}", "the input is no OTLP JSON request"),
    ],
)
def test_unreadable_input(check, given: str, expected: str) -> None:
    """A test whose input cannot be read fails with the reason."""
    outcome = check(f"- {{name: x, input: {given}, output: {{send: {{item_count: 1}}}}}}\n")
    assert outcome.code == 1
    assert expected in outcome.out


def test_json(check) -> None:
    """``--json`` gives machines the results."""
    outcome = check(
        "- {name: x, input: {traces: []}, output: {send: {item_count: 1}}}\n"
        "- {name: y, input: {traces: []}, output: {send: {item_count: 0}}}\n",
        "--json",
    )
    assert outcome.code == 1
    assert json.loads(outcome.out) == [
        {"name": "x", "passed": False, "failures": ["send: item_count: expected 1, got 0"]},
        {"name": "y", "passed": True, "failures": []},
    ]


def test_filter(check) -> None:
    """``--filter`` runs the tests whose name contains the text; none at all is bad usage."""
    block = "- {name: mine, input: {traces: []}, output: {send: {item_count: 0}}}\n"
    assert check(block, "--filter", "min").code == 0
    outcome = check(block, "--filter", "other")
    assert outcome.code == 2
    assert "none of 1 tests" in outcome.err


def test_no_tests(run: Run, good: Path) -> None:
    """A file without tests is bad usage, so that a forgotten file does not pass."""
    outcome = run("test", "--config", good)
    assert outcome.code == 2
    assert "no tests: block" in outcome.err


def test_wrong_block_is_a_problem_of_the_file(check) -> None:
    """Test blocks are checked like everything else: options, types, ids."""
    outcome = check("""\
    - name: x
      pipeline: traces/sekond
      input: {traces: [{nam: chat}]}
      outputs: {}
      output: {send/too: {item_count: -1}}
    - {name: y, input: {}, output: {sent: {item_count: 1}}}
    - {name: z, pipeline: traces/sekond, input: {traces: []}, output: {sent: {item_count: 1}}}
    """)
    assert outcome.code == 2
    for text in (
        "did you mean: name?",
        "did you mean: output?",
        "tests[0].output.send/too.item_count: -1 is not allowed",
        "exactly one of traces, metrics, logs, otlp and file is needed",
        "did you mean: traces/second?",
        "did you mean: send?",
    ):
        assert text in outcome.err
