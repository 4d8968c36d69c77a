"""Places that are one real server, and OTLP in its two forms of JSON."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.peers import PeerServer
from tests.support.proofs.place import Place, Stored, stored
from untrace_pipeline.data import Batch, Signal

__all__ = ["ServedPlace", "ask", "from_json", "from_proto_json"]

S = TypeVar("S", bound=PeerServer)


class ServedPlace(Place, Generic[S]):
    """A place that is one real server."""

    def __init__(self, server: S) -> None:
        self.server = server

    @property
    def url(self) -> str:
        return self.server.url

    def options(self, url: str) -> dict[str, Any]:
        return {"endpoint": url}

    def __enter__(self) -> Self:
        self.server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.__exit__(kind, error, trace)


def ask(url: str) -> Any:
    """Answer the JSON that a server gives."""
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.load(answer)


def from_json(requests: Iterable[Any]) -> Iterator[Stored]:
    """Yield the spans of requests in OTLP's own JSON."""
    for request in requests:
        yield from stored(Batch.from_json(Signal.TRACES, json.dumps(request).encode()))


def from_proto_json(requests: Iterable[Any]) -> Iterator[Stored]:
    """Yield the spans of requests in the JSON of protobuf, which has ids in base64."""
    for request in requests:
        message = ParseDict(request, ExportTraceServiceRequest(), ignore_unknown_fields=True)
        yield from stored(Batch(Signal.TRACES, message.SerializeToString()))
