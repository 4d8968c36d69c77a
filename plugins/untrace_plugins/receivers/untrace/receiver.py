"""The ``untrace`` receiver: an HTTP server with the paths of the API."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

import orjson

from untrace_pipeline.api import ConsumeError, Credentials, Host, Intake, Settings, StartError, Status
from untrace_pipeline.data import Context, Field, Level
from untrace_pipeline.data.signal import DRY_RUN_HEADER
from untrace_pipeline.net.endpoint import Endpoint
from untrace_pipeline.net.http_body import admit_body, read_body
from untrace_pipeline.net.http_message import HttpError, Request, Response, metadata
from untrace_pipeline.net.http_once import Once
from untrace_pipeline.net.http_server import Handler, HttpServer
from untrace_pipeline.net.refusal import http_refusal
from untrace_plugins.core_trace.checking import InvalidError, check, load
from untrace_plugins.receivers.untrace.bodies import AttachedMetadata
from untrace_plugins.receivers.untrace.config import Permission, UntraceReceiverConfig
from untrace_plugins.receivers.untrace.intake import read_many, read_one, read_spans
from untrace_plugins.receivers.untrace.keys import KEY_HEADERS, Guard
from untrace_plugins.receivers.untrace.openapi import document
from untrace_plugins.receivers.untrace.paths import BATCH, HEALTH, INGEST, OPENAPI, TRACES
from untrace_plugins.receivers.untrace.problems import JSON, InvalidRequestError, render

__all__ = ["UntraceReceiver"]

_LARGE_BYTES = 256 * 1024
"""Bodies from here on are read in a thread, which takes a tenth of a second for 4 MiB: others have their turns."""
_LONGEST_IDEMPOTENCY_KEY = 255
_LONGEST_METADATA = 16 * 1024


@dataclass(frozen=True, slots=True)
class _Call:
    """A request that was let in, and read."""

    body: bytes
    metadata: Mapping[str, Any]
    """To attach to every trace."""
    context: Context


Work = Callable[[_Call], Awaitable[Response]]
T = TypeVar("T")


class UntraceReceiver:
    """Takes traces as JSON; acknowledges what ``next`` has accepted."""

    def __init__(self, config: UntraceReceiverConfig, settings: Settings, next: Intake) -> None:
        self._config = config
        self._settings = settings
        self._next = next
        self._guard = Guard(config.keys, config.auth, settings.logger)
        self._rejected = settings.meter.counter("receiver_rejected_traces")
        replayed = settings.meter.counter("receiver_replayed_requests")
        self._idempotency = Once(config.idempotency.ttl, config.idempotency.max_keys, replayed)
        self._document = orjson.dumps(document(secured=bool(config.keys)))
        health: Mapping[str, Handler] = {"GET": self._health, "HEAD": self._health}
        routes: Mapping[str, Mapping[str, Handler]] = {
            TRACES: {"POST": self._handler(self._one, Permission.TRACES)},
            BATCH: {"POST": self._handler(self._many, Permission.TRACES)},
            INGEST: {"POST": self._handler(self._spans, Permission.INGEST)},
            HEALTH: health,
            OPENAPI: {"GET": self._openapi},
        }
        self._server = HttpServer(config, routes, settings.logger, render, settings.meter)

    @property
    def endpoint(self) -> Endpoint:
        """Where it listens, with the port that was chosen."""
        return self._server.endpoint

    async def start(self, host: Host) -> None:
        """Listen. Raises :class:`StartError` naming endpoint or file, and cause."""
        try:
            self._guard.open(host)
            await self._server.start()
        except StartError as error:
            msg = f"receiver {self._settings.id}: {error}"
            raise StartError(msg) from error
        self._settings.logger.info("listening for traces on http %s", self.endpoint)
        host.report(Status.OK, f"http {self.endpoint}")

    async def shutdown(self) -> None:
        """Take no new requests, answer those under way, close. If cancelled, the rest stays unacknowledged."""
        await self._server.stop()

    # ------------------------------------------------------------ any request

    def _handler(self, work: Work, permission: Permission) -> Handler:
        async def handle(request: Request) -> Response:
            who = await self._guard.check(request, permission)
            _check_type(request)
            admit_body(request, self._next.admit)
            body = await read_body(request, self._config.compression_algorithms)
            with _told():
                call = _Call(body, _attached(request, who), self._context(request, who))
                return await self._once(request, call, work)

        return handle

    async def _once(self, request: Request, call: _Call, work: Work) -> Response:
        key = request.header("x-idempotency-key").strip()
        if len(key) > _LONGEST_IDEMPOTENCY_KEY:
            raise InvalidError.of("X-Idempotency-Key", f"at most {_LONGEST_IDEMPOTENCY_KEY} characters")
        if not key or call.context.dry_run:
            return await work(call)

        async def answer() -> Response:
            with _told():  # in the words of HTTP, for those that wait for the same answer
                return await work(call)

        digest = hashlib.sha256(b"\0".join([request.path.encode(), orjson.dumps(call.metadata), call.body])).digest()
        who = (call.context.tenant or "", *map(str, sorted(call.context.auth.items())))
        return await self._idempotency.once((*who, key), digest, answer)

    def _context(self, request: Request, who: Credentials) -> Context:
        headers = metadata(request.headers)
        kept = {
            name: values
            for name, values in headers.items()
            if name == DRY_RUN_HEADER or (self._config.include_metadata and name not in KEY_HEADERS)
        }
        return Context(kept, who.attributes, who.tenant, request.peer, "http")

    # ------------------------------------------------------------ each of them

    async def _one(self, call: _Call) -> Response:
        try:
            own, batch = read_one(call.body, call.metadata, call.context)
        except InvalidError:
            self._rejected.add()
            raise
        await self._next.consume(batch)
        return _answer(call, HTTPStatus.ACCEPTED, {"id": own, "status": _status(call)})

    async def _many(self, call: _Call) -> Response:
        many = await _read(read_many, call)
        self._rejected.add(len(many.rejected))
        if many.batch is None:
            fields = tuple(field for one in many.rejected for field in one.details)
            raise InvalidError(f"all {len(many.rejected)} traces are wrong; {many.rejected[0].message}", fields)
        await self._next.consume(many.batch)
        counts = {"accepted": many.accepted, "rejected": len(many.rejected), "errors": many.rejected}
        return _answer(call, HTTPStatus.ACCEPTED, {"status": _status(call), **counts})

    async def _spans(self, call: _Call) -> Response:
        batch = await _read(read_spans, call)
        count = len(set(batch.column(_TRACE_ID)))
        if batch.item_count:
            await self._next.consume(batch)
        return _answer(call, HTTPStatus.OK, {"success": True, "tracesProcessed": count})

    async def _health(self, _request: Request) -> Response:
        return Response(body=b'{"status":"ok"}', content_type=JSON)

    async def _openapi(self, _request: Request) -> Response:
        return Response(body=self._document, content_type=JSON)


async def _read(read: Callable[[bytes, Mapping[str, Any], Context], T], call: _Call) -> T:
    if len(call.body) < _LARGE_BYTES:
        return read(call.body, call.metadata, call.context)
    return await asyncio.to_thread(read, call.body, call.metadata, call.context)


_TRACE_ID = Field(Level.ITEM, "trace_id")


@contextmanager
def _told() -> Iterator[None]:
    """Say in the words of HTTP why a request fails."""
    try:
        yield
    except InvalidError as error:
        raise InvalidRequestError(error) from None
    except ConsumeError as error:
        raise http_refusal(error) from error


def _status(call: _Call) -> str:
    return "dry_run" if call.context.dry_run else "accepted"


def _answer(call: _Call, status: HTTPStatus, said: dict[str, Any]) -> Response:
    if call.context.dry_run:
        status = HTTPStatus.OK
        said["remarks"] = call.context.remarks
    return Response(status, orjson.dumps(said), JSON)


def _check_type(request: Request) -> None:
    given = request.header("content-type").partition(";")[0].strip().lower()
    if given not in {"", JSON}:
        message = f"Content-Type {given[:100]!r} is not supported; supported: {JSON}"
        raise HttpError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message, (("accept", JSON),))


def _attached(request: Request, who: Credentials) -> dict[str, Any]:
    """Return what the headers attach to every trace. Raises :class:`InvalidError`."""
    found = {} if who.tenant is None else {"customerId": who.tenant}
    text = request.first.get(b"x-untrace-metadata")
    if not text:
        return found
    if len(text) > _LONGEST_METADATA:
        raise InvalidError.of("X-Untrace-Metadata", f"at most {_LONGEST_METADATA} bytes")
    try:
        given = load(text)
    except InvalidError as error:
        raise InvalidError.of("X-Untrace-Metadata", str(error).replace("the body", "it")) from None
    return found | dict(check(AttachedMetadata, {"X-Untrace-Metadata": given}).metadata)
