"""Options of every built-in component, for tests that run all of them: the conformance suite, and acknowledgement."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.support.background import BackgroundServer, post_ingest, post_otlp
from tests.support.faulty_server import FaultyServer
from tests.support.kafka_client import MockCluster
from tests.support.peers import free_port
from tests.support.vendor_api import post_langfuse, post_langsmith
from untrace_pipeline.api import ExporterFactory, Kind
from untrace_pipeline.registry import Installed, Registry
from untrace_pipeline.testing import Send

__all__ = ["CASES", "REGISTRY", "Case", "first_party"]

REGISTRY = Registry()


@dataclass
class Case:
    """Options as they would stand in YAML, and what the check needs besides."""

    config: Callable[[Path, ExitStack], dict[str, Any]]
    outputs: tuple[str, ...] = ()
    send: Send | None = None
    extensions: dict[str, Any] = field(default_factory=dict)


def fixed(**options: Any) -> Callable[[Path, ExitStack], dict[str, Any]]:
    """Return options that need no surroundings."""
    return lambda _directory, _stack: options


def backend(kind: str) -> Callable[[Path, ExitStack], dict[str, Any]]:
    """Return options of an exporter to a real OTLP server that lives as long as the check."""

    def options(_directory: Path, stack: ExitStack) -> dict[str, Any]:
        server = stack.enter_context(BackgroundServer(kind))
        endpoint = server.address if kind == "grpc" else f"http://{server.address}"
        return {"endpoint": endpoint, "tls": {"insecure": True}}

    return options


def backends(_directory: Path, stack: ExitStack) -> dict[str, Any]:
    """Return options of an exporter to three real servers."""
    servers = [stack.enter_context(BackgroundServer("grpc")) for _ in range(3)]
    hostnames = [server.address for server in servers]
    return {"protocol": {"otlp": {"tls": {"insecure": True}}}, "resolver": {"static": {"hostnames": hostnames}}}


def platform(name: str) -> Case:
    """Return the case of a platform: its minimal options, with a real OTLP server in its place."""
    factory = REGISTRY.load(Kind.EXPORTER, name)
    assert isinstance(factory, ExporterFactory)
    minimal = factory.about.minimal if factory.about else {}

    def options(_directory: Path, stack: ExitStack) -> dict[str, Any]:
        url = f"http://{stack.enter_context(BackgroundServer('http')).address}"
        return {**minimal, "endpoint": url, **{f"{one}_endpoint": f"{url}/v1/{one}" for one in factory.signals}}

    return Case(options)


def json_file(directory: Path, _stack: ExitStack) -> dict[str, Any]:
    """Return options of a receiver that finds no file yet."""
    return {"include": [str(directory / "*.jsonl")]}


def kafka(_directory: Path, stack: ExitStack) -> dict[str, Any]:
    """Return options of an exporter to the cluster that the Kafka library brings."""
    return {"brokers": stack.enter_context(MockCluster()).bootstrap}


def s3(_directory: Path, stack: ExitStack) -> dict[str, Any]:
    """Return options of an exporter to a bucket that takes every object."""
    keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    stack.enter_context(patch.dict(os.environ, keys))
    place = {"endpoint": stack.enter_context(FaultyServer()).url, "s3_bucket": "b", "s3_force_path_style": True}
    return {"s3uploader": place}


def stream(_directory: Path, stack: ExitStack) -> dict[str, Any]:
    """Return options of an exporter to a stream that takes every record."""
    keys = {"access_key_id": "testing", "secret_access_key": "testing"}
    return {"aws": {"stream_name": "s", "kinesis_endpoint": stack.enter_context(FaultyServer()).url} | keys}


def webhook(_directory: Path, stack: ExitStack) -> dict[str, Any]:
    """Return options of an exporter to a real HTTP server that takes everything."""
    server = stack.enter_context(BackgroundServer("http"))
    return {"endpoint": f"http://{server.address}/hook", "form": "otlp_json", "allow_private": True}


ACTIONS = [{"key": "added", "value": 1, "action": "insert"}]
OTLP = {"grpc": {"endpoint": "127.0.0.1:0"}, "http": {"endpoint": "127.0.0.1:0"}}
WEBHOOKS = {"logs": {"scheme": "none", "log": {}}, "spans": {"scheme": "none", "span": {"name": "$.name"}}}

CASES = {
    (Kind.RECEIVER, "kafka"): Case(lambda _directory, _stack: {"brokers": f"127.0.0.1:{free_port()}"}),
    (Kind.RECEIVER, "langfuse"): Case(fixed(endpoint="127.0.0.1:0"), send=post_langfuse),
    (Kind.RECEIVER, "langsmith"): Case(fixed(endpoint="127.0.0.1:0"), send=post_langsmith),
    (Kind.RECEIVER, "llm_proxy"): Case(
        fixed(endpoint="127.0.0.1:0", upstreams={"openai": {"base_url": "http://127.0.0.1:9"}})
    ),
    (Kind.RECEIVER, "otlp"): Case(fixed(protocols=OTLP), send=post_otlp),
    (Kind.RECEIVER, "otlp_json_file"): Case(json_file),
    (Kind.RECEIVER, "webhook"): Case(fixed(endpoint="127.0.0.1:0", sources=WEBHOOKS)),
    (Kind.RECEIVER, "prometheus"): Case(
        fixed(config={"scrape_configs": [{"job_name": "none", "static_configs": [{"targets": ["127.0.0.1:1"]}]}]})
    ),
    (Kind.RECEIVER, "untrace"): Case(fixed(endpoint="127.0.0.1:0"), send=post_ingest),
    (Kind.PROCESSOR, "attributes"): Case(fixed(actions=ACTIONS)),
    (Kind.PROCESSOR, "batch"): Case(fixed(timeout="20ms")),
    (Kind.PROCESSOR, "encrypt"): Case(fixed(attributes=["service.name", "gen_ai.*"], key="0" * 64)),
    (Kind.PROCESSOR, "filter"): Case(fixed(traces={"span": ['name == "chat 1"']})),
    (Kind.PROCESSOR, "k8s_attributes"): Case(fixed(passthrough=True)),
    (Kind.PROCESSOR, "llm_cost"): Case(fixed(prices=[{"model": "*", "input": 1}])),
    (Kind.PROCESSOR, "genai_normalizer"): Case(
        fixed(emit="openinference", mappings={"my.model": "gen_ai.request.model"}, join_events={})
    ),
    (Kind.PROCESSOR, "llm_sampler"): Case(fixed(decide_on="wait", decision_wait="10ms", sampling_percentage=50)),
    (Kind.PROCESSOR, "memory_limiter"): Case(fixed(check_interval="1s", limit_mib=4096)),
    (Kind.PROCESSOR, "probabilistic_sampler"): Case(fixed(sampling_percentage=50)),
    (Kind.PROCESSOR, "redaction"): Case(fixed(allow_all_keys=True, blocked_values=["gpt-[0-9a-z]+"])),
    (Kind.PROCESSOR, "resource_detection"): Case(fixed(detectors=["env", "system"])),
    (Kind.PROCESSOR, "resource"): Case(fixed(attributes=ACTIONS)),
    (Kind.PROCESSOR, "transform"): Case(fixed(trace_statements=['set(span.attributes["a"], 1)'])),
    (Kind.PROCESSOR, "tail_sampling"): Case(
        fixed(decision_wait="10ms", policies=[{"name": "all", "type": "always_sample"}])
    ),
    (Kind.CONNECTOR, "failover"): Case(
        fixed(priority_levels=[["traces/main", "logs"], ["traces/spare", "metrics"]]),
        outputs=("traces/main", "traces/spare", "logs", "metrics"),
    ),
    (Kind.CONNECTOR, "forward"): Case(fixed()),
    (Kind.CONNECTOR, "routing"): Case(
        fixed(
            default_pipelines=["traces/rest", "metrics/rest", "logs/rest"],
            table=[{"context": "span", "condition": 'name == "chat 1"', "pipelines": ["traces/one"]}],
        ),
        outputs=("traces/rest", "traces/one", "metrics/rest", "logs/rest"),
    ),
    (Kind.CONNECTOR, "llm_metrics"): Case(fixed(exclude_dimensions=["server.address"])),
    (Kind.CONNECTOR, "span_metrics"): Case(fixed(dimensions=[{"name": "gen_ai.request.model"}])),
    (Kind.EXPORTER, "clickhouse"): Case(fixed(endpoint="http://127.0.0.1:9", retry_on_failure={"enabled": False})),
    (Kind.EXPORTER, "awss3"): Case(s3),
    (Kind.EXPORTER, "debug"): Case(fixed(verbosity="detailed")),
    (Kind.EXPORTER, "elasticsearch"): Case(fixed(endpoint="http://127.0.0.1:9", retry_on_failure={"enabled": False})),
    (Kind.EXPORTER, "file"): Case(lambda directory, _stack: {"path": str(directory / "out.jsonl")}),
    (Kind.EXPORTER, "kafka"): Case(kafka),
    (Kind.EXPORTER, "kinesis"): Case(stream),
    (Kind.EXPORTER, "load_balancing"): Case(backends),
    (Kind.EXPORTER, "loki_push"): Case(fixed(endpoint="http://127.0.0.1:9", retry_on_failure={"enabled": False})),
    (Kind.EXPORTER, "object_store"): Case(lambda directory, _stack: {"url": f"file://{directory}/out"}),
    (Kind.EXPORTER, "opensearch"): Case(fixed(endpoint="http://127.0.0.1:9", retry_on_failure={"enabled": False})),
    (Kind.EXPORTER, "otlp_grpc"): Case(backend("grpc")),
    (Kind.EXPORTER, "otlp_http"): Case(backend("http")),
    (Kind.EXPORTER, "prometheus_remote_write"): Case(
        fixed(endpoint="http://127.0.0.1:9/api/v1/write", retry_on_failure={"enabled": False})
    ),
    (Kind.EXPORTER, "prometheus"): Case(fixed(endpoint="127.0.0.1:0")),
    (Kind.EXPORTER, "webhook"): Case(webhook),
    (Kind.EXTENSION, "basic_auth"): Case(fixed(htpasswd={"inline": "user:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="})),
    (Kind.EXTENSION, "bearer_token_auth"): Case(fixed(token="secret")),
    (Kind.EXTENSION, "file_storage"): Case(lambda directory, _stack: {"directory": str(directory)}),
    (Kind.EXTENSION, "object_store"): Case(lambda directory, _stack: {"url": f"file://{directory}/contents"}),
    (Kind.EXTENSION, "health_check"): Case(fixed(endpoint="127.0.0.1:0")),
}
CASES |= {(Kind.EXPORTER, one.type_name): platform(one.type_name) for one in REGISTRY.installed() if one.is_preset}


def first_party() -> Iterator[Installed]:
    """Yield what this distribution installs, aliases left out."""
    for one in REGISTRY.installed():
        if one.package == "untrace-pipeline" and REGISTRY.load(one.kind, one.type_name).type_name == one.type_name:
            yield one
