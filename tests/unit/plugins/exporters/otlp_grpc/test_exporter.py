"""The exporter ``otlp_grpc`` against real servers that misbehave."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any

import grpc
import pytest
import trustme
from pydantic import ValidationError

from tests.support.egress import EACH_CLIENT, egress  # noqa: F401  a fixture
from tests.support.exporters import QUICK_RETRY, NoGraves, Running, running
from tests.support.otlp_servers import Accept, GrpcServer, Hang, Refuse
from untrace_pipeline.api import StartError
from untrace_pipeline.data import Batch, Field, Level, Signal
from untrace_pipeline.errors import Code
from untrace_pipeline.testing import make_batch
from untrace_plugins.exporters.otlp_grpc import FACTORY

pytestmark = EACH_CLIENT

SPAN_ID = Field(Level.ITEM, "span_id")


def sending_to(address: str, **options: Any) -> AbstractAsyncContextManager[Running]:
    plain = {"tls": {"insecure": True}, "retry_on_failure": QUICK_RETRY}
    return running(FACTORY, {"endpoint": address, **plain, **options})


def test_defaults_are_the_collectors() -> None:
    """5 s, gzip, TLS on, no keepalive: what the Collector's exporter does with an endpoint alone."""
    config = FACTORY.config.model_validate({"endpoint": "localhost:4317"})
    assert (config.timeout, config.compression, config.keepalive, config.secure) == (5, "gzip", None, True)
    assert config.retry_on_failure.enabled
    assert config.sending_queue.enabled
    assert config.references() == {}


def test_the_authenticator_is_a_reference() -> None:
    """Validation can check that the extension exists."""
    config = FACTORY.config.model_validate({"endpoint": "a:1", "auth": {"authenticator": "basic_auth/x"}})
    assert config.references() == {"auth.authenticator": ("basic_auth/x",)}


def test_an_endpoint_is_needed() -> None:
    """There is no destination to guess."""
    with pytest.raises(ValidationError, match="endpoint"):
        FACTORY.config.model_validate({})


@pytest.mark.parametrize("signal", list(Signal))
async def test_every_signal_arrives_unchanged(signal: Signal) -> None:
    """Byte for byte, through the signal's own service."""
    async with GrpcServer() as server:
        async with sending_to(server.address) as r:
            await r.consume(make_batch(signal, 9, resources=2))
        assert server.accepted[0].batch.to_otlp() == make_batch(signal, 9, resources=2).to_otlp()
        assert server.accepted[0].batch.signal is signal
        assert r.meter.value(f"exporter_sent_{signal.item}") == 9


async def test_refusals_are_retried_until_accepted() -> None:
    """UNAVAILABLE with and without RetryInfo, RESOURCE_EXHAUSTED with it, a hang: all end in delivery."""
    steps = [
        Refuse(Code.UNAVAILABLE),
        Refuse(Code.UNAVAILABLE, retry_after=0.05),
        Refuse(Code.RESOURCE_EXHAUSTED, retry_after=0.05),
        Hang(),
    ]
    async with GrpcServer(*steps) as server, sending_to(server.address, timeout="1s") as r:
        await r.consume(make_batch(items=5))
        await r.until_idle()
        assert (server.attempts, server.item_count) == (5, 5)
        assert r.meter.value("exporter_retries") == 4
        assert [status.name for status, _ in r.host.reports] == ["RECOVERABLE_ERROR", "OK"]


@pytest.mark.parametrize("code", [Code.INVALID_ARGUMENT, Code.INTERNAL, Code.UNIMPLEMENTED, Code.UNAUTHENTICATED])
async def test_permanent_refusals_are_dropped_and_counted(code: Code) -> None:
    """One attempt, one reason; what comes after is delivered."""
    async with GrpcServer(Refuse(code)) as server, sending_to(server.address) as r:
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
    small = make_batch(items=20).column(SPAN_ID) + make_batch(items=20, seed=3).column(SPAN_ID)
    async with GrpcServer(max_bytes=30_000) as server, sending_to(server.address) as r:
        await r.consume(batch)
        await r.until_idle()
        assert [one for received in server.accepted for one in received.batch.column(SPAN_ID)] == small
        assert r.dropped == {"too_large": 1}


async def test_partial_success_is_counted() -> None:
    """Rejected spans are counted and not sent again."""
    async with GrpcServer(Accept(rejected=2, message="too old")) as server, sending_to(server.address) as r:
        await r.consume(make_batch(items=5))
        await r.until_idle()
        assert server.attempts == 1
        assert (r.meter.value("exporter_sent_spans"), r.meter.value("exporter_rejected_spans")) == (3, 2)


async def test_a_destination_that_comes_up_later_gets_everything() -> None:
    """Down at start is no error: data waits in the queue."""
    async with GrpcServer() as server:
        port = server.port
    async with sending_to(f"127.0.0.1:{port}") as r:
        for seed in range(5):
            await r.consume(make_batch(items=10, seed=seed))
        await asyncio.sleep(0.1)
        assert r.exporter.pending_items() == 50
        async with GrpcServer(port=port) as server:
            await server.wait_for_items(50)
            await r.until_idle()
            assert server.item_count == 50


async def test_a_dead_destination_does_not_touch_another() -> None:
    """Two exporters share nothing; the healthy one is done at once."""
    async with GrpcServer() as healthy, GrpcServer(forever=Hang()) as dead:
        one, other = sending_to(healthy.address), sending_to(dead.address, timeout="50ms")
        async with one as good:
            async with other as bad:
                batch = make_batch(items=10)
                await asyncio.gather(good.consume(batch.copy()), bad.consume(batch.copy()))
                await good.until_idle(2)
                assert healthy.item_count == 10
                assert bad.exporter.pending_items() == 10
                dead.forever = Accept()
            assert dead.item_count == 10


async def test_shutdown_at_the_deadline_says_what_was_left(caplog: pytest.LogCaptureFixture) -> None:
    """Cancelled while draining, it counts and logs, closes its channel and re-raises."""
    async with GrpcServer(forever=Hang()) as server:
        made = Running(FACTORY, {"endpoint": server.address, "tls": {"insecure": True}}, Signal)
        await made.exporter.start(made.host)
        await made.consume(make_batch(items=10))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await made.exporter.shutdown()
        assert made.dropped == {"shutdown": 10}
        assert made.exporter.pending_items() == 0
    assert "10 of 10 pending items were dropped" in caplog.text


async def test_small_requests_travel_together() -> None:
    """With batching, many small requests become few large ones; nothing is lost on the way."""
    queue = {"batch": {"min_size": 100, "flush_timeout": "50ms"}}
    async with GrpcServer() as server:
        async with sending_to(server.address, sending_queue=queue) as r:
            for seed in range(50):
                await r.consume(make_batch(items=10, seed=seed))
        assert server.item_count == 500
        assert server.attempts <= 10


async def test_an_unusable_certificate_file_is_an_error_at_start() -> None:
    """The message names the file."""
    made = Running(FACTORY, {"endpoint": "localhost:1", "tls": {"ca_file": "/nowhere/ca.pem"}}, Signal)
    with pytest.raises(StartError, match="/nowhere/ca"):
        await made.exporter.start(made.host)
    await made.exporter.shutdown()


async def test_tls_end_to_end() -> None:
    """The whole exporter over TLS."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    pair = (issued.private_key_pem.bytes(), b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    async with GrpcServer(credentials=grpc.ssl_server_credentials([pair])) as server:
        tls = {"ca_pem": authority.cert_pem.bytes().decode()}
        async with sending_to(server.address, tls=tls) as r:
            await r.consume(make_batch(items=5))
        assert server.item_count == 5


async def test_requests_that_may_be_repeated_carry_a_key() -> None:
    """Equal bytes have the equal key, and only where another process may send them again."""
    letters = {"dead_letter_queue": {"storage": "file_storage"}}
    async with GrpcServer() as server:
        async with sending_to(server.address) as one:
            await one.consume(make_batch(seed=1))
            await one.until_idle()
        async with running(
            FACTORY, {"endpoint": server.address, "tls": {"insecure": True}} | letters, file_storage=NoGraves()
        ) as one:
            for seed in (1, 1, 2):
                await one.consume(make_batch(seed=seed))
            await one.until_idle()
        keys = [received.headers.get("idempotency-key") for received in server.accepted]
    assert keys[0] is None
    assert sorted(map(keys.count, set(keys[1:]))) == [1, 2]
