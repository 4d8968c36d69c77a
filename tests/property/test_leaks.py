"""Memory stays flat, whatever a codec has worked on; ``python -m tests.support.leaks`` does ten million spans."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import platform
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.procfs import rss_bytes
from tests.support.leaks import SPANS_PER_REQUEST, growth, requests
from tests.support.otlp_servers import GrpcServer
from tests.support.peers import Daemon
from untrace_pipeline.data.codec import Codec
from untrace_pipeline.data.codecs.upb import UpbCodec

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(platform.system() != "Linux", reason="memory is read from /proc"),
]
LIMIT_BYTES = 6 << 20  # a leak of one request of 200 KB in a hundred would be several times as much


def codecs() -> list[Codec]:
    """Return those that are installed."""
    try:
        from untrace_pipeline.data.codecs.native import NativeCodec  # noqa: PLC0415  skips where it is not installed
    except ModuleNotFoundError:
        return [UpbCodec()]
    return [UpbCodec(), NativeCodec()]


@pytest.mark.parametrize("codec", codecs(), ids=lambda codec: codec.name)
def test_a_codec_gives_back_its_memory(codec: Codec) -> None:
    """Decoding, reading, editing, cutting, JSON and refusing leave nothing behind."""
    spans = 100_000 if codec.name == "native" else 10_000
    assert growth(codec, spans, warm_up_spans=spans // 5) < LIMIT_BYTES


CONFIG = """
receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:${env:HTTP_PORT}"}}}}
processors: {batch: {send_batch_size: 400, timeout: 20ms}}
exporters: {otlp_grpc: {endpoint: "${env:SINK}", compression: gzip, tls: {insecure: true}}}
service: {pipelines: {traces: {receivers: [otlp], processors: [batch], exporters: [otlp_grpc]}}}
"""


def post(address: str, bodies: list[bytes], times: int) -> None:
    """Send each body so often over a few connections, compressed; one in five is malformed."""

    def one_connection(_: int) -> None:
        connection = http.client.HTTPConnection(address, timeout=30)
        for number in range(times):
            body = bodies[number % len(bodies)]
            broken = number % 5 == 4
            headers = {"content-type": "application/x-protobuf", "content-encoding": "gzip"}
            connection.request("POST", "/v1/traces", gzip.compress(body[:-3] if broken else body, 1), headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == (400 if broken else 200)
        connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one_connection, range(8)))


async def test_the_daemon_gives_back_its_memory() -> None:
    """Requests that were accepted, sent on, or refused leave nothing behind in the transports."""
    bodies = requests()
    async with GrpcServer() as sink, Daemon(CONFIG, env={"SINK": sink.address}) as daemon:
        for _ in range(3):
            await asyncio.to_thread(post, daemon.endpoint("HTTP_PORT"), bodies, 20)
        before = rss_bytes(daemon.pid)
        for _ in range(5):
            await asyncio.to_thread(post, daemon.endpoint("HTTP_PORT"), bodies, 20)
        assert rss_bytes(daemon.pid) - before < 2 * LIMIT_BYTES
        await sink.wait_for_items(8 * 8 * 16 * SPANS_PER_REQUEST)
