"""Rules, alerts and dashboards of `deploy/`, against promtool and against a real Prometheus that scrapes the daemon."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.llm_feed import LlmFeed
from tests.support.peers import Daemon, Prometheus
from tests.support.wait import wait_until

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240), pytest.mark.xdist_group("prometheus_deploy")]

ROOT = Path(__file__).resolve().parents[3]
RULES = sorted((ROOT / "deploy/prometheus").glob("*.rules.yaml"))
RULE_TESTS = sorted((ROOT / "deploy/prometheus/tests").glob("*.test.yaml"))
DASHBOARDS = sorted((ROOT / "deploy/grafana").glob("*.json"))
VARIABLES = {
    "$__rate_interval": "10s",
    "$__range": "1m",
    **dict.fromkeys(("$service", "$environment", "$model", "$instance"), ".*"),
}


def promtool(binaries: Path, *arguments: object, cwd: Path = ROOT) -> None:
    """Run promtool; fail with what it says."""
    command = [str(binaries / "promtool"), *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_rules_are_well_formed(binaries: Path, path: Path) -> None:
    """promtool finds no fault, duplicates included."""
    promtool(binaries, "check", "rules", "--lint=all", "--lint-fatal", path)


def test_the_example_configuration_is_valid(binaries: Path) -> None:
    """With the rule files that it names."""
    promtool(binaries, "check", "config", "deploy/prometheus/prometheus.yaml")


@pytest.mark.parametrize("path", RULE_TESTS, ids=lambda path: path.name)
def test_rules_say_what_they_should(binaries: Path, path: Path) -> None:
    """Series in, recorded values and alerts out, as written beside the rules."""
    promtool(binaries, "test", "rules", path)


def test_every_alert_is_tested() -> None:
    """No alert without a case in which it fires."""
    rules = [rule for path in RULES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]
    cases = [test for path in RULE_TESTS for test in yaml.safe_load(path.read_text())["tests"]]
    fired = {case["alertname"] for test in cases for case in test.get("alert_rule_test", []) if case["exp_alerts"]}
    assert fired == {rule["alert"] for rule in rules if "alert" in rule}


# --------------------------------------------------------------------- real run


def daemon_config() -> dict[str, Any]:
    """Return `configs/llm-metrics.yaml` on free ports, told twice a second."""
    text = (ROOT / "configs/llm-metrics.yaml").read_text()
    for number, name in (("4317", "GRPC"), ("4318", "HTTP"), ("8889", "PAGE"), ("13133", "HEALTH")):
        text, found = re.subn(r"\$\{env:LISTEN_HOST:-localhost\}:" + number, f"127.0.0.1:${{env:{name}_PORT}}", text)
        assert found == 1
    text = text.replace("metrics_flush_interval: 10s", "metrics_flush_interval: 500ms")
    config: dict[str, Any] = yaml.safe_load(text)
    config["service"]["telemetry"] = {"metrics": {"address": "127.0.0.1:${env:METRICS_PORT}"}}
    return config


def prometheus_config(daemon: Daemon) -> dict[str, Any]:
    """Return `deploy/prometheus/prometheus.yaml` for the running daemon, scraped twice a second."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yaml").read_text())
    config["global"] = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"}
    config["rule_files"] = [str(path) for path in RULES]
    for job, port in zip(config["scrape_configs"], ("METRICS_PORT", "PAGE_PORT"), strict=True):
        job["static_configs"] = [{"targets": [daemon.endpoint(port)]}]
    return config


@pytest.fixture(scope="module")
def prometheus(binaries: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that scrapes a daemon which gets LLM calls all the time."""
    with (
        Daemon(daemon_config(), directory=tmp_path_factory.mktemp("daemon")) as daemon,
        Prometheus(prometheus_config(daemon)) as server,
        LlmFeed(daemon.endpoint("HTTP_PORT")),
    ):
        wait_until(lambda: server.query("rate(llm_requests_total[10s]) > 0"), server, seconds=60)
        yield server


def queries() -> Iterator[Any]:
    """Yield every query of every dashboard, with variables as Grafana would fill them in."""
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", []):
                expression = target["expr"]
                for name, value in VARIABLES.items():
                    expression = expression.replace(name, value)
                yield pytest.param(expression, id=f"{path.stem}-{panel['title']}-{target['refId']}".replace(" ", "-"))


@pytest.mark.parametrize("expression", list(queries()))
def test_panel_has_data(prometheus: Prometheus, expression: str) -> None:
    """Each query of the dashboards returns something for a daemon at work."""
    assert "$" not in expression
    wait_until(lambda: prometheus.query(expression), prometheus, seconds=30)


@pytest.mark.parametrize(
    "name",
    [
        rule["record"]
        for path in RULES
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
        # What is lost is recorded only where something is.
        if "record" in rule and rule["record"] != "untrace:lost_items:rate5m"
    ],
)
def test_rule_records(prometheus: Prometheus, name: str) -> None:
    """Each recording rule has a value for a daemon at work."""
    wait_until(lambda: prometheus.query(name), prometheus, seconds=30)


def test_rules_have_no_errors(prometheus: Prometheus) -> None:
    """Every rule is evaluated, alerts too, without an error; what fires is the error rate, which is ten per cent."""
    groups = wait_until(lambda: (prometheus.ask("rules") or {}).get("groups"), prometheus)
    rules = [rule for group in groups for rule in group["rules"]]
    assert {rule["health"] for rule in rules} == {"ok"}
    pending = {rule["name"] for rule in rules if rule["type"] == "alerting" and rule["state"] != "inactive"}
    assert pending <= {"LlmErrorRateHigh", "LlmErrorBudgetBurnsFast", "LlmErrorBudgetBurnsSlowly", "LlmRateLimited"}


def test_exemplars_lead_to_traces(prometheus: Prometheus) -> None:
    """Prometheus keeps exemplars of durations, with the ids of the spans."""

    def found() -> Any:
        query = "gen_ai_client_operation_duration_seconds_bucket"
        return prometheus.ask("query_exemplars", query=query, start="0", end="99999999999")

    series = wait_until(found, prometheus)
    labels = series[0]["exemplars"][0]["labels"]
    assert (len(labels["trace_id"]), len(labels["span_id"])) == (32, 16)


def test_types_are_known(prometheus: Prometheus) -> None:
    """Metadata says what each metric is."""
    kinds = {name: one[0]["type"] for name, one in prometheus.ask("metadata").items()}
    assert kinds["llm_requests"] == kinds["llm_cost"] == "counter"
    assert kinds["gen_ai_client_operation_duration_seconds"] == "histogram"


def test_native_histograms(binaries: Path, tmp_path: Path) -> None:
    """Exponential histograms arrive as native ones, scraped as protobuf, and quantiles are right."""
    config = daemon_config()
    config["connectors"]["llm_metrics"]["exponential_histograms"] = {"enabled": True}
    with Daemon(config, directory=tmp_path) as daemon:
        scraped = prometheus_config(daemon)
        scraped["global"]["scrape_native_histograms"] = True
        with Prometheus(scraped) as server, LlmFeed(daemon.endpoint("HTTP_PORT")):
            name = "gen_ai_client_operation_duration_seconds"
            found = wait_until(lambda: server.query(f"histogram_quantile(0.5, sum(rate({name}[10s])))"), server)
            assert 0.2 < float(found[0]["value"][1]) < 8
            wait_until(lambda: server.query(f"histogram_count(sum({name})) > 100"), server)
