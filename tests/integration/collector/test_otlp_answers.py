"""Good and bad OTLP requests: our receiver's answers are the Collector's, and what it takes comes out the same."""

from __future__ import annotations

import gzip
import http.client
import json
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
import zstandard
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tests.integration.collector.inputs import INPUTS
from tests.support.peers import (
    Collector,
    ConfiguredProcess,
    Daemon,
    PeerProcessError,
)
from tests.support.peers.canonical import SignalName, canonical_items, describe_difference, parse_proto, read_framed

pytestmark = [pytest.mark.peer, pytest.mark.timeout(300), pytest.mark.xdist_group("otlp_answers")]

PROTOBUF, JSON = "application/x-protobuf", "application/json"
SIGNALS: tuple[SignalName, ...] = ("traces", "metrics", "logs")
SUBJECTS: dict[str, type[ConfiguredProcess]] = {"ours": Daemon, "theirs": Collector}
CONFIG: dict[str, Any] = {
    "receivers": {
        "otlp": {
            "protocols": {
                "grpc": {"endpoint": "127.0.0.1:${env:GRPC_PORT}", "max_recv_msg_size_mib": 4},
                "http": {"endpoint": "127.0.0.1:${env:HTTP_PORT}"},
            }
        }
    },
    "exporters": {f"file/{signal}": {"path": f"{signal}.bin", "format": "proto"} for signal in SIGNALS},
    "service": {
        "pipelines": {signal: {"receivers": ["otlp"], "exporters": [f"file/{signal}"]} for signal in SIGNALS},
    },
}
NAMES: Mapping[SignalName, tuple[str, str]] = {
    "traces": ("trace", "TraceService"),
    "metrics": ("metrics", "MetricsService"),
    "logs": ("logs", "LogsService"),
}


@dataclass(frozen=True)
class HttpCase:
    """One HTTP request."""

    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": PROTOBUF})
    path: str = "/v1/traces"
    method: str = "POST"


def _body(signal: SignalName) -> bytes:
    return INPUTS["varied"]()[signal][0].SerializeToString()


def _typed(content_type: str, encoding: str | None = None) -> dict[str, str]:
    return {"content-type": content_type} | ({"content-encoding": encoding} if encoding else {})


def _span_json(**fields: Any) -> bytes:
    span = {"name": "chat", "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174"} | fields
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()


def _good() -> Iterator[tuple[str, HttpCase]]:
    for signal in SIGNALS:
        body, path = _body(signal), f"/v1/{signal}"
        yield f"{signal} protobuf", HttpCase(body, path=path)
        yield f"{signal} gzip", HttpCase(gzip.compress(body), _typed(PROTOBUF, "gzip"), path)
        yield f"{signal} empty", HttpCase(b"", path=path)
        yield f"{signal} empty json", HttpCase(b"{}", _typed(JSON), path)
    body = _body("traces")
    yield "zstd", HttpCase(zstandard.compress(body), _typed(PROTOBUF, "zstd"))
    yield "deflate", HttpCase(zlib.compress(body), _typed(PROTOBUF, "deflate"))
    yield "zlib", HttpCase(zlib.compress(body), _typed(PROTOBUF, "zlib"))
    yield "json", HttpCase(_span_json(kind=3, startTimeUnixNano="1700000000000000000"), _typed(JSON))
    yield "json with charset", HttpCase(_span_json(name="charset"), _typed("application/json; charset=utf-8"))
    yield "json gzip", HttpCase(gzip.compress(_span_json(name="gzip")), _typed(JSON, "gzip"))
    yield (
        "json numbers as numbers",
        HttpCase(_span_json(name="numbers", endTimeUnixNano=1700000000000000000), _typed(JSON)),
    )
    yield "json unknown field", HttpCase(_span_json(name="unknown", noSuchField={"a": [1]}), _typed(JSON))
    yield "json upper case ids", HttpCase(_span_json(name="upper", spanId="EEE19B7EC3C1B175"), _typed(JSON))
    values = [
        {"key": "int", "value": {"intValue": "42"}},
        {"key": "int as number", "value": {"intValue": 43}},
        {"key": "double", "value": {"doubleValue": 1.5}},
        {"key": "bytes", "value": {"bytesValue": "AAEC"}},
        {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {"boolValue": True}]}}},
        {"key": "map", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"stringValue": "v"}}]}}},
        {"key": "nothing", "value": {}},
    ]
    yield "json attribute values", HttpCase(_span_json(name="values", attributes=values), _typed(JSON))
    yield "json enum by name", HttpCase(_span_json(name="enum", kind="SPAN_KIND_CLIENT"), _typed(JSON))
    yield "json null fields", HttpCase(b'{"resourceSpans": null}', _typed(JSON))
    yield "json snake case", HttpCase(_span_json(name="snake", start_time_unix_nano="5"), _typed(JSON))


def _bad() -> Iterator[tuple[str, HttpCase]]:
    body = _body("traces")
    yield "garbage", HttpCase(b"\xff\xfe not protobuf")
    yield "truncated", HttpCase(body[: len(body) // 2])
    yield "garbage json", HttpCase(b"{ not json", _typed(JSON))
    yield "json list", HttpCase(b"[]", _typed(JSON))
    yield "json text", HttpCase(b'"spans"', _typed(JSON))
    yield "json empty body", HttpCase(b"", _typed(JSON))
    yield "json short trace id", HttpCase(_span_json(traceId="5b8e"), _typed(JSON))
    yield "json id without hex", HttpCase(_span_json(spanId="zzzzzzzzzzzzzzzz"), _typed(JSON))
    yield "json wrong type", HttpCase(b'{"resourceSpans": 3}', _typed(JSON))
    yield "plain text", HttpCase(body, _typed("text/plain"))
    yield "no content type", HttpCase(body, {})
    yield "unknown encoding", HttpCase(body, _typed(PROTOBUF, "br"))
    yield "gzip that is none", HttpCase(body, _typed(PROTOBUF, "gzip"))
    yield "truncated gzip", HttpCase(gzip.compress(body)[:-20], _typed(PROTOBUF, "gzip"))
    yield "zstd that is none", HttpCase(body, _typed(PROTOBUF, "zstd"))
    yield "unknown path", HttpCase(body, path="/v1/nothing")
    yield "root", HttpCase(body, path="/")
    yield "trailing slash", HttpCase(body, path="/v1/traces/")
    for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS"):
        yield method.lower(), HttpCase(body if method == "PUT" else b"", method=method)


HTTP_CASES = dict([*_good(), *_bad()])


@dataclass(frozen=True)
class GrpcCase:
    """One unary gRPC request with raw bytes."""

    body: bytes
    method: str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
    compression: grpc.Compression = grpc.Compression.NoCompression


def _grpc_cases() -> Iterator[tuple[str, GrpcCase]]:
    for signal in SIGNALS:
        package, service = NAMES[signal]
        method = f"/opentelemetry.proto.collector.{package}.v1.{service}/Export"
        yield signal, GrpcCase(_body(signal), method)
        yield f"{signal} gzip", GrpcCase(_body(signal), method, grpc.Compression.Gzip)
        yield f"{signal} deflate", GrpcCase(b"", method, grpc.Compression.Deflate)
        yield f"{signal} empty", GrpcCase(b"", method)
        yield f"{signal} garbage", GrpcCase(b"\xff\xfe not protobuf", method)
        yield f"{signal} truncated", GrpcCase(_body(signal)[:-3], method)
    yield "unknown method", GrpcCase(b"", "/opentelemetry.proto.collector.trace.v1.TraceService/Import")
    yield "unknown service", GrpcCase(b"", "/opentelemetry.proto.collector.trace.v2.TraceService/Export")
    yield "too large", GrpcCase(b"\x0a\x00" * (3 << 20))


GRPC_CASES = dict(_grpc_cases())


@dataclass(frozen=True)
class Answer:
    """What can be compared of an answer: texts may differ."""

    status: int | str
    content_type: str = ""
    body: str = ""


def _success(content: dict[str, Any]) -> str:
    """An empty partial success says the same as none."""
    return json.dumps({key: value for key, value in content.items() if value})


def _http_body(content_type: str, success: bool, body: bytes) -> str:
    """Answer the status code of an error body, or the content of a success."""
    if content_type == PROTOBUF:
        try:
            return _success(_response(body)) if success else f"code {Status.FromString(body).code}"
        except DecodeError:
            return "not a google.rpc.Status"
    if content_type == JSON:
        content = json.loads(body)
        return _success(content) if success else f"code {content.get('code')}"
    return ""


def _response(body: bytes) -> dict[str, Any]:
    """Parse a response; all three signals have the same fields with the same numbers."""
    content: dict[str, Any] = MessageToDict(ExportTraceServiceResponse.FromString(body))
    return content


def _ask_http(target: str, case: HttpCase) -> Answer:
    host, _, port = target.partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    try:
        connection.request(case.method, case.path, case.body, dict(case.headers))
        answer = connection.getresponse()
        content_type = answer.headers.get("content-type", "").partition(";")[0]
        return Answer(answer.status, content_type, _http_body(content_type, answer.status == 200, answer.read()))
    finally:
        connection.close()


def _ask_grpc(channel: grpc.Channel, case: GrpcCase) -> Answer:
    try:
        answer = channel.unary_unary(case.method, None, None)(case.body, timeout=20, compression=case.compression)
    except grpc.RpcError as error:
        return Answer(error.code().name)
    return Answer("OK", body=_success(_response(answer)))


@dataclass(frozen=True)
class Session:
    """All answers of one daemon, and what it wrote."""

    http: Mapping[str, Answer]
    grpc: Mapping[str, Answer]
    output: Mapping[SignalName, Counter[Any]]


def _run(subject: type[ConfiguredProcess]) -> Session:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with subject(CONFIG, directory=directory) as process:
            http_answers = {key: _ask_http(process.endpoint("HTTP_PORT"), case) for key, case in HTTP_CASES.items()}
            with grpc.insecure_channel(process.endpoint("GRPC_PORT")) as channel:
                grpc_answers = {key: _ask_grpc(channel, case) for key, case in GRPC_CASES.items()}
        output = {
            signal: canonical_items(
                signal, (parse_proto(signal, body) for body in read_framed(directory / f"{signal}.bin"))
            )
            for signal in SIGNALS
        }
        return Session(http_answers, grpc_answers, output)


@pytest.fixture(scope="module")
def sessions(both_daemons: None) -> dict[str, Session]:
    """The answers of both daemons to all requests."""
    try:
        return {name: _run(subject) for name, subject in SUBJECTS.items()}
    except PeerProcessError as error:
        pytest.fail(str(error))


# Where we differ on purpose, and why.
KNOWN_HTTP: Mapping[str, str] = {
    "unknown encoding": "415 is HTTP's answer to a content encoding that is not supported; the Collector's is 400",
}
UNPARSED = "what cannot be parsed is the client's fault: INVALID_ARGUMENT; the Collector's gRPC library says INTERNAL"
KNOWN_GRPC: Mapping[str, str] = {
    **{f"{signal} deflate": "our server takes deflate, the Collector's gRPC library does not" for signal in SIGNALS},
    **{f"{signal} {fault}": UNPARSED for signal in SIGNALS for fault in ("garbage", "truncated")},
}


def _marked(names: Mapping[str, Any], known: Mapping[str, str]) -> list[Any]:
    return [
        pytest.param(name, marks=[pytest.mark.xfail(reason=known[name], strict=True)] if name in known else [])
        for name in names
    ]


@pytest.mark.parametrize("name", _marked(HTTP_CASES, KNOWN_HTTP))
def test_http_answer(sessions: dict[str, Session], name: str) -> None:
    """Status, content type, and the code in the body are the same."""
    assert sessions["ours"].http[name] == sessions["theirs"].http[name]


@pytest.mark.parametrize("name", _marked(GRPC_CASES, KNOWN_GRPC))
def test_grpc_answer(sessions: dict[str, Session], name: str) -> None:
    """The status code is the same."""
    assert sessions["ours"].grpc[name] == sessions["theirs"].grpc[name]


@pytest.mark.parametrize("signal", SIGNALS)
def test_accepted_items(sessions: dict[str, Session], signal: SignalName) -> None:
    """What was accepted over HTTP, JSON and gRPC came out the same, once."""
    difference = describe_difference(sessions["ours"].output[signal], sessions["theirs"].output[signal])
    assert not difference, difference
