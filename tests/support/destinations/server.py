"""A server that takes OTLP over HTTP by the rules of one platform, on loopback."""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import zstandard
from aiohttp import web

from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Signal

__all__ = ["ContractServer", "Judgement", "Received", "Rules"]

_UNPACK: Mapping[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": lambda data: zlib.decompress(data, 31),
    "deflate": zlib.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
}
_SPAN_IDS = [Field(Level.ITEM, name) for name in ("trace_id", "span_id")]


@dataclass(frozen=True)
class Judgement:
    """An answer: status, body and headers."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


Rule = Callable[[Batch], Judgement | None]
"""What a platform has against a request that it could read, ``None`` for nothing."""


@dataclass(frozen=True)
class Rules:
    """What a platform's documentation, or its source, says that it does."""

    paths: Mapping[str, Signal]
    credentials: Mapping[str, str] = field(default_factory=dict)
    """Headers that must be so, by lower-case name."""
    unauthorized: int = 401
    content_types: tuple[str, ...] = ("application/x-protobuf", "application/json")
    wrong_type: int = 415
    encodings: tuple[str, ...] = ("", "gzip")
    wrong_encoding: int = 415
    needed: Mapping[str, int] = field(default_factory=dict)
    """Headers that must be there, by lower-case name: what their absence is answered with."""
    max_bytes: int = 0
    too_large: int = 413
    max_spans: int = 0
    valid_ids: bool = False
    """Whether one span without valid ids spoils the request (400)."""
    rules: Sequence[Rule] = ()
    success: Judgement = Judgement(200, b"{}")
    probes: Mapping[str, bool] = field(default_factory=dict)
    """Paths that answer GET, or POST of JSON; whether they want credentials."""
    told: Mapping[str, bytes] = field(default_factory=dict)
    """What some of them say, as JSON."""
    reads: Callable[[str, Mapping[str, str], bytes], Batch | Judgement] | None = None
    """What an API of its own makes of path, headers and body: a span for each record, or a refusal."""
    ignored: Callable[[Mapping[str, object]], bool] | None = None
    """Spans, by their attributes, that the platform drops without saying so."""


@dataclass(frozen=True)
class Received:
    """A request that was taken."""

    path: str
    headers: Mapping[str, str]
    batch: Batch


class ContractServer:
    """``script`` answers the next requests, whatever the rules say; all others are judged. Probes are not scripted."""

    def __init__(self, rules: Rules, *script: Judgement, pause: float = 0.0) -> None:
        """``pause`` is how many seconds an answer takes."""
        self.rules = rules
        self.script = deque(script)
        self.received: list[Received] = []
        self.refused: list[int] = []
        self.ignored = 0
        """Spans that were dropped without a word."""
        self.port = 0
        self.most_at_once = 0
        """Requests under way."""
        self._under_way = 0
        self._pause = pause

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def item_count(self) -> int:
        return sum(one.batch.item_count for one in self.received)

    def spans(self) -> list[Mapping[str, object]]:
        """Return the attributes of every span that was taken."""
        found = [one.batch.column(Field(Level.ITEM, ATTRIBUTES)) for one in self.received]
        return [attributes for column in found for attributes in column if isinstance(attributes, dict)]

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, auto_decompress=False)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        self._under_way += 1
        self.most_at_once = max(self.most_at_once, self._under_way)
        await asyncio.sleep(self._pause)
        raw = await request.read()
        self._under_way -= 1
        headers = {name.lower(): value for name, value in request.headers.items()}
        scripted = self.script and request.path not in self.rules.probes
        found = self.script.popleft() if scripted else self._judge(request.method, request.path, headers, raw)
        if found.status >= 300:
            self.refused.append(found.status)
        return web.Response(
            status=found.status, body=found.body, content_type=found.content_type, headers=found.headers
        )

    def _judge(self, method: str, path: str, headers: Mapping[str, str], raw: bytes) -> Judgement:
        rules = self.rules
        known = all(headers.get(name) == value for name, value in rules.credentials.items())
        if path in rules.probes:
            said = Judgement(200, rules.told.get(path, b"{}"))
            return said if known or not rules.probes[path] else Judgement(rules.unauthorized)
        if path not in rules.paths or method != "POST":
            return Judgement(404 if method == "POST" else 405)
        if not known:
            return Judgement(rules.unauthorized, b'{"message":"who are you?"}')
        if headers.get("content-type", "").partition(";")[0] not in rules.content_types:
            return Judgement(rules.wrong_type)
        if headers.get("content-encoding", "") not in rules.encodings:
            return Judgement(rules.wrong_encoding)
        for name, status in rules.needed.items():
            if not headers.get(name):
                return Judgement(status)
        return self._read(path, headers, _UNPACK[headers.get("content-encoding", "")](raw))

    def _read(self, path: str, headers: Mapping[str, str], data: bytes) -> Judgement:
        rules, signal = self.rules, self.rules.paths[path]
        if rules.max_bytes and len(data) > rules.max_bytes:
            return Judgement(rules.too_large)
        batch = self._decode(path, headers, data)
        if isinstance(batch, Judgement):
            return batch
        count = batch.item_count
        if rules.max_spans and count > rules.max_spans:
            return Judgement(400, b'{"message":"too many spans"}')
        if rules.valid_ids and signal is Signal.TRACES and not all(map(_valid, *batch.columns(_SPAN_IDS))):
            return Judgement(400, b'{"message":"invalid ids"}')
        for rule in rules.rules:
            if (found := rule(batch)) is not None:
                return found
        if count:
            if rules.ignored is not None:
                attributes = batch.column(Field(Level.ITEM, ATTRIBUTES))
                self.ignored += sum(rules.ignored(one) for one in attributes if isinstance(one, dict))
            self.received.append(Received(path, headers, batch))
        return rules.success

    def _decode(self, path: str, headers: Mapping[str, str], data: bytes) -> Batch | Judgement:
        signal = self.rules.paths[path]
        if self.rules.reads is not None:
            return self.rules.reads(path, headers, data)
        return Batch(signal, data) if headers["content-type"] != "application/json" else Batch.from_json(signal, data)


def _valid(trace_id: object, span_id: object) -> bool:
    return (
        isinstance(trace_id, bytes)
        and isinstance(span_id, bytes)
        and (len(trace_id), len(span_id)) == (16, 8)
        and any(trace_id)
        and any(span_id)
    )
