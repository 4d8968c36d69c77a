"""The example `configs/llm-proxy.yaml` as a process: a call of every API, and the spans that leave it."""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import llm_requests
from tests.support.exchanges import asked
from tests.support.llm_proxy import differences
from tests.support.llm_upstream import LlmUpstream, truth_of
from tests.support.peers import Daemon
from tests.support.span_sink import SeenSpan, SpanSink
from untrace_plugins.genai import names

pytestmark = [pytest.mark.e2e, pytest.mark.once]

EXAMPLE = Path(__file__).resolve().parents[2] / "configs" / "llm-proxy.yaml"
ADDRESS = "maria.gonzalez@northwind-clinic.example"
QUESTION = f"Where is my parcel? I am {ADDRESS}"
USD_PER_MILLION = {
    "gpt-4o-mini": (0.15, 0.60),
    "claude-sonnet-4-5": (3.00, 15.00),
    "gemini-2.5-flash": (0.30, 2.50),
    "gpt-3.5-turbo-instruct": (1.50, 2.00),
    "o4-mini": (1.10, 4.40),
}
"""List prices of input and output; nothing is cached in these calls."""


@pytest.fixture(scope="module")
def upstream() -> Iterator[LlmUpstream]:
    """All providers."""
    with LlmUpstream() as running:
        yield running


@pytest.fixture(scope="module")
def sink() -> Iterator[SpanSink]:
    """Where the spans go."""
    with SpanSink() as running:
        yield running


@pytest.fixture(scope="module")
def daemon(upstream: LlmUpstream, sink: SpanSink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """The example; only where it listens, whom it calls and where it sends are others."""
    config = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    proxy = config["receivers"]["llm_proxy"]
    proxy["endpoint"] = "127.0.0.1:${env:PROXY_PORT}"
    for one in proxy["upstreams"].values():
        one["base_url"] = upstream.url
    config["exporters"] = {"otlp_http": {"endpoint": sink.url, "compression": "none"}}
    config["service"]["pipelines"]["traces"]["exporters"] = ["otlp_http"]
    config["service"].setdefault("telemetry", {})["metrics"] = {"address": "127.0.0.1:${env:METRICS_PORT}"}
    with Daemon(config, directory=tmp_path_factory.mktemp("example")) as running:
        yield running


def call(daemon: Daemon, target: str, body: Mapping[str, Any], **headers: str) -> tuple[int, bytes]:
    """Make a call, and read its answer to the end."""
    connection = http.client.HTTPConnection(daemon.endpoint("PROXY_PORT"), timeout=30)
    try:
        text = json.dumps(body, ensure_ascii=False).encode()
        connection.request("POST", target, text, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def span_of(daemon: Daemon, sink: SpanSink, target: str, body: Mapping[str, Any], **headers: str) -> SeenSpan:
    """Make a call, and return its span when it has arrived."""
    sink.clear()
    assert call(daemon, target, body, **headers)[0] == 200
    (span,) = sink.wait(1, daemon)
    return span


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("case", list(llm_requests.CASES))
@pytest.mark.parametrize("make", llm_requests.APIS)
def test_call(make: Any, case: str, stream: bool, daemon: Daemon, sink: SpanSink) -> None:
    """What leaves the pipeline is what happened, with its price and without the address."""
    more = {**llm_requests.CASES[case], **({"stream": True} if stream else {})}
    target, body = make(QUESTION, **more)
    _, ask = asked(target, body)
    truth = truth_of(ask)
    span = span_of(daemon, sink, target, body, Authorization="Bearer sk-test")
    found = differences(truth, span)
    found.pop("reasoning", None)  # Cohere's plan is reasoning as well
    if make is llm_requests.azure:
        assert found.pop("request_model", None) is None
    assert found == {}
    assert ADDRESS.encode() not in sink.raw[-1]
    _check_price(span.attributes, truth.request_model)


def _check_price(attributes: Mapping[str, Any], model: str) -> None:
    if model not in USD_PER_MILLION:
        return
    assert attributes[names.COST_STATUS] == "ok"
    prices = USD_PER_MILLION[model]
    counts = attributes[names.USAGE_INPUT], attributes[names.USAGE_OUTPUT]
    usd = sum(count * price for count, price in zip(counts, prices, strict=True)) / 1e6
    assert attributes[names.COST_TOTAL] == pytest.approx(usd)


def test_embeddings(daemon: Daemon, sink: SpanSink) -> None:
    """What was embedded, how many vectors of which size, and what it cost; no vector."""
    body = {"model": "text-embedding-3-small", "input": [QUESTION, "two"]}
    attributes = span_of(daemon, sink, "/v1/embeddings", body).attributes
    assert attributes[names.OPERATION] == "embeddings"
    assert (attributes[names.EMBEDDINGS_COUNT], attributes[names.EMBEDDINGS_DIMENSIONS]) == (2, 8)
    assert attributes[names.COST_TOTAL] == pytest.approx(attributes[names.USAGE_INPUT] * 0.02 / 1e6)


def test_whose_call(daemon: Daemon, sink: SpanSink, upstream: LlmUpstream) -> None:
    """The caller's trace goes on, and his headers are attributes that the provider has not seen."""
    trace_id, parent = os.urandom(16).hex(), os.urandom(8).hex()
    target, body = llm_requests.openai_chat("hi")
    headers = {
        "traceparent": f"00-{trace_id}-{parent}-01",
        "X-Untrace-Session": "s-1",
        "X-Untrace-User": "u-1",
        "X-Untrace-Tags": "blue, new",
        "X-Untrace-Metadata": '{"team": "search"}',
    }
    span = span_of(daemon, sink, target, body, **headers)
    assert (span.trace_id, span.parent_id) == (trace_id, parent)
    assert span.attributes[names.SESSION_ID] == "s-1"
    assert span.attributes[names.USER_ID] == "u-1"
    assert span.attributes[names.TAGS] == ["blue", "new"]
    assert json.loads(span.attributes[names.METADATA]) == {"team": "search"}
    assert not [name for name, _ in upstream.last.headers if name.lower().startswith("x-untrace")]
