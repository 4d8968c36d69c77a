"""Every platform's exporter against a server that keeps that platform's rules."""

from __future__ import annotations

import time
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from tests.support.destinations.platforms import KEY, PLATFORMS
from tests.support.destinations.server import ContractServer, Judgement
from tests.support.exporters import QUICK_RETRY, Running, running
from untrace_pipeline.api import ExporterFactory, Kind
from untrace_pipeline.cli.examples import example_trace
from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Signal
from untrace_pipeline.data.compose import NewSpan, Scope, compose_spans
from untrace_pipeline.registry import Registry
from untrace_pipeline.testing import make_batch

REGISTRY = Registry()
NAMES = sorted(PLATFORMS)
TAKERS = [name for name in NAMES if Signal.TRACES in REGISTRY.load(Kind.EXPORTER, name).signals]


def factory_of(name: str) -> ExporterFactory[Any]:
    found = REGISTRY.load(Kind.EXPORTER, name)
    assert isinstance(found, ExporterFactory)
    return found


def sending(name: str, server: ContractServer, **options: Any) -> AbstractAsyncContextManager[Running]:
    platform, factory = PLATFORMS[name], factory_of(name)
    own = {"endpoint": server.url + platform.base, "retry_on_failure": QUICK_RETRY, **platform.options, **options}
    return running(factory, own, signals=factory.signals)


def batches(factory: ExporterFactory[Any]) -> list[Batch]:
    """Return something of each signal that a platform takes."""
    made = {signal: make_batch(signal, 5) for signal in factory.signals}
    if Signal.TRACES in made:
        made[Signal.TRACES] = example_trace()
    return list(made.values())


def test_every_preset_has_its_contract() -> None:
    """Each type that is made of a file is held against rules that were written from elsewhere."""
    presets = {REGISTRY.load(one.kind, one.type_name).type_name for one in REGISTRY.installed() if one.is_preset}
    assert presets == PLATFORMS.keys()


@pytest.mark.parametrize("name", NAMES)
async def test_everything_arrives(name: str) -> None:
    """URL, headers, encoding, compression and form are what the platform takes: nothing is refused or ignored."""
    async with ContractServer(PLATFORMS[name].rules) as server, sending(name, server) as r:
        sent = batches(factory_of(name))
        for batch in sent:
            await r.consume(batch)
        await r.until_idle()
        assert server.refused == []
        left_out = 5 - PLATFORMS[name].takes if Signal.TRACES in factory_of(name).signals else 0
        assert server.item_count == sum(batch.item_count for batch in sent) - left_out
        assert r.meter.value("dropped_items", reason="filtered") == left_out
        assert server.ignored == 0
        assert r.dropped == {}


@pytest.mark.parametrize("name", [name for name in TAKERS if PLATFORMS[name].rules.credentials])
async def test_wrong_credentials_end_at_once(name: str) -> None:
    """No second attempt, and a reason."""
    rules = PLATFORMS[name].rules
    async with ContractServer(rules, Judgement(rules.unauthorized, b"no")) as server, sending(name, server) as r:
        await r.consume(example_trace())
        await r.until_idle()
        assert server.refused == [rules.unauthorized]
        assert r.dropped == {"permanent": PLATFORMS[name].first}


@pytest.mark.parametrize("name", TAKERS)
async def test_busy_platforms_get_it_later(name: str) -> None:
    """429 and 503 lead to another attempt with the same bytes."""
    async with (
        ContractServer(PLATFORMS[name].rules, Judgement(429), Judgement(503)) as server,
        sending(name, server) as r,
    ):
        await r.consume(example_trace())
        await r.until_idle()
        assert server.refused == [429, 503]
        assert server.item_count == PLATFORMS[name].takes


@pytest.mark.parametrize("name", [name for name in TAKERS if not PLATFORMS[name].one_by_one])
async def test_too_large_is_cut_in_halves(name: str) -> None:
    """After 413 the halves arrive."""
    async with ContractServer(PLATFORMS[name].rules, Judgement(413)) as server, sending(name, server) as r:
        await r.consume(example_trace())
        await r.until_idle()
        assert server.refused == [413]
        assert [one.batch.item_count for one in server.received] in ([3, 2], [2, 3])


@pytest.mark.parametrize("name", [name for name in TAKERS if PLATFORMS[name].rules.max_bytes])
async def test_large_batches_fit_before_they_are_sent(name: str) -> None:
    """What exceeds a limit is split before, so that the platform never refuses it."""
    limit = PLATFORMS[name].rules.max_bytes
    one = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "note": "x" * 3000}
    batch = make_batch(items=limit // 3000 + 10, attributes=one)
    batch.set(Field(Level.ITEM, "end_time_unix_nano"), [time.time_ns()] * batch.item_count)  # some take nothing old
    async with ContractServer(PLATFORMS[name].rules) as server, sending(name, server) as r:
        await r.consume(batch)
        await r.until_idle(30)
        assert server.refused == []
        assert server.item_count == batch.item_count
        assert len(server.received) > 1


@pytest.mark.parametrize("name", [name for name in TAKERS if KEY in PLATFORMS[name].options.values()])
async def test_no_secret_in_what_is_shown(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Neither logs nor the options show a key, not even where a refusal quotes what was sent."""
    rules = PLATFORMS[name].rules
    said = f"bad key {KEY} {rules.credentials}".encode()
    async with ContractServer(rules, Judgement(400, said, "text/plain")) as server, sending(name, server) as r:
        await r.consume(example_trace())
        await r.until_idle()
        words = {word for value in rules.credentials.values() for word in value.split()}
        secrets = [KEY, *(word for word in words if len(word) > len("datadog") + 2)]
        shown = [caplog.text, repr(r.exporter._config)]
        assert "HTTP 400" in caplog.text
        assert not [secret for secret in secrets for text in shown if secret in text]


@pytest.mark.parametrize("name", ["keywords_ai", "langwatch", "otel_collector"])
async def test_partial_success_is_counted(name: str) -> None:
    """What a platform rejects of a request is not sent again, and not lost sight of."""
    said = Judgement(200, b'{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}}')
    async with ContractServer(PLATFORMS[name].rules, said) as server, sending(name, server) as r:
        await r.consume(example_trace())
        await r.until_idle()
        assert r.meter.value("exporter_rejected_spans") == 2
        assert r.meter.value("exporter_sent_spans") == 3
        assert server.received == []


@pytest.mark.parametrize(
    ("name", "status", "meaning"),
    [
        ("langwatch", 402, "the plan is used up"),
        ("langfuse", 403, "the quota of the plan is used up"),
        ("phoenix", 415, "Phoenix reads protobuf alone"),
        ("mlflow", 501, "start it with a database"),
        ("posthog", 400, "larger than PostHog takes, or the quota is used up"),
    ],
)
async def test_terminal_refusals_say_what_they_mean(
    name: str, status: int, meaning: str, caplog: pytest.LogCaptureFixture
) -> None:
    """In the log, after one attempt."""
    async with ContractServer(PLATFORMS[name].rules, Judgement(status)) as server, sending(name, server) as r:
        await r.consume(example_trace())
        await r.until_idle()
        assert server.refused == [status]
        assert meaning in caplog.text
        assert r.dropped == {"permanent": 5}


@pytest.mark.parametrize("name", ["langsmith", "langsmith_runs"])
async def test_a_duplicate_counts_as_delivered(name: str) -> None:
    """LangSmith answers 409 to what it has already: a request whose answer was lost."""
    async with ContractServer(PLATFORMS[name].rules, Judgement(409)) as server, sending(name, server) as r:
        await r.consume(example_trace())
        await r.until_idle()
        assert len(server.refused) == 1
        assert r.meter.value("exporter_sent_spans") == 5


async def test_a_bad_span_does_not_spoil_a_request() -> None:
    """Langfuse would refuse all of it."""
    bad = example_trace()
    bad.set(Field(Level.ITEM, "span_id"), [b""], [0])
    async with ContractServer(PLATFORMS["langfuse"].rules) as server, sending("langfuse", server) as r:
        await r.consume(bad)
        await r.until_idle()
        assert server.refused == []
        assert server.item_count == 4
        assert r.dropped == {"permanent": 1}


async def test_spans_that_posthog_would_drop_are_left_out_and_counted() -> None:
    """It would answer 200 and say nothing."""
    made = [NewSpan(b"\1" * 16, bytes([7, number] * 4), "GET /", 1, 2) for number in range(3)]
    plain = Batch(Signal.TRACES, compose_spans({"service.name": "web"}, Scope("test"), made))
    async with ContractServer(PLATFORMS["posthog"].rules) as server, sending("posthog", server) as r:
        await r.consume(Batch.merge([example_trace(), plain]))
        await r.until_idle()
        assert (server.item_count, server.ignored) == (5, 0)
        assert r.meter.value("dropped_items", reason="filtered") == 3


async def test_a_rate_limit_is_kept_before_it_is_exceeded() -> None:
    """An answer that leaves nothing holds the next request back."""
    last = Judgement(200, headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "0.2"})
    rules = PLATFORMS["langfuse"].rules
    async with ContractServer(rules, last) as server, sending("langfuse", server, sending_queue={}) as r:
        await r.consume(example_trace())
        await r.until_idle()
        await r.consume(example_trace())
        await r.until_idle()
        assert server.item_count == 5
        assert r.meter.value("exporter_paced_waits") == 1


async def test_calls_that_are_logged_one_by_one_go_out_side_by_side() -> None:
    """A burst is spread over the consumers of the queue, and there are never more requests under way than those."""
    calls = make_batch(items=200, attributes={"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"})
    calls.set(Field(Level.ITEM, "trace_id"), [number.to_bytes(16, "big") for number in range(1, 201)])
    async with (
        ContractServer(PLATFORMS["helicone"].rules, pause=0.01) as server,
        sending("helicone", server, sending_queue={"num_consumers": 4}) as r,
    ):
        await r.consume(calls)
        await r.until_idle()
        assert server.item_count == 200
        assert 1 < server.most_at_once <= 4


async def test_a_call_that_helicone_could_not_store_is_given_up() -> None:
    """It says 200, and why."""
    said = Judgement(200, b'{"error":"no such organisation"}')
    async with ContractServer(PLATFORMS["helicone"].rules, said) as server, sending("helicone", server) as r:
        await r.consume(example_trace())
        await r.until_idle()
        assert server.item_count == 2
        assert r.dropped == {"permanent": 1}


@pytest.mark.parametrize("name", ["langsmith_runs", "datadog_llm_observability", "helicone"])
async def test_a_span_that_cannot_be_written_goes_alone(name: str) -> None:
    """Content that is nested too deeply is given up; everything beside it arrives."""
    deep = example_trace()
    nested = '[{"role":"user","parts":[{"type":"tool_call","name":"f","arguments":' + "[" * 1000 + "]" * 1000 + "}]}]"
    deep.set(Field(Level.ITEM, ATTRIBUTES, "gen_ai.input.messages"), [nested], [1])
    async with ContractServer(PLATFORMS[name].rules) as server, sending(name, server) as r:
        await r.consume(deep)
        await r.until_idle()
        assert server.refused == []
        assert server.item_count == PLATFORMS[name].takes - 1
        assert r.dropped == {"permanent": 1}
