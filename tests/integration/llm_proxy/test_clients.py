"""Real clients of providers: what they see through the proxy is what they see directly, and the span tells the truth.

The same call is made twice, once to the stand-in for the provider and once through the daemon. Equal requests get
equal bytes, so everything may be compared: what the client made of the answer, each byte and header of it, each byte
and header that the provider received.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import NamedTuple

import pytest

from tests.support.llm_clients.process import CASES, ClientProcess, Seen
from tests.support.llm_proxy import differences, proxy_config
from tests.support.llm_upstream import FAULT_HEADER, LlmUpstream, Recorded
from tests.support.peers import Daemon, peer_or_skip
from tests.support.span_sink import SeenSpan, SpanSink

pytestmark = [pytest.mark.peer, pytest.mark.once, pytest.mark.e2e]

OWN_HEADERS = {"traceparent", "x-untrace-overhead-ms"}
"""What the provider gets besides: the id of our span; and the client: what we took of its time."""
HOP_HEADERS = {"host", "connection"}
"""What belongs to a connection, not to a message."""
_OVERHEAD = re.compile(r", 'x-untrace-overhead-ms': '[^']*'")
_BOUNDARY = re.compile(rb"-{0,2}[0-9a-f]{32}")
STATUSES = (400, 401, 403, 404, 429, 500, 529)


class Both(NamedTuple):
    """The same call, made both ways."""

    direct: Seen
    through: Seen
    direct_requests: list[Recorded]
    requests: list[Recorded]
    spans: list[SeenSpan]


class Bench:
    """One client, and the two ways that it may go."""

    def __init__(self, client: ClientProcess, upstream: LlmUpstream, proxy: Daemon, sink: SpanSink) -> None:
        self._client, self._upstream, self._proxy, self._sink = client, upstream, proxy, sink

    def both(self, case: str, fault: str = "", *, below: str = "") -> Both:
        """Make a call both ways; ``below`` is a path of the proxy that stands for the provider."""
        headers = {FAULT_HEADER: fault} if fault else {}
        self._upstream.requests.clear()
        self._sink.clear()
        direct = self._client.call(case, self._upstream.url, headers=headers)
        first = list(self._upstream.requests)
        through = self._client.call(case, f"http://{self._proxy.endpoint('PROXY_PORT')}{below}", headers=headers)
        requests = self._upstream.requests[len(first) :]
        return Both(direct, through, first, requests, self._sink.wait(len(requests), self._proxy))


@pytest.fixture(scope="module")
def started() -> Iterator[Callable[[str], ClientProcess]]:
    """Yield what starts a client, once for all tests: it takes seconds."""
    running: dict[str, ClientProcess] = {}
    with ExitStack() as stack:

        def start(name: str) -> ClientProcess:
            if name not in running:
                running[name] = stack.enter_context(ClientProcess(name))
            return running[name]

        yield start


@pytest.fixture
def bench(
    request: pytest.FixtureRequest,
    started: Callable[[str], ClientProcess],
    upstream: LlmUpstream,
    proxy: Daemon,
    sink: SpanSink,
) -> Bench:
    """Return the bench with the client that the test names."""
    with peer_or_skip():
        client = started(request.param)
    return Bench(client, upstream, proxy, sink)


def kept(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the headers of a message in their order, without our own; the case of their names means nothing."""
    lower = [(name.lower(), value) for name, value in headers]
    return [(name, value) for name, value in lower if name not in OWN_HEADERS | HOP_HEADERS]


def same_bytes(made: Both) -> bool:
    """Say whether the client read the same both ways; where it stops early depends on how the bytes came in."""
    pairs = list(zip(made.through.responses, made.direct.responses, strict=True))
    return all(a[0] == b[0] and (a[1].startswith(b[1]) or b[1].startswith(a[1])) for a, b in pairs)


def same_error(made: Both) -> bool:
    """Say whether the client raised the same both ways; some put all headers into the text."""
    assert made.direct.error is not None
    assert made.through.error is not None
    text = _OVERHEAD.sub("", made.through.error["text"])
    return {**made.through.error, "text": text} == made.direct.error


@pytest.mark.parametrize(
    ("bench", "case"), [(name, case) for name, cases in CASES.items() for case in cases], indirect=["bench"]
)
def test_a_call_is_seen_as_if_it_were_direct(bench: Bench, case: str, upstream: LlmUpstream) -> None:
    """Both sides see the same bytes and headers, and the span says what happened."""
    made = bench.both(case)
    assert made.direct.error is None
    assert made.through.result == made.direct.result
    assert made.through.responses == made.direct.responses
    assert [kept(one) for one in made.through.headers] == [kept(one) for one in made.direct.headers]
    assert [(one.method, one.target, one.body) for one in made.requests] == [
        (one.method, one.target, one.body) for one in made.direct_requests
    ]
    assert [kept(one.headers) for one in made.requests] == [kept(one.headers) for one in made.direct_requests]
    assert len(made.spans) == len(made.requests) > 0
    for span, request in zip(made.spans, made.requests, strict=True):
        truth = upstream.truth(request)
        assert truth.operation == "" or differences(truth, span) == {}
        assert span.attributes["http.response.status_code"] == 200


@pytest.mark.parametrize("case", ["plain", "stream"])
@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("bench", ["openai", "anthropic", "cohere", "gemini", "node"], indirect=True)
def test_an_error_is_the_error_of_the_provider(bench: Bench, status: int, case: str) -> None:
    """The client raises what it would have raised, and the span has failed."""
    made = bench.both(case, f"status_{status}")
    assert same_error(made)
    assert made.through.responses == made.direct.responses
    assert [kept(one) for one in made.through.headers] == [kept(one) for one in made.direct.headers]
    assert [one.attributes["http.response.status_code"] for one in made.spans] == [status] * len(made.requests)
    assert all(one.failed and one.attributes["error.type"] for one in made.spans)


@pytest.mark.parametrize(
    "fault",
    [
        "gzip",
        "zstd",
        "deflate",
        "pieces_7",
        "crlf",
        "no_done",
        "no_length",
        "huge_2",
        "slow_5",
        "big_header",
    ],
)
@pytest.mark.parametrize("case", ["plain", "stream"])
@pytest.mark.parametrize("bench", ["openai", "anthropic", "gemini"], indirect=True)
def test_odd_answers_are_passed_as_they_are(bench: Bench, fault: str, case: str, upstream: LlmUpstream) -> None:
    """Encoded, cut anywhere, large or slow: the same bytes, the same result."""
    made = bench.both(case, fault)
    assert made.through.result == made.direct.result
    assert made.through.error == made.direct.error
    assert same_bytes(made)
    (span,) = made.spans
    # A client may leave after the last event, before the end of what it is packed in: nobody sees that it had all.
    may_leave = case == "stream" and fault in {"gzip", "zstd", "deflate"}
    assert span.attributes.get("error.type") in ({None, "client_disconnect"} if may_leave else {None})


@pytest.mark.parametrize(
    ("bench", "below"),
    [("openai", "/v1/proxy/openai"), ("openai", "/passthrough/openai"), ("anthropic", "/v1/proxy/anthropic")],
    indirect=["bench"],
)
def test_a_provider_may_be_named_in_the_path(bench: Bench, below: str, upstream: LlmUpstream) -> None:
    """The provider sees its own path."""
    made = bench.both("stream_tools", below=below)
    assert made.through.result == made.direct.result
    assert made.requests[0].target == made.direct_requests[0].target
    assert differences(upstream.truth(made.requests[0]), made.spans[0]) == {}


@pytest.mark.parametrize("bench", ["openai", "anthropic", "node"], indirect=True)
def test_who_leaves_after_the_last_event_has_all_of_it(bench: Bench) -> None:
    """Clients close when they have read the event that ends a stream, and do not wait for the end of the body."""
    made = bench.both("stream", "late_end")
    assert made.through.result == made.direct.result
    assert [one.failed for one in made.spans] == [False]


@pytest.mark.parametrize("fault", ["stream_error", "invalid_json", "empty"])
@pytest.mark.parametrize("bench", ["openai", "anthropic", "node"], indirect=True)
def test_bad_answers_are_passed_as_they_are(bench: Bench, fault: str) -> None:
    """The client makes of them what it would have made; there is a span."""
    made = bench.both("stream", fault)
    assert made.through.result == made.direct.result
    assert made.through.error == made.direct.error
    assert same_bytes(made)
    [span] = made.spans
    if fault == "stream_error":
        assert span.failed
    else:  # who cannot read an event may leave before the last one
        assert span.attributes.get("error.type") in {None, "client_disconnect"}


@pytest.mark.parametrize(
    ("case", "fault"), [("stream", "reset_mid"), ("stream", "close_mid"), ("plain", "long_length")]
)
@pytest.mark.parametrize("bench", ["openai", "anthropic", "node"], indirect=True)
def test_a_broken_answer_is_broken_for_the_client(bench: Bench, case: str, fault: str) -> None:
    """It sees the same beginning and no end; the span says that the provider broke off."""
    made = bench.both(case, fault)
    assert made.direct.error is not None
    assert made.through.error is not None
    assert same_bytes(made)
    assert [one.attributes["error.type"] for one in made.spans] == ["upstream_reset"]


@pytest.mark.parametrize("bench", ["openai"], indirect=True)
def test_a_form_of_several_parts_is_passed_as_it_is(bench: Bench) -> None:
    """Its boundary is another one each time; everything else is the same."""
    made = bench.both("upload")
    assert made.through.result is made.direct.result is True
    bodies = [_BOUNDARY.sub(b"boundary", one.body) for one in (made.direct_requests[0], made.requests[0])]
    assert bodies[0] == bodies[1]
    assert b"\x00\xff" in bodies[0]
    assert made.spans[0].name == "POST /v1/files"


@pytest.mark.parametrize(("client", "case"), [("openai", "stream_uncounted"), ("langchain", "openai_stream")])
def test_usage_that_nobody_asked_for(
    client: str, case: str, started: Callable[[str], ClientProcess], upstream: LlmUpstream, sink: SpanSink
) -> None:
    """With `inject_usage` the span has the tokens, and the client sees what it would have seen."""
    with peer_or_skip():
        caller = started(client)
    sink.clear()
    direct = caller.call(case, upstream.url)
    with Daemon(proxy_config(upstream.url, sink.url, inject_usage=True)) as daemon:
        through = caller.call(case, f"http://{daemon.endpoint('PROXY_PORT')}")
        (span,) = sink.wait(1, daemon)
    seen = [[{**chunk, "id": ""} for chunk in one.result] for one in (through, direct)]  # ids depend on the request
    assert seen[0] == seen[1]
    truth = upstream.truth()
    assert (span.attributes["gen_ai.usage.input_tokens"], span.attributes["gen_ai.usage.output_tokens"]) == (
        truth.input_tokens,
        truth.output_tokens,
    )
