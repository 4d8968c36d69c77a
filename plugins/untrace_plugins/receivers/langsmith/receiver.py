"""The ``langsmith`` receiver: LangSmith's API for writing, in front of a shelf of runs."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from untrace_pipeline.api import ConsumeError, Host, Intake, Settings
from untrace_pipeline.data import Batch, Context, Signal
from untrace_pipeline.data.compose import NewLog, Scope
from untrace_pipeline.net.endpoint import Endpoint
from untrace_pipeline.net.http_message import HttpError, Request, Response
from untrace_pipeline.net.http_server import Routes
from untrace_pipeline.net.refusal import http_refusal
from untrace_plugins.genai.values import dump
from untrace_plugins.receivers.langsmith.config import LangsmithReceiverConfig
from untrace_plugins.receivers.langsmith.multipart import MultipartError, boundary_of, read_multipart
from untrace_plugins.receivers.langsmith.operations import PATCH, POST, Operations
from untrace_plugins.receivers.langsmith.spans import Runs
from untrace_plugins.runs.evaluations import compose_evaluations, evaluation
from untrace_plugins.runs.front import Front, answer
from untrace_plugins.runs.ids import read_uuid, span_id_of, trace_id_of
from untrace_plugins.runs.keys import Headers, Keys
from untrace_plugins.runs.shelf import Shelf
from untrace_plugins.runs.times import nanoseconds

__all__ = ["LangsmithReceiver"]

PREFIXES = ("", "/api/v1")
"""The service has its API at the root, a server of one's own under the second."""
BATCH_BYTES, BATCH_RUNS = 20 * 1024 * 1024, 100
"""What LangSmith itself asks for."""
_CREDENTIALS = frozenset({"x-api-key", "authorization", "cookie", "x-service-key"})


class LangsmithReceiver:
    """Listens as LangSmith does."""

    def __init__(self, config: LangsmithReceiverConfig, settings: Settings, next: Intake) -> None:
        self._config = config
        self._signals = settings.signals
        self._next = next
        self._shelf = Shelf(config.hold, settings, next, Runs(config.hold.max_wait, config.reorder_wait))
        known = [(one.key.reveal(), one.tenant) for one in config.keys]
        keys = Keys(known, _given, 'Bearer realm="langsmith"', "no API key: send it as x-api-key")
        self._front = Front(
            config,
            settings,
            next,
            self._shelf,
            keys=keys,
            hidden=_CREDENTIALS,
            complaint=lambda error: {"detail": str(error)},
        )
        self._discarded = settings.meter.counter("receiver_langsmith_discarded_attachments")
        self._invalid = settings.meter.counter("receiver_langsmith_invalid_parts")

    # -------------------------------------------------------------- lifecycle

    async def start(self, host: Host) -> None:
        """Listen. Raises :class:`StartError`."""
        await self._front.start(host, self._routes())

    def _routes(self) -> Routes:
        routes: Routes = {
            "/info": {"GET": self._info},
            "/runs": {"POST": self._run},
            "/runs/batch": {"POST": self._batch},
            "/runs/multipart": {"POST": self._multipart},
            "/runs/*": {"PATCH": self._change},
            "/feedback": {"POST": self._feedback},
            "/otel/v1/traces": {"POST": self._front.otlp},
        }
        return {prefix + path: methods for path, methods in routes.items() for prefix in PREFIXES}

    @property
    def endpoint(self) -> Endpoint:
        """Where it listens."""
        return self._front.endpoint

    async def shutdown(self) -> None:
        """Take no more requests, hand on the runs that are held as they are."""
        await self._front.shutdown()

    # --------------------------------------------------------------- requests

    async def _info(self, _request: Request) -> Response:
        """Tell SDKs what to send: batches end with the run that makes them larger than the size, so that is half."""
        limit = min(BATCH_BYTES, self._config.max_body_bytes // 2)
        return answer(
            {
                "version": "",  # of LangSmith's server, which this is not
                "instance_flags": {"zstd_compression_enabled": "zstd" in self._config.compression_algorithms},
                "batch_ingest_config": {
                    "use_multipart_endpoint": True,
                    "size_limit": BATCH_RUNS,
                    "size_limit_bytes": limit,
                    "scale_up_qsize_trigger": 1000,
                    "scale_up_nthreads_limit": 16,
                    "scale_down_nempty_trigger": 4,
                },
            }
        )

    async def _multipart(self, request: Request) -> Response:
        try:
            boundary = boundary_of(request.header("content-type"))
        except MultipartError as error:
            raise HttpError(HTTPStatus.BAD_REQUEST, str(error)) from error
        context, body = await self._front.open(request)
        found = self._operations(context)
        try:
            found.read_form(read_multipart(body, boundary))
        except MultipartError as error:
            raise HttpError(HTTPStatus.BAD_REQUEST, str(error)) from error
        return await self._take(found, context)

    async def _batch(self, request: Request) -> Response:
        context, body = await self._front.open_json(request)
        found = self._operations(context)
        found.read_batch(body)
        return await self._take(found, context)

    async def _run(self, request: Request) -> Response:
        context, body = await self._front.open_json(request)
        found = self._operations(context)
        found.read_run(POST, "body", body)
        return await self._take(found, context)

    async def _change(self, request: Request) -> Response:
        context, body = await self._front.open_json(request)
        found = self._operations(context)
        found.read_run(PATCH, "body", body, id=request.path.rpartition("/")[2])
        return await self._take(found, context)

    async def _feedback(self, request: Request) -> Response:
        context, body = await self._front.open_json(request)
        found = self._operations(context)
        found.add_feedback("body", body)
        return await self._take(found, context)

    def _operations(self, context: Context) -> Operations:
        return Operations(context.tenant or "", self._config.max_attachment_size)

    async def _take(self, found: Operations, context: Context) -> Response:
        """Accept what makes sense, and say what does not."""
        if found.parts and Signal.TRACES not in self._signals:
            raise HttpError(HTTPStatus.NOT_FOUND, f"no traces pipeline names {self._front.name}")
        if found.feedback and Signal.LOGS not in self._signals:
            found.problems.append(f"feedback: it becomes log records, and no logs pipeline names {self._front.name}")
            found.feedback.clear()
        try:
            if found.parts:
                await self._shelf.take(found.parts, context)
            if found.feedback:
                logs = compose_evaluations(Scope("langsmith"), map(_evaluation, found.feedback))
                await self._next.consume(Batch(Signal.LOGS, logs, context))
        except ConsumeError as error:
            raise http_refusal(error) from error
        self._discarded.add(found.discarded)
        self._invalid.add(len(found.problems))
        if found.problems:
            raise HttpError(HTTPStatus.UNPROCESSABLE_ENTITY, found.complaint)
        return answer({}, HTTPStatus.ACCEPTED)


def _given(headers: Headers) -> str:
    if found := headers.get("x-api-key"):
        return found[0]
    scheme, _, token = headers.get("authorization", ("",))[0].partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _evaluation(given: Mapping[str, Any]) -> NewLog:
    """Return feedback as an evaluation of the span of its run."""
    value, score = given.get("value"), given.get("score")
    trace, run = given.get("trace_id"), given.get("run_id")
    known = ("key", "score", "comment", "run_id", "trace_id", "created_at")
    rest = {
        f"langsmith.feedback.{name}": one if isinstance(one, (str, int, float, bool)) else dump(one)
        for name, one in given.items()
        if name not in known and one is not None
    }
    comment = given.get("comment")
    return evaluation(
        given["key"],
        score if score is not None else value,
        explanation=comment if isinstance(comment, str) else None,
        when=nanoseconds(given.get("created_at")),
        trace_id=trace_id_of(str(trace)) if read_uuid(trace) is not None else b"",
        span_id=span_id_of(str(run)) if read_uuid(run) is not None else b"",
        attributes=rest,
    )
