"""What is shipped to run the daemon elsewhere holds together."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from untrace_pipeline.api import MetricKind, MetricSpec
from untrace_pipeline.config.loader import load
from untrace_pipeline.registry import Registry
from untrace_pipeline.telemetry.table import SECTIONS
from untrace_plugins.connectors.llm_metrics.catalog import CATALOG
from untrace_plugins.prometheus.names import metric_name

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = sorted((ROOT / "deploy/kubernetes").glob("*.yaml"))
CONFIGS = [*sorted((ROOT / "configs").glob("*.yaml")), ROOT / "deploy/docker/config.yaml"]
ENVIRONMENT = {
    "NODE_NAME": "n",
    "POD_NAME": "p",
    "POD_NAMESPACE": "ns",
    "INGEST_TOKEN": "t",
    "KAFKA_PASSWORD": "p",
    "API_KEY": "k",
    "STORAGE_KEY": "0f" * 32,
    "UNTRACE_KEY": "tr_live_1",
    "GITHUB_SECRET": "s",
}


def documents(path: Path) -> list[dict[str, Any]]:
    return [d for d in yaml.safe_load_all(path.read_text(encoding="utf-8")) if d]


def containers(path: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield each container that runs the daemon, with its pod."""
    for document in documents(path):
        pod = document.get("spec", {}).get("template", {}).get("spec", {})
        for container in [*pod.get("initContainers", []), *pod.get("containers", [])]:
            if container["image"].startswith("untrace-pipeline:"):
                yield container, pod


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.name)
def test_example_config_is_valid(path: Path) -> None:
    """Every example configuration loads without a problem or a warning."""
    assert load([str(path)], [], Registry()).warnings == ()


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda p: p.name)
def test_manifest_carries_a_valid_config(path: Path, tmp_path: Path) -> None:
    """The configuration in each ConfigMap loads."""
    maps = [d for d in documents(path) if d["kind"] == "ConfigMap"]
    assert maps
    for document in maps:
        config = tmp_path / "config.yaml"
        config.write_text(document["data"]["config.yaml"], encoding="utf-8")
        assert load([str(config)], [], Registry()).warnings == ()


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda p: p.name)
def test_manifest_is_hardened_and_probed(path: Path) -> None:
    """The daemon runs as nobody, read-only, with limits and probes, and its environment covers its configuration."""
    found = list(containers(path))
    assert found
    for container, pod in found:
        security = container["securityContext"] | pod.get("securityContext", {})
        assert security["runAsNonRoot"] is True
        assert security["readOnlyRootFilesystem"] is True
        assert container["resources"]["limits"]["memory"]
        assert {"startupProbe", "livenessProbe"} <= set(container)
        assert pod["terminationGracePeriodSeconds"] > 30
        given = {entry["name"] for entry in container["env"]}
        needed = set(re.findall(r"\$\{env:(\w+)\}", path.read_text(encoding="utf-8")))
        assert needed <= given


AUTOSCALERS = [
    (path, document)
    for path in MANIFESTS
    for document in documents(path)
    if document["kind"] == "HorizontalPodAutoscaler"
]


@pytest.mark.parametrize(
    ("path", "scaler"), AUTOSCALERS, ids=lambda one: one["metadata"]["name"] if isinstance(one, dict) else ""
)
def test_autoscaler_scales_what_is_there_by_what_is_measured(path: Path, scaler: dict[str, Any]) -> None:
    """Its target stands in the same file without a fixed number of replicas; a metric of ours is one that we have."""
    (target,) = [
        document
        for document in documents(path)
        if document["kind"] == scaler["spec"]["scaleTargetRef"]["kind"]
        and document["metadata"]["name"] == scaler["spec"]["scaleTargetRef"]["name"]
    ]
    assert "replicas" not in target["spec"]
    assert 1 < scaler["spec"]["minReplicas"] < scaler["spec"]["maxReplicas"]
    for metric in scaler["spec"]["metrics"]:
        if metric["type"] == "Resource":
            (container,) = target["spec"]["template"]["spec"]["containers"]
            assert metric["resource"]["name"] in container["resources"]["requests"]
        else:
            assert metric["pods"]["metric"]["name"] in served_gauges() & adapted()


def served_gauges() -> set[str]:
    """Return the gauges of all components, as the daemon serves them."""
    registry = Registry()
    factories = [registry.load(one.kind, one.type_name) for one in registry.installed()]
    return {f"untrace_{spec.name}" for one in factories for spec in one.metrics if spec.kind is MetricKind.GAUGE}


def adapted() -> set[str]:
    """Return the metrics that prometheus-adapter hands to autoscalers; its rules name one and the same everywhere."""
    rules = yaml.safe_load((ROOT / "deploy/prometheus/adapter.yaml").read_text(encoding="utf-8"))["rules"]["custom"]
    for rule in rules:
        assert rule["seriesQuery"].startswith(rule["name"]["as"] + "{")
        assert rule["name"]["matches"] == rule["name"]["as"]
    return {rule["name"]["as"] for rule in rules}


RULES = sorted((ROOT / "deploy/prometheus").glob("*.rules.yaml"))
QUERIES = [*RULES, *sorted((ROOT / "deploy/grafana").glob("*.json"))]


@pytest.mark.parametrize("path", QUERIES, ids=lambda p: p.name)
def test_rules_and_dashboards_ask_for_what_there_is(path: Path) -> None:
    """Every metric in a query is one that the daemon serves, or that llm_metrics makes; recorded ones are recorded."""
    recorded = {
        rule["record"]
        for one in RULES
        for group in yaml.safe_load(one.read_text())["groups"]
        for rule in group["rules"]
        if "record" in rule
    }
    served = {f"untrace_{spec.name}" for spec in every_spec()}
    made = {
        metric_name(
            metric.name,
            metric.unit,
            counter=not metric.bounds,
            gauge=False,
            namespace="",
            escapes=True,
            suffixes=True,
        )
        for metric in CATALOG
    }
    for expression in expressions(path):
        assert set(re.findall(r"(?:llm|untrace):[a-z0-9_:]+", expression)) <= recorded
        bare = re.sub(r'"[^"]*"|\b(?:by|without|ignoring) \([^)]*\)|(?:llm|untrace):[a-z0-9_:]+', "", expression)
        bare = re.sub(r"[a-z_]+(?==)", "", bare)  # labels of selectors
        for name in re.findall(r"\b(?:untrace|llm|gen_ai)_[a-z0-9_]+", bare):
            plain = re.sub(r"_(?:bucket|count|sum)$", "", name)
            assert {plain, plain.removesuffix("_total")} & served or plain in made, name


def expressions(path: Path) -> Iterator[str]:
    """Yield all queries of a file of rules or a dashboard."""
    if path.suffix == ".yaml":
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from (rule["expr"] for rule in group["rules"])
        return
    for panel in json.loads(path.read_text())["panels"]:
        yield from (target["expr"] for target in panel.get("targets", []))


def every_spec() -> Iterator[MetricSpec]:
    """Yield every metric of the daemon and of its components."""
    registry = Registry()
    for _, specs in SECTIONS:
        yield from specs
    for one in registry.installed():
        yield from registry.load(one.kind, one.type_name).metrics


def test_dockerfile_is_multi_stage_non_root_and_checked() -> None:
    """The image has no build tools, runs as nobody, reports its health, and copies what the ignore file lets in."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    stages = re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]
    assert len(stages) == 4
    assert not re.search(r"apt-get|cargo|pip ", stages[-1])
    assert re.search(r"^USER 10001", text, re.MULTILINE)
    assert "HEALTHCHECK" in text
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        for source in line.split():
            assert (ROOT / source).exists() or source == "constraints.txt"
            assert any(source == a or source.startswith(f"{a}/") for a in allowed)


def test_dockerfile_builds_the_native_wheel_with_a_rust_that_will_do() -> None:
    """The image has the native parts, made by the oldest Rust that the crate says it takes."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    crate = tomllib.loads((ROOT / "native/Cargo.toml").read_text(encoding="utf-8"))
    assert f"ARG RUST={crate['workspace']['package']['rust-version']}\n" in text
    assert "/wheels/*.whl" in text
