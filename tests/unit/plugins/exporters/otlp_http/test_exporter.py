"""The exporter ``otlp_http`` against real servers that misbehave."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from pydantic import ValidationError

from tests.support.egress import EACH_CLIENT, egress  # noqa: F401  a fixture
from tests.support.exporters import QUICK_RETRY, NoGraves, Running, running
from tests.support.otlp_servers import Accept, Hang, HttpServer, Refuse, Reply, Reset
from untrace_pipeline.api import StartError
from untrace_pipeline.data import Batch, Field, Level, Signal
from untrace_pipeline.errors import Code
from untrace_pipeline.testing import make_batch
from untrace_plugins.exporters.otlp_http import FACTORY

pytestmark = EACH_CLIENT

SPAN_ID = Field(Level.ITEM, "span_id")


def sending_to(url: str, **options: Any) -> AbstractAsyncContextManager[Running]:
    return running(FACTORY, {"endpoint": url, "retry_on_failure": QUICK_RETRY, **options})


def test_defaults_are_the_collectors() -> None:
    """30 s, gzip, protobuf."""
    config = FACTORY.config.model_validate({"endpoint": "http://localhost:4318"})
    assert (config.timeout, config.compression, config.encoding) == (30, "gzip", "proto")


@pytest.mark.parametrize(
    ("options", "urls"),
    [
        ({"endpoint": "http://a:1"}, ["http://a:1/v1/traces", "http://a:1/v1/metrics", "http://a:1/v1/logs"]),
        ({"endpoint": "http://a:1/otlp/"}, [f"http://a:1/otlp/v1/{signal}" for signal in Signal]),
        (
            {"endpoint": "http://a:1", "traces_endpoint": "https://b/api/traces"},
            ["https://b/api/traces", "http://a:1/v1/metrics", "http://a:1/v1/logs"],
        ),
        ({"logs_endpoint": "http://c/logs"}, [None, None, "http://c/logs"]),
    ],
)
def test_urls_are_made_as_the_collector_does(options: dict[str, Any], urls: list[str | None]) -> None:
    """The endpoint gets the signal's path; a URL of its own is taken as it is."""
    config = FACTORY.config.model_validate(options)
    assert [config.url(signal) for signal in Signal] == urls


@pytest.mark.parametrize("options", [{}, {"traces_endpoint": "a:1"}, {"endpoint": "http://a", "encoding": "xml"}])
def test_what_cannot_work_is_refused(options: dict[str, Any]) -> None:
    """No endpoint, no URL, no such encoding."""
    with pytest.raises(ValidationError):
        FACTORY.config.model_validate(options)


async def test_a_signal_without_a_url_is_an_error_at_start() -> None:
    """Found before any data is accepted, and only where a pipeline sends that signal."""
    options = {"logs_endpoint": "http://c/logs"}
    made = Running(FACTORY, options, [Signal.TRACES])
    with pytest.raises(StartError, match="traces_endpoint"):
        await made.exporter.start(made.host)
    await made.exporter.shutdown()
    async with running(FACTORY, options, signals=[Signal.LOGS]):
        pass


@pytest.mark.parametrize("encoding", ["proto", "json"])
@pytest.mark.parametrize("signal", list(Signal))
async def test_every_signal_arrives_in_both_encodings(signal: Signal, encoding: str) -> None:
    """Protobuf byte for byte, JSON with the same content."""
    async with HttpServer() as server:
        async with sending_to(server.url, encoding=encoding) as r:
            await r.consume(make_batch(signal, 9, resources=2))
        received = server.accepted[0]
        sent = make_batch(signal, 9, resources=2)
        assert (
            received.headers["content-type"]
            == {"proto": "application/x-protobuf", "json": "application/json"}[encoding]
        )
        if encoding == "proto":
            assert received.batch.to_otlp() == sent.to_otlp()
        else:
            assert received.batch.to_json() == sent.to_json()
        assert r.meter.value(f"exporter_sent_{signal.item}") == 9


async def test_refusals_are_retried_until_accepted() -> None:
    """429 with Retry-After, 503, 502, 504, a hang and a reset: all end in delivery."""
    steps = [
        Reply(429, headers={"Retry-After": "0"}),
        Refuse(Code.UNAVAILABLE),
        Reply(502),
        Reply(504),
        Hang(),
        Reset(),
        Reset(),
    ]
    async with HttpServer(*steps) as server, sending_to(server.url, timeout="100ms") as r:
        await r.consume(make_batch(items=5))
        await r.until_idle()
        assert server.item_count == 5
        assert r.dropped == {}


async def test_retry_after_is_kept() -> None:
    """The destination is left alone for as long as it asked."""
    async with HttpServer(Reply(503, headers={"Retry-After": "1"})) as server, sending_to(server.url) as r:
        started = asyncio.get_running_loop().time()
        await r.consume(make_batch(items=5))
        await r.until_idle()
        assert asyncio.get_running_loop().time() - started >= 1


@pytest.mark.parametrize("status", [400, 401, 404, 500, 302])
async def test_permanent_refusals_are_dropped_and_counted(status: int) -> None:
    """One attempt, one reason; what comes after is delivered."""
    async with HttpServer(Reply(status)) as server, sending_to(server.url) as r:
        await r.consume(make_batch(items=5))
        await r.until_idle()
        await r.consume(make_batch(items=2))
        await r.until_idle()
        assert (server.attempts, server.item_count) == (2, 2)
        assert r.dropped == {"permanent": 5}


async def test_a_request_that_is_too_large_is_split() -> None:
    """One huge span among small ones: the small ones arrive, the huge one is counted."""
    huge = make_batch(items=1, attributes={"prompt": "x" * 100_000})
    batch = Batch.merge([make_batch(items=20), huge, make_batch(items=20, seed=3)])
    async with HttpServer(max_bytes=30_000) as server, sending_to(server.url) as r:
        await r.consume(batch)
        await r.until_idle()
        assert server.item_count == 40
        assert r.dropped == {"too_large": 1}


@pytest.mark.parametrize(
    ("reply", "sent", "rejected"),
    [
        (Reply(200, Accept(rejected=2, message="old").body()), 3, 2),
        (Reply(200, b'{"partialSuccess":{"rejectedSpans":"2","errorMessage":"old"}}', "application/json"), 3, 2),
        (Reply(200, b"{}", "application/json"), 5, 0),
        (Reply(202, b"ok", "text/plain"), 5, 0),
        (Reply(200, b"\xff\xff\xff"), 5, 0),
        (Reply(200, b"<html>login</html>", "text/html"), 5, 0),
        (Reply(204), 5, 0),
    ],
)
async def test_answers_are_read_in_each_form(reply: Reply, sent: int, rejected: int) -> None:
    """Partial success as protobuf and JSON; any other success is a success."""
    async with HttpServer(reply) as server, sending_to(server.url) as r:
        await r.consume(make_batch(items=5))
        await r.until_idle()
        assert server.attempts == 1
        assert r.meter.value("exporter_sent_spans") == sent
        assert r.meter.value("exporter_rejected_spans") == rejected


async def test_a_web_page_as_answer_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """A login page says 200 as well: the log asks whether the endpoint is right."""
    async with HttpServer(Reply(200, b"<html>", "text/html")) as server, sending_to(server.url) as r:
        await r.consume(make_batch(items=5))
        await r.until_idle()
    assert "is the endpoint right?" in caplog.text


async def test_without_a_queue_the_sender_learns_the_outcome() -> None:
    """End-to-end acknowledgement: consume returns after the destination has answered."""
    direct = {"sending_queue": {"enabled": False}}
    async with HttpServer(Accept(delay=0.05)) as server, sending_to(server.url, **direct) as r:
        await r.consume(make_batch(items=5))
        assert server.item_count == 5


async def test_requests_that_may_be_repeated_carry_a_key() -> None:
    """Equal bytes have the equal key, and only where another process may send them again."""
    letters = {"dead_letter_queue": {"storage": "file_storage"}}
    async with HttpServer() as server:
        async with sending_to(server.url) as one:
            await one.consume(make_batch(seed=1))
            await one.until_idle()
        async with running(FACTORY, {"endpoint": server.url} | letters, file_storage=NoGraves()) as one:
            for seed in (1, 1, 2):
                await one.consume(make_batch(seed=seed))
            await one.until_idle()
        keys = [received.headers.get("idempotency-key") for received in server.accepted]
    assert keys[0] is None
    assert sorted(map(keys.count, set(keys[1:]))) == [1, 2]
