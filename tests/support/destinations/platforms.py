"""The rules of each platform, and the options that its exporter needs. Sources: the makers' documentation and sources.

Written from those, and not from our own files: what both say must agree.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from tests.support.destinations.native import datadog, helicone, langsmith
from tests.support.destinations.server import Judgement, Rules
from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Signal
from untrace_plugins.genai import names

__all__ = ["KEY", "PLATFORMS", "Platform"]

PROTOBUF = ("application/x-protobuf",)
EMPTY_PROTOBUF = Judgement(200, b"", "application/x-protobuf")
EVERYTHING = {f"/v1/{signal}": signal for signal in Signal}
PARTIAL_JSON = Judgement(200, b'{"partialSuccess":{"rejectedSpans":0,"errorMessage":""}}')


@dataclass(frozen=True)
class Platform:
    """How a platform is told to be, and the options that fit."""

    options: Mapping[str, Any]
    rules: Rules
    base: str = ""
    """What ``endpoint`` ends in."""
    form: str = "as_is"
    """The words that it reads LLM spans in."""
    takes: int = 5
    """How many of the spans of the example it has a use for."""
    wants: Callable[[Mapping[str, Any]], bool] | None = None
    """Of which spans that is, by their attributes in the canonical form; ``None`` = of all."""
    one_by_one: bool = False
    """Whether it takes one item per request."""

    @property
    def first(self) -> int:
        """How many of them are in the first request."""
        return 1 if self.one_by_one else self.takes


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def traces(path: str) -> Mapping[str, Signal]:
    return {path: Signal.TRACES}


def is_of_llm(attributes: Mapping[str, Any]) -> bool:
    return names.DIALECT in attributes


def is_counted_call(attributes: Mapping[str, Any]) -> bool:
    return names.is_llm_call(attributes.get(names.OPERATION)) and not attributes.get(names.DUPLICATE)


def resource_has(*names: str, status: int = 400) -> Any:
    """Refuse what has a resource without these attributes."""

    def rule(batch: Batch) -> Judgement | None:
        for attributes in batch.column(Field(Level.RESOURCE, ATTRIBUTES)):
            if not all(isinstance(attributes, dict) and attributes.get(name) for name in names):
                return Judgement(status, b'{"message":"a resource lacks what routes it"}')
        return None

    return rule


def no_values_above(limit: int) -> Any:
    """Refuse what the platform would cut silently, so that tests see it."""

    def rule(batch: Batch) -> Judgement | None:
        for level in (Level.RESOURCE, Level.ITEM):
            for attributes in batch.column(Field(level, ATTRIBUTES)):
                for value in (attributes or {}).values() if isinstance(attributes, dict) else ():
                    if isinstance(value, str) and len(value) > limit:
                        return Judgement(400, b'{"message":"a value would be cut"}')
        return None

    return rule


def posthog_ignores(attributes: Mapping[str, object]) -> bool:
    """Return whether PostHog's server drops a span: it looks at keys alone."""
    return not any(key.startswith(("ai.", "pydantic_ai.", "traceloop.", "gen_ai.")) for key in attributes)


def strict(data: Batch) -> Judgement | None:
    """Accept whatever could be read: the form of the JSON is looked at in the golden."""
    orjson.loads(data.to_json())
    return None


KEY = "the-key-of-a-test"
BEARER = {"authorization": f"Bearer {KEY}"}

PLATFORMS: Mapping[str, Platform] = {
    "langsmith": Platform(
        {"api_key": KEY, "project": "my-app"},
        Rules(
            traces("/otel/v1/traces"),
            {"x-api-key": KEY},
            content_types=PROTOBUF,
            valid_ids=True,
            max_bytes=20_971_520,
            success=Judgement(202),
            probes={"/info": False, "/sessions": True},
        ),
        form="genai_legacy",
    ),
    "langsmith_runs": Platform(
        {"api_key": KEY, "project": "my-app"},
        Rules(
            traces("/runs/multipart"),
            {"x-api-key": KEY},
            content_types=("multipart/form-data",),
            encodings=("", "zstd"),
            success=Judgement(202),
            probes={"/info": False, "/sessions": True},
            told={"/info": b'{"batch_ingest_config":{"size_limit":100,"size_limit_bytes":20971520}}'},
            reads=langsmith,
        ),
        form="genai",
    ),
    "helicone": Platform(
        {"api_key": KEY},
        Rules(
            {f"/{api}/v1/log": Signal.TRACES for api in ("oai", "anthropic", "custom")},
            BEARER,
            content_types=("application/json",),
            encodings=("",),
            success=Judgement(200, b"ok", "text/plain"),
            reads=helicone,
        ),
        form="genai",
        takes=3,
        wants=is_counted_call,
        one_by_one=True,
    ),
    "langfuse": Platform(
        {"public_key": "pk-lf-test", "secret_key": KEY},
        Rules(
            traces("/api/public/otel/v1/traces"),
            {"authorization": basic("pk-lf-test", KEY), "x-langfuse-ingestion-version": "4"},
            wrong_type=400,
            wrong_encoding=400,
            valid_ids=True,
            probes={"/api/public/health": False},
        ),
        form="langfuse",
    ),
    "keywords_ai": Platform(
        {"api_key": KEY}, Rules(traces("/v2/traces"), BEARER, success=PARTIAL_JSON), form="genai_legacy"
    ),
    "langwatch": Platform(
        {"api_key": KEY},
        Rules(
            {f"/api/otel/v1/{signal}": signal for signal in Signal},
            {**BEARER, "x-auth-token": KEY},
            encodings=("", "gzip", "deflate", "br"),
            max_bytes=10 * 2**20,
            success=PARTIAL_JSON,
            probes={"/api/auth/validate": True},
        ),
        form="genai",
    ),
    "phoenix": Platform(
        {"api_key": KEY, "project": "my-app"},
        Rules(
            traces("/v1/traces"),
            BEARER,
            content_types=PROTOBUF,
            encodings=("", "gzip", "deflate"),
            success=EMPTY_PROTOBUF,
            probes={"/healthz": False, "/v1/projects": True},
        ),
        form="openinference",
    ),
    "arize": Platform(
        {"api_key": KEY, "space_id": "space"},
        Rules(
            traces("/v1/traces"),
            {"authorization": KEY, "arize-space-id": "space", "arize-interface": "otel"},
            content_types=PROTOBUF,
            rules=[resource_has("openinference.project.name")],
            success=EMPTY_PROTOBUF,
        ),
        form="openinference",
    ),
    "honeyhive": Platform(
        {"api_key": KEY, "project": "my-app", "source": "test"},
        Rules(traces("/opentelemetry/v1/traces"), {**BEARER, "x-source": "test"}),
        form="genai",
    ),
    "lunary": Platform(
        {"api_key": KEY},
        Rules(
            {"/v1/traces": Signal.TRACES, "/v1/logs": Signal.LOGS},
            BEARER,
            content_types=PROTOBUF,
            encodings=("",),
            wrong_encoding=400,
            success=EMPTY_PROTOBUF,
            probes={"/v1/health": False},
        ),
        form="genai_legacy",
    ),
    "opik": Platform(
        {"api_key": KEY, "workspace": "ws", "project": "my-app"},
        Rules(
            traces("/v1/private/otel/v1/traces"),
            {"authorization": KEY, "comet-workspace": "ws", "projectname": "my-app"},
            max_bytes=5_000_000,
            max_spans=1000,
            probes={"/is-alive/ping": False, "/v1/private/projects": True},
        ),
        form="genai",
    ),
    "braintrust": Platform(
        {"api_key": KEY, "project": "my-app"},
        Rules(
            traces("/otel/v1/traces"),
            BEARER,
            needed={"x-bt-parent": 400},
            max_bytes=6 * 2**20,
            probes={"/version": False, "/v1/project": True},
        ),
        form="genai",
    ),
    "weave": Platform(
        {"api_key": KEY, "entity": "team", "project": "my-app"},
        Rules(
            traces("/otel/v1/traces"),
            {"authorization": basic("api", KEY)},
            content_types=PROTOBUF,
            encodings=("", "gzip", "deflate"),
            rules=[resource_has("wandb.entity", "wandb.project")],
            success=EMPTY_PROTOBUF,
        ),
        form="genai",
    ),
    "mlflow": Platform(
        {"experiment_id": "7", "username": "user", "password": KEY},
        Rules(
            traces("/v1/traces"),
            {"authorization": basic("user", KEY)},
            wrong_type=400,
            encodings=("", "gzip", "deflate"),
            wrong_encoding=400,
            needed={"x-mlflow-experiment-id": 422},
            success=EMPTY_PROTOBUF,
            probes={"/health": False, "/api/2.0/mlflow/experiments/get": True},
        ),
        form="genai",
    ),
    "traceloop": Platform(
        {"api_key": KEY},
        Rules({"/v1/traces": Signal.TRACES, "/v1/metrics": Signal.METRICS}, BEARER),
        form="openllmetry",
    ),
    "posthog": Platform(
        {"project_key": KEY},
        Rules(
            traces("/i/v0/ai/otel"),
            BEARER,
            max_bytes=4 * 2**20,
            too_large=400,
            max_spans=100,
            ignored=posthog_ignores,
        ),
        form="posthog",
    ),
    "untrace": Platform(
        {"api_key": KEY},
        Rules(
            traces("/api/v1/traces/ingest"),
            BEARER,
            content_types=("application/json",),
            encodings=("",),
            rules=[strict],
            success=Judgement(200, b'{"success":true,"tracesProcessed":1}'),
        ),
        form="untrace",
    ),
    "datadog": Platform(
        {"api_key": KEY},
        Rules(
            EVERYTHING,
            {"dd-api-key": KEY, "dd-otlp-source": "datadog"},
            unauthorized=403,
            content_types=PROTOBUF,
            max_bytes=3_200_000,
            success=Judgement(202),
        ),
        form="genai",
    ),
    "datadog_llm_observability": Platform(
        {"api_key": KEY, "ml_app": "my-app"},
        Rules(
            traces("/api/v2/llmobs"),
            {"dd-api-key": KEY},
            unauthorized=403,
            content_types=("application/json",),
            max_bytes=5_000_000,
            success=Judgement(202, b"{}"),
            reads=datadog,
        ),
        form="genai",
        wants=is_of_llm,
    ),
    "datadog_agent_llm_observability": Platform(
        {},
        Rules(
            traces("/evp_proxy/v2/api/v2/llmobs"),
            content_types=("application/json",),
            needed={"x-datadog-evp-subdomain": 400},
            max_bytes=5_000_000,
            success=Judgement(200, b"{}"),
            probes={"/info": False},
            reads=datadog,
        ),
        form="genai",
        wants=is_of_llm,
    ),
    "datadog_agent": Platform({}, Rules(EVERYTHING, success=EMPTY_PROTOBUF), form="genai"),
    "new_relic": Platform(
        {"license_key": KEY},
        Rules(
            EVERYTHING,
            {"api-key": KEY},
            unauthorized=403,
            encodings=("", "gzip", "zstd"),
            max_bytes=1_000_000,
            rules=[no_values_above(4095)],
            success=EMPTY_PROTOBUF,
        ),
        form="genai",
    ),
    "grafana_cloud": Platform(
        {"instance_id": "123", "token": KEY, "zone": "prod-eu-west-2"},
        Rules(
            {f"/otlp{path}": signal for path, signal in EVERYTHING.items()},
            {"authorization": basic("123", KEY)},
            content_types=PROTOBUF,
            success=EMPTY_PROTOBUF,
        ),
        base="/otlp",
        form="genai",
    ),
    "honeycomb": Platform(
        {"api_key": KEY, "dataset": "metrics"},
        Rules(
            EVERYTHING,
            {"x-honeycomb-team": KEY},
            encodings=("", "gzip", "zstd"),
            rules=[no_values_above(65_536)],
            success=EMPTY_PROTOBUF,
            probes={"/1/auth": True},
        ),
        form="genai",
    ),
    "jaeger": Platform({"tenant": "acme"}, Rules(traces("/v1/traces"), {"x-tenant": "acme"}, success=EMPTY_PROTOBUF)),
    "tempo": Platform(
        {"tenant": "acme"}, Rules(traces("/v1/traces"), {"x-scope-orgid": "acme"}, success=EMPTY_PROTOBUF)
    ),
    "otel_collector": Platform(
        {}, Rules(EVERYTHING, encodings=("", "gzip", "zstd", "deflate"), success=EMPTY_PROTOBUF)
    ),
    "victoria_metrics": Platform(
        {},
        Rules(
            {"/opentelemetry/v1/metrics": Signal.METRICS},
            content_types=PROTOBUF,
            success=Judgement(204),
            probes={"/health": False},
        ),
    ),
    "victoria_logs": Platform(
        {"account_id": "7"},
        Rules(
            {"/insert/opentelemetry/v1/logs": Signal.LOGS},
            {"accountid": "7"},
            content_types=PROTOBUF,
            probes={"/health": False},
        ),
    ),
    "victoria_traces": Platform(
        {"account_id": "7"},
        Rules(
            {"/insert/opentelemetry/v1/traces": Signal.TRACES},
            {"accountid": "7"},
            content_types=PROTOBUF,
            probes={"/health": False},
        ),
    ),
    "dynatrace": Platform(
        {"environment_id": "abc12345", "api_token": KEY},
        Rules(
            {f"/api/v2/otlp{path}": signal for path, signal in EVERYTHING.items()},
            {"authorization": f"Api-Token {KEY}"},
            content_types=PROTOBUF,
            success=EMPTY_PROTOBUF,
        ),
        base="/api/v2/otlp",
        form="genai",
    ),
    "signoz": Platform(
        {"ingestion_key": KEY}, Rules(EVERYTHING, {"signoz-ingestion-key": KEY}, success=EMPTY_PROTOBUF), form="genai"
    ),
    "loki": Platform(
        {"tenant": "acme"},
        Rules({"/otlp/v1/logs": Signal.LOGS}, {"x-scope-orgid": "acme"}, success=Judgement(204)),
        base="/otlp",
    ),
    "axiom": Platform(
        {"api_token": KEY, "dataset": "traces"},
        Rules(
            {"/v1/traces": Signal.TRACES, "/v1/logs": Signal.LOGS},
            BEARER,
            needed={"x-axiom-dataset": 400},
            success=EMPTY_PROTOBUF,
        ),
        form="genai",
    ),
    "logfire": Platform(
        {"write_token": KEY}, Rules(EVERYTHING, {"authorization": KEY}, success=EMPTY_PROTOBUF), form="genai"
    ),
    "uptrace": Platform({"dsn": KEY}, Rules(EVERYTHING, {"uptrace-dsn": KEY}, success=EMPTY_PROTOBUF), form="genai"),
}
