"""validate, print-config, components and schema."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.unit.cli.conftest import Run


def test_validate_ok(run: Run, good: Path) -> None:
    """A right file is answered with one line and code 0."""
    outcome = run("validate", "--config", good)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == "ok: 1 pipeline, 3 components\n"


def test_validate_says_what_several_workers_change(run: Run, tmp_path: Path) -> None:
    """How many there would be here, what runs once, and where traces meet."""
    path = tmp_path / "workers.yaml"
    path.write_text(
        """\
receivers: {listen: {protocols: {grpc: }}, tail: }
processors: {tag: , whole: }
exporters: {send: {endpoint: "localhost:4317"}}
service:
  workers: 3
  pipelines: {traces/a: {receivers: [listen, tail], processors: [tag, whole], exporters: [send]}}
"""
    )
    outcome = run("validate", "--config", path)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines() == [
        "ok: 1 pipeline, 5 components",
        "3 workers on this machine",
        "receiver tail runs in worker 0 only",
        "pipeline traces/a: spans of a trace meet in one worker before whole",
    ]


def test_validate_wrong(run: Run, good: Path) -> None:
    """A wrong file: every problem on stderr, code 2."""
    outcome = run("validate", "--config", good, "--set", "exporters.send.retries=99", "--set", "receivers.x.y=1")
    assert outcome.code == 2
    assert "--set exporters.send.retries: exporters.send.retries: 99 is not allowed" in outcome.err
    assert outcome.err.endswith("2 problems\n")


def test_validate_json(run: Run, good: Path) -> None:
    """``--json`` gives machines the same, with codes."""
    outcome = run("validate", "--config", good, "--json", "--set", "exporters.send.retires=1")
    report = json.loads(outcome.out)
    assert outcome.code == 2
    assert report["valid"] is False
    (problem,) = report["problems"]
    assert (problem["code"], problem["suggestion"]) == ("unknown-option", "retries")
    assert "hunter2" not in outcome.out


def test_print_config_masks_secrets(run: Run, good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed is the resolved file as valid YAML, without any secret."""
    monkeypatch.setenv("TEAM", "blue")
    outcome = run("print-config", "--config", good, "--set", "exporters.send.timeout=7s")
    shown = yaml.safe_load(outcome.out)
    assert outcome.code == 0
    assert "hunter2" not in outcome.out
    assert shown["exporters"]["send"]["headers"] == {"authorization": "[REDACTED]", "x-plain": "[REDACTED]"}
    assert shown["exporters"]["send"]["endpoint"] == "https://[REDACTED]@localhost:4317"
    assert shown["exporters"]["send"]["timeout"] == "7s"
    assert shown["processors"]["tag"]["value"] == "blue"


def test_components_table(run: Run) -> None:
    """The table lists every type with its other spellings, and a broken plugin with its error."""
    outcome = run("components")
    assert outcome.code == 0
    assert "send, sendhttp" in outcome.out
    (broken,) = [line for line in outcome.out.splitlines() if line.startswith("  broken")]
    assert "has no attribute 'MISSING'" in broken
    assert "credit_card" in outcome.out.partition("\ndetectors\n")[2]


def test_components_json(run: Run) -> None:
    """``--json`` names kind, type, package, version, stability and signals of each."""
    listed = {(one["kind"], one["type"]): one for one in json.loads(run("components", "--json").out)}
    send = listed["exporters", "send"]
    assert send["aliases"] == ["sendhttp"]
    assert (send["package"], send["version"], send["stability"]) == ("tests", "1.0", "beta")
    assert send["signals"] == ["traces", "metrics", "logs"]
    assert listed["exporters", "traces_only"]["signals"] == ["traces"]
    assert ("exporters", "sendhttp") not in listed
    assert "error" in listed["processors", "broken"]


def test_schema_accepts_what_the_loader_accepts(run: Run, good: Path) -> None:
    """The schema is valid draft-07 and takes a right file, references included."""
    schema = json.loads(run("schema").out)
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    document = yaml.safe_load(good.read_text())
    document["exporters"]["send"]["retries"] = "${env:RETRIES}"
    document["exporters"]["send/two"] = None
    assert [error.message for error in validator.iter_errors(document)] == []


def test_schema_refuses_mistakes(run: Run, good: Path) -> None:
    """The schema knows unknown sections, types and options, and enumerations."""
    validator = jsonschema.Draft7Validator(json.loads(run("schema").out))
    document = yaml.safe_load(good.read_text())
    for path, value in [
        (("exporter",), {}),
        (("exporters", "unheard_of"), None),
        (("exporters", "send", "retires"), 1),
        (("exporters", "send", "compression"), "gzipp"),
        (("exporters", "send", "retries"), "three"),
    ]:
        wrong = yaml.safe_load(good.read_text())
        holder = wrong
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = value
        assert list(validator.iter_errors(wrong)), path
    assert not list(validator.iter_errors(document))


def test_schema_describes_options(run: Run) -> None:
    """Docstrings of options become descriptions."""
    definitions = json.loads(run("schema").out)["definitions"]
    assert definitions["SendConfig"]["properties"]["endpoint"]["description"] == "Where to send to, `host:port`."
    url = definitions["SendConfig"]["properties"]["url"]
    assert (url["deprecated"], url["description"]) == (True, "Deprecated: use endpoint. The older name of endpoint.")


def test_environment(run: Run, good: Path) -> None:
    """``--environment`` finds a taken port and a destination that does not answer; without it nothing is opened."""
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        settings = [
            "--set",
            f"receivers.listen.protocols.grpc.endpoint=127.0.0.1:{taken.getsockname()[1]}",
            "--set",
            f"exporters.send.endpoint=me:hunter2@127.0.0.1:{unused.getsockname()[1]}",
            "--set",
            "service.telemetry.metrics.level=none",
        ]
        assert run("validate", "--config", good, *settings).code == 0
        outcome = run("validate", "--config", good, "--environment", *settings)
    assert outcome.code == 1
    assert "receivers.listen.protocols.grpc.endpoint: cannot listen on 127.0.0.1:" in outcome.err
    assert "exporters.send.endpoint: nothing answers at 127.0.0.1:" in outcome.err
    assert "2 problems" in outcome.err
    assert "hunter2" not in outcome.err


def test_environment_fits(run: Run, good: Path) -> None:
    """``--environment`` is content with free ports and a destination that answers."""
    with socket.create_server(("127.0.0.1", 0)) as there:
        settings = [
            "--set",
            "receivers.listen.protocols.grpc.endpoint=127.0.0.1:0",
            "--set",
            f"exporters.send.endpoint=127.0.0.1:{there.getsockname()[1]}",
            "--set",
            "service.telemetry.metrics.level=none",
        ]
        outcome = run("validate", "--config", good, "--environment", *settings)
    assert (outcome.code, outcome.err) == (0, "")
