"""What goes wrong at the provider, at the client and behind the proxy.

What the caller sees, what the span says, what is counted; every call has one span, or is counted as one without.
"""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.llm_proxy import CHAT, Answer, ask, chat, differences, proxy_config
from tests.support.llm_upstream import FAULT_HEADER, LlmUpstream
from tests.support.peers import Daemon
from tests.support.service import metric
from tests.support.span_sink import SeenSpan, SpanSink
from tests.support.wait import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.once]

NOBODY = "http://127.0.0.1:1"
HASTY: dict[str, Any] = {"first_byte_timeout": "1500ms", "idle_timeout": "1500ms", "connect_timeout": "2s"}


@pytest.fixture(scope="module")
def hasty(upstream: LlmUpstream, sink: SpanSink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that does not wait long, with a second proxy that reads on when the client has gone."""
    config = proxy_config(upstream.url, sink.url)
    receiver = config["receivers"]["llm_proxy"]
    receiver["upstreams"]["openai"] |= HASTY
    receiver["upstreams"]["openai/nobody"] = {"base_url": NOBODY}
    receiver["routes"] = [{"path": "/failover/v1/chat/completions", "upstreams": ["openai/nobody", "openai"]}]
    drain = {**receiver, "endpoint": "127.0.0.1:${env:DRAIN_PORT}", "on_client_disconnect": "drain"}
    config["receivers"]["llm_proxy/drain"] = drain
    config["service"]["pipelines"]["traces"]["receivers"].append("llm_proxy/drain")
    directory: Path = tmp_path_factory.mktemp("hasty")
    with Daemon(config, directory=directory) as daemon:
        yield daemon


@dataclass(frozen=True)
class Row:
    """One row of the table."""

    fault: str
    status: int | None
    """What the client gets."""
    outcome: str
    """How the call is counted."""
    error: str = ""
    """`error.type` of the span; empty for none."""
    stream: bool = False
    whole: bool = True
    """Whether the answer comes to its end."""


TABLE = (
    Row("status_429", 429, "client_error", "rate_limit_exceeded"),
    Row("status_400", 400, "client_error", "invalid_request_error"),
    Row("status_500", 500, "server_error", "api_error"),
    Row("status_429", 429, "client_error", "rate_limit_exceeded", stream=True),
    Row("html", 502, "server_error", "502"),
    Row("hang", 504, "timeout", "timeout"),
    Row("hang_mid", 200, "timeout", "timeout", stream=True, whole=False),
    Row("hang_mid", 200, "timeout", "timeout", whole=False),
    Row("reset", 502, "upstream_reset", "upstream_reset"),
    Row("close", 502, "upstream_reset", "upstream_reset"),
    Row("reset_mid", 200, "upstream_reset", "upstream_reset", stream=True, whole=False),
    Row("close_mid", 200, "upstream_reset", "upstream_reset", stream=True, whole=False),
    Row("long_length", 200, "upstream_reset", "upstream_reset", whole=False),
    Row("garbage", 502, "invalid_response", "invalid_response"),
    Row("slow_10", 200, "success", stream=True),
    Row("invalid_json", 200, "success"),
    Row("invalid_json", 200, "success", stream=True),
    Row("stream_error", 200, "success", "api_error", stream=True),
    Row("huge_50", 200, "success"),
    Row("huge_20", 200, "success", stream=True),
    Row("gzip", 200, "success"),
    Row("zstd", 200, "success", stream=True),
    Row("pieces_5", 200, "success", stream=True),
    Row("crlf", 200, "success", stream=True),
    Row("empty", 200, "success"),
)


def spans_of(sink: SpanSink, daemon: Daemon, count: int = 1) -> list[SeenSpan]:
    """Return so many spans, and look that there are no more."""
    found = sink.wait(count, daemon)
    assert len(found) == count
    return found


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.fault}{'-stream' if row.stream else ''}")
def test_what_the_provider_does(row: Row, hasty: Daemon, upstream: LlmUpstream, sink: SpanSink) -> None:
    """The caller gets what came, byte for byte; one span says how it ended; it is counted."""
    sink.clear()
    before = metric(hasty, "untrace_llm_proxy_calls_total", outcome=row.outcome)
    answer = ask(hasty.endpoint("PROXY_PORT"), chat(stream=row.stream), fault=row.fault)
    assert answer.status == row.status
    sent = upstream.reply().body
    if row.outcome in {"success", "client_error", "server_error"}:
        assert (answer.body, answer.broken) == (sent, "")
    elif row.whole:  # an answer of our own, in the provider's form
        assert json.loads(answer.body)["error"]["code"] == row.error
        assert answer.headers["x-untrace-error"] == row.error
    else:
        assert answer.broken
        assert sent.startswith(answer.body)
        assert answer.body
    (span,) = spans_of(sink, hasty)
    assert span.attributes.get("error.type", "") == row.error
    assert span.failed == bool(row.error)
    assert span.attributes.get("http.response.status_code") == (
        None if "x-untrace-error" in answer.headers else row.status
    )
    assert metric(hasty, "untrace_llm_proxy_calls_total", outcome=row.outcome) == before + 1


@pytest.mark.parametrize("fault", ["slow_5", "gzip", "zstd", "deflate", "pieces_5", "crlf"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_odd_answers_are_read(stream: bool, fault: str, hasty: Daemon, upstream: LlmUpstream, sink: SpanSink) -> None:
    """However an answer comes, its span says all of it."""
    sink.clear()
    ask(hasty.endpoint("PROXY_PORT"), chat(stream=stream), fault=fault)
    (span,) = spans_of(sink, hasty)
    assert differences(upstream.truth(), span) == {}


def test_the_beginning_and_the_end_of_a_huge_answer_are_kept(
    hasty: Daemon, upstream: LlmUpstream, sink: SpanSink
) -> None:
    """50 MB pass, and the span says that it has not all of it; usage stands at the end."""
    sink.clear()
    answer = ask(hasty.endpoint("PROXY_PORT"), chat(), fault="huge_50")
    assert len(answer.body) > 50_000_000
    (span,) = spans_of(sink, hasty)
    assert span.attributes["untrace.capture.truncated"] is True
    assert span.attributes["gen_ai.usage.output_tokens"] == upstream.truth().output_tokens


def test_unreadable_answers_are_marked(hasty: Daemon, sink: SpanSink) -> None:
    """The request is known all the same."""
    sink.clear()
    ask(hasty.endpoint("PROXY_PORT"), chat(), fault="invalid_json")
    (span,) = spans_of(sink, hasty)
    assert span.attributes["untrace.capture.unreadable"] == ["response"]
    assert span.attributes["gen_ai.request.model"] == "gpt-4o-mini"


def test_retry_after_reaches_the_client(hasty: Daemon, sink: SpanSink) -> None:
    """As the provider wrote it."""
    sink.clear()
    answer = ask(hasty.endpoint("PROXY_PORT"), chat(), fault="status_429")
    assert answer.headers["retry-after"] == "1"
    spans_of(sink, hasty)


def test_an_upstream_that_nobody_serves(hasty: Daemon, sink: SpanSink) -> None:
    """502, in the form of the API."""
    sink.clear()
    answer = ask(hasty.endpoint("PROXY_PORT"), chat(), path=f"/passthrough/openai/nobody{CHAT}")
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (502, "connect_error")
    (span,) = spans_of(sink, hasty)
    assert span.attributes["error.type"] == "connect_error"


# ---------------------------------------------------------------- the client goes


def leave(endpoint: str, fault: str, *, after: bytes = b"") -> bytes:
    """Send a request for a stream, read until some bytes have come, and go away."""
    host, _, port = endpoint.rpartition(":")
    body = json.dumps(chat(stream=True)).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\n{FAULT_HEADER}: {fault}\r\nContent-Length: {len(body)}\r\n\r\n"
    read = b""
    with socket.create_connection((host, int(port)), timeout=20) as raw:
        raw.sendall(head.encode() + body)
        while after and after not in read:
            read += raw.recv(4096)
    return read


@pytest.mark.parametrize(("fault", "after"), [("hang", b""), ("hang_mid", b"parcel"), ("slow_20", b"parcel")])
def test_a_client_that_goes_ends_the_call(
    fault: str, after: bytes, proxy: Daemon, upstream: LlmUpstream, sink: SpanSink
) -> None:
    """The provider's connection is closed, the span has what came until then."""
    sink.clear()
    aborted, asked = upstream.aborted, len(upstream.requests)
    if after:
        leave(proxy.endpoint("PROXY_PORT"), fault, after=after)
    else:
        with socket.create_connection(("127.0.0.1", proxy.ports["PROXY_PORT"]), timeout=20) as raw:
            body = json.dumps(chat()).encode()
            raw.sendall(b"POST %b HTTP/1.1\r\nHost: x\r\n" % CHAT.encode())
            raw.sendall(
                b"%b: %b\r\nContent-Length: %d\r\n\r\n%b" % (b"x-upstream-fault", fault.encode(), len(body), body)
            )
            wait_until(lambda: len(upstream.requests) > asked, proxy)
    wait_until(lambda: upstream.aborted == aborted + 1, proxy)
    (span,) = spans_of(sink, proxy)
    assert span.attributes["error.type"] == "client_disconnect"
    assert span.failed
    if after:
        assert "parcel" in span.attributes["gen_ai.output.messages"]
        assert "gen_ai.usage.output_tokens" not in span.attributes


def test_drained_calls_are_read_to_their_end(hasty: Daemon, upstream: LlmUpstream, sink: SpanSink) -> None:
    """The client has gone; the usage, which comes last, is known nevertheless."""
    sink.clear()
    aborted = upstream.aborted
    leave(hasty.endpoint("DRAIN_PORT"), "slow_10", after=b"parcel")
    (span,) = spans_of(sink, hasty)
    assert upstream.aborted == aborted
    assert span.attributes["error.type"] == "client_disconnect"
    assert span.attributes["gen_ai.usage.output_tokens"] == upstream.truth().output_tokens


def test_a_slow_reader_is_no_one_elses_burden(hasty: Daemon, upstream: LlmUpstream, sink: SpanSink) -> None:
    """While a client does not read 20 MB, others are served; then it gets all of them."""
    sink.clear()
    body = json.dumps(chat()).encode()
    request = b"POST %b HTTP/1.1\r\nHost: x\r\nx-upstream-fault: huge_20\r\nConnection: close\r\n" % CHAT.encode()
    with socket.create_connection(("127.0.0.1", hasty.ports["DRAIN_PORT"]), timeout=20) as raw:
        raw.sendall(request + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        first = raw.recv(1024)
        assert ask(hasty.endpoint("DRAIN_PORT"), chat()).status == 200
        assert len(sink.wait(1, hasty)) == 1
        received = len(first)
        while piece := raw.recv(1 << 20):
            received += len(piece)
    assert received > 20_000_000
    assert {one.failed for one in spans_of(sink, hasty, 2)} == {False}


# --------------------------------------------------------------- behind the proxy


def broken_pipeline(upstream: LlmUpstream, **queue: Any) -> dict[str, Any]:
    """Return a config whose only exporter refuses everything that it cannot send at once."""
    config = proxy_config(upstream.url, NOBODY, capture_queue={"flush_interval": "20ms", **queue})
    config["exporters"]["otlp_http"] |= {"sending_queue": {"enabled": False}, "retry_on_failure": {"enabled": False}}
    return config


def test_callers_do_not_notice_a_dead_pipeline(upstream: LlmUpstream) -> None:
    """Every call is answered; what has no span is counted, and the queue goes no further than its bound."""
    config = broken_pipeline(upstream, max_calls=5, max_elapsed_time="1s")
    with Daemon(config) as daemon:
        answers: list[Answer] = [ask(daemon.endpoint("PROXY_PORT"), chat(stream=n % 2 == 0)) for n in range(40)]
        assert {(one.status, one.broken) for one in answers} == {(200, "")}
        assert metric(daemon, "untrace_llm_proxy_capture_queue_size") <= 5
        wait_until(lambda: metric(daemon, "untrace_llm_proxy_lost_spans_total") == 40, daemon)
        assert metric(daemon, "untrace_llm_proxy_lost_spans_total", reason="queue_full") > 0
        assert metric(daemon, "untrace_llm_proxy_calls_total", outcome="success") == 40


def test_spans_wait_for_a_pipeline_that_comes_back(upstream: LlmUpstream) -> None:
    """A destination that is down for a while costs nothing."""
    with SpanSink(status=503) as sink:
        config = broken_pipeline(upstream)
        config["exporters"]["otlp_http"]["endpoint"] = sink.url
        with Daemon(config) as daemon:
            for _ in range(20):
                assert ask(daemon.endpoint("PROXY_PORT"), chat()).status == 200
            wait_until(lambda: sink.requests > 0, daemon)
            sink.status = 200
            assert len(sink.wait(20, daemon)) == 20
            assert metric(daemon, "untrace_llm_proxy_lost_spans_total") == 0


def test_compressed_requests_are_passed_and_read(proxy: Daemon, upstream: LlmUpstream, sink: SpanSink) -> None:
    """The provider gets them as they are; the span says what is in them."""
    sink.clear()
    body = gzip.compress(json.dumps(chat()).encode(), mtime=0)
    ask(proxy.endpoint("PROXY_PORT"), body, headers={"Content-Encoding": "gzip"})
    assert upstream.last.body == body
    (span,) = spans_of(sink, proxy)
    assert span.attributes["gen_ai.request.model"] == "gpt-4o-mini"
