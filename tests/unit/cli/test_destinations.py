"""``untrace-pipeline destinations``: what can be sent to, what it needs, and whether it works."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.destinations.background import platform
from tests.support.destinations.platforms import KEY, PLATFORMS
from tests.support.destinations.server import ContractServer, Judgement
from untrace_pipeline.cli import main
from untrace_pipeline.config.loader import load

pytestmark = pytest.mark.once

SERVICE = "receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:0'}}}}\n"


def configured(directory: Path, exporters: dict[str, dict[str, Any]], signal: str = "traces") -> list[str]:
    """Write a configuration with these exporters, and return the arguments that name it."""
    pipelines = {signal: {"receivers": ["otlp"], "exporters": list(exporters)}}
    text = SERVICE + yaml.safe_dump({"exporters": exporters, "service": {"pipelines": pipelines}})
    (directory / "c.yaml").write_text(text)
    return ["--config", str(directory / "c.yaml")]


def options(name: str, server: ContractServer, **more: Any) -> dict[str, Any]:
    return {**PLATFORMS[name].options, "endpoint": server.url + PLATFORMS[name].base, **more}


def test_list_names_every_destination(capsys: pytest.CaptureFixture[str]) -> None:
    """By category, with signals and the page of its maker; the same as JSON."""
    assert main(["destinations", "list"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {name}" in text for name in PLATFORMS)
    assert main(["destinations", "list", "--json"]) == 0
    entries = {one["type"]: one for one in json.loads(capsys.readouterr().out)}
    assert entries.keys() >= PLATFORMS.keys()
    assert entries["langfuse"]["signals"] == ["traces"]


@pytest.mark.parametrize("name", sorted(PLATFORMS))
def test_what_show_prints_is_a_configuration_that_works(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The minimal YAML of each destination is valid once its variables are set."""
    assert main(["destinations", "show", name]) == 0
    text = capsys.readouterr().out
    section = text[text.index("exporters:") : text.index("\noptions")]
    assert main(["destinations", "show", name, "--json"]) == 0
    signal = json.loads(capsys.readouterr().out)["signals"][0]
    pipeline = f"service: {{pipelines: {{{signal}: {{receivers: [otlp], exporters: [{name}]}}}}}}"
    variables = {f"{name.upper()}_{option.upper()}": "x" for option in PLATFORMS[name].options}
    variables |= {f"{name.upper()}_{option}": "x" for option in ("API_KEY", "TOKEN")}
    assert load([f"yaml:{SERVICE}{section}{pipeline}"], environ=variables).spec


@pytest.mark.parametrize("name", ["awss3", "file", "kafka", "otlp_grpc", "otlp_http", "webhook"])
def test_protocols_and_stores_are_listed_and_shown(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What belongs to no one platform is found, too, and the YAML that it is shown with is valid."""
    assert main(["destinations", "list", "--json"]) == 0
    entries = {one["type"]: one for one in json.loads(capsys.readouterr().out)}
    assert entries[name]["category"] in {"protocols", "stores"}
    assert main(["destinations", "show", name]) == 0
    text = capsys.readouterr().out
    section = text[text.index("exporters:") : text.index("\noptions")]
    pipeline = f"service: {{pipelines: {{traces: {{receivers: [otlp], exporters: [{name}]}}}}}}"
    assert load([f"yaml:{SERVICE}{section}{pipeline}"], environ={}).spec


def test_an_alias_is_shown_and_a_misspelt_name_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    """``respan`` is Keywords AI; ``langfus`` is a mistake."""
    assert main(["destinations", "show", "respan"]) == 0
    assert "Respan" in capsys.readouterr().out
    assert main(["destinations", "show", "langfus"]) == 2
    assert "did you mean: langfuse?" in capsys.readouterr().err
    assert main(["destinations", "show", "debug"]) == 2


def test_check_asks_health_and_credentials(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All destinations at once, each with its own answer; 0 if all is well."""
    with platform("langfuse") as one, platform("phoenix") as two:
        exporters = {"langfuse": options("langfuse", one), "phoenix/eu": options("phoenix", two)}
        assert main(["destinations", "check", *configured(tmp_path, exporters)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if "health" in line] == ["langfuse", "phoenix/eu"]
    assert sum("ok" in line.split() for line in lines) == 4
    assert one.received == []


def test_check_of_what_answers_no_questions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At least somebody listens."""
    with platform("posthog") as server:
        assert main(["destinations", "check", *configured(tmp_path, {"posthog": options("posthog", server)})]) == 0
    assert "connection" in capsys.readouterr().out
    assert server.received == []


def test_check_tells_wrong_credentials_and_hides_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The code is 1, the reason is told, the key is not."""
    with platform("langfuse") as server:
        exporters = {"langfuse": options("langfuse", server, secret_key="sk-wrong-and-secret")}
        assert main(["destinations", "check", "--json", *configured(tmp_path, exporters)]) == 1
    output = capsys.readouterr().out
    found = {one["what"]: one for one in json.loads(output)}
    assert found["health"]["ok"]
    assert not found["credentials"]["ok"]
    assert "HTTP 401" in found["credentials"]["message"]
    assert "sk-wrong" not in output


def test_check_of_what_is_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody answers; exporters without questions are at least connected to."""
    with platform("langfuse") as server:
        away = server.url
    exporters = {"langfuse": {**options("langfuse", server), "endpoint": away}, "otlp_http": {"endpoint": away}}
    assert main(["destinations", "check", *configured(tmp_path, exporters)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if "FAILED" in line and not line.startswith(" ")] == [
        "langfuse",
        "otlp_http",
    ]


@pytest.mark.parametrize("name", sorted(PLATFORMS))
def test_send_test_goes_through_the_exporter(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One example arrives in the form of the platform, and it is told where to look."""
    signal = str(next(iter(PLATFORMS[name].rules.paths.values())))
    with platform(name) as server:
        config = configured(tmp_path, {name: options(name, server)}, signal)
        assert main(["destinations", "send-test", *config, name]) == 0
    text = capsys.readouterr().out
    assert "arrived" in text
    assert KEY not in text
    assert server.item_count == (PLATFORMS[name].takes if signal == "traces" else 1)


def test_send_test_says_what_the_platform_answered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A refusal is told with its meaning; the code is 1."""
    with platform("langwatch", Judgement(402, b'{"message":"ERR_PLAN_LIMIT"}')) as server:
        config = configured(tmp_path, {"langwatch": options("langwatch", server)})
        assert main(["destinations", "send-test", *config, "langwatch"]) == 1
    text = capsys.readouterr().out
    assert "did not arrive" in text
    assert "the plan is used up" in text
    assert "ERR_PLAN_LIMIT" in text


def test_send_test_needs_a_configured_exporter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another name, or a signal that no pipeline sends there, is bad usage."""
    with platform("langfuse") as server:
        config = configured(tmp_path, {"langfuse": options("langfuse", server)})
        assert main(["destinations", "send-test", *config, "langfus"]) == 2
        assert "did you mean: langfuse?" in capsys.readouterr().err
        assert main(["destinations", "send-test", *config, "langfuse", "--signal", "logs"]) == 2
        assert "gets no logs" in capsys.readouterr().err


def test_a_file_of_ones_own_is_shown_and_its_mistakes_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All that is wrong at once, with code 2."""
    monkeypatch.setenv("UNTRACE_DESTINATION_PRESETS_DIR", str(tmp_path))
    page = (Path(__file__).resolve().parents[3] / "docs/adding-destinations.md").read_text()
    example = page.partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "acme.yaml").write_text(example)
    assert main(["destinations", "show", "acme"]) == 0
    assert "Acme Observability" in capsys.readouterr().out
    (tmp_path / "acme.yaml").write_text(
        example.replace("title:", "titel:").replace("category: observability", "category: x")
    )
    assert main(["destinations", "show", "acme"]) == 2
    told = capsys.readouterr().err
    assert "titel" in told
    assert "category" in told
    assert str(tmp_path) in told
