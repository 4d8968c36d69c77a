"""The ``langfuse`` receiver: Langfuse's API for writing, in front of a shelf of traces."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections import OrderedDict
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
from untrace_plugins.genai import names
from untrace_plugins.genai.values import dump
from untrace_plugins.receivers.langfuse.config import LangfuseReceiverConfig
from untrace_plugins.receivers.langfuse.events import Events, Whereabouts
from untrace_plugins.receivers.langfuse.spans import Traces
from untrace_plugins.runs.evaluations import compose_evaluations, evaluation
from untrace_plugins.runs.front import Front, answer
from untrace_plugins.runs.ids import span_id_of, trace_id_of
from untrace_plugins.runs.keys import Headers, Keys
from untrace_plugins.runs.shelf import Shelf
from untrace_plugins.runs.times import nanoseconds

__all__ = ["LangfuseReceiver"]

API = "/api/public"
MEDIA_ID_LENGTH = 22
_CREDENTIALS = frozenset({"authorization", "cookie", "x-langfuse-public-key"})


class LangfuseReceiver:
    """Listens as Langfuse does."""

    def __init__(self, config: LangfuseReceiverConfig, settings: Settings, next: Intake) -> None:
        self._signals = settings.signals
        self._next = next
        self._remembered = config.hold.remembered
        traces = Traces(config.settle_wait, config.idle_wait, config.hold.max_wait)
        self._shelf = Shelf(config.hold, settings, next, traces)
        known = [(f"{one.public_key}:{one.secret_key.reveal()}", one.tenant) for one in config.keys]
        missing = "no keys: send public and secret key by Basic authentication"
        self._front = Front(
            config,
            settings,
            next,
            self._shelf,
            keys=Keys(known, _given, 'Basic realm="langfuse"', missing),
            hidden=_CREDENTIALS,
            complaint=lambda error: {"error": error.status.phrase, "message": str(error)},
        )
        self._whereabouts = Whereabouts()
        self._scored: OrderedDict[tuple[str, str], None] = OrderedDict()
        """Events with scores that were handed on."""
        self._discarded = settings.meter.counter("receiver_langfuse_discarded_media")
        self._invalid = settings.meter.counter("receiver_langfuse_invalid_events")

    # -------------------------------------------------------------- lifecycle

    async def start(self, host: Host) -> None:
        """Listen. Raises :class:`StartError`."""
        await self._front.start(host, self._routes())

    def _routes(self) -> Routes:
        return {
            f"{API}/health": {"GET": self._health},
            f"{API}/projects": {"GET": self._projects},
            f"{API}/ingestion": {"POST": self._ingest},
            f"{API}/scores": {"POST": self._scores},
            f"{API}/media": {"POST": self._media},
            f"{API}/media/*": {"PATCH": self._uploaded},
            f"{API}/otel/v1/traces": {"POST": self._front.otlp},
        }

    @property
    def endpoint(self) -> Endpoint:
        """Where it listens."""
        return self._front.endpoint

    async def shutdown(self) -> None:
        """Take no more requests, hand on the traces that are held as they are."""
        await self._front.shutdown()

    # --------------------------------------------------------------- requests

    async def _health(self, _request: Request) -> Response:
        return answer({"status": "OK", "version": ""})  # of Langfuse's server, which this is not

    async def _projects(self, request: Request) -> Response:
        """Say whose keys they are: how SDKs check that they are right."""
        project = (await self._front.sender(request)).tenant or "default"
        own = {"id": project, "name": project}
        return answer({"data": [{**own, "organization": own, "metadata": {}}]})

    async def _ingest(self, request: Request) -> Response:
        context, body = await self._front.open_json(request)
        batch = body.get("batch") if isinstance(body, dict) else None
        if not isinstance(batch, list):
            raise HttpError(HTTPStatus.BAD_REQUEST, 'batch: a list of events: {"batch": […]}')
        events = Events(context.tenant or "", self._whereabouts)
        for event in batch:
            events.read(event)
        await self._take(events, context)
        told = {
            "successes": [{"id": one, "status": HTTPStatus.CREATED} for one in events.taken],
            "errors": [
                {"id": one, "status": HTTPStatus.BAD_REQUEST, "message": "Invalid request data", "error": why}
                for one, why in events.refused
            ],
        }
        return answer(told, HTTPStatus.MULTI_STATUS)

    async def _scores(self, request: Request) -> Response:
        """Take one score, as older SDKs send it, or a list."""
        context, body = await self._front.open_json(request)
        events = Events(context.tenant or "", self._whereabouts)
        given = body if isinstance(body, list) else [body]
        for score in given:
            own = score.get("id") if isinstance(score, dict) else None
            events.read({"id": own or secrets.token_hex(8), "type": "score-create", "body": score})
        await self._take(events, context)
        if isinstance(body, list):
            return _accepted(events)
        if events.refused:
            raise HttpError(HTTPStatus.BAD_REQUEST, events.refused[0][1])
        return answer({"id": events.taken[0]})

    async def _media(self, request: Request) -> Response:
        """Answer as if the content was there already, so that the SDK does not send it."""
        _, body = await self._front.open_json(request)
        digest = body.get("sha256Hash") if isinstance(body, dict) else None
        if not isinstance(digest, str) or not digest:
            raise HttpError(HTTPStatus.BAD_REQUEST, "sha256Hash: the SHA-256 of the content in base64")
        self._discarded.add()
        media = digest.replace("+", "-").replace("/", "_")[:MEDIA_ID_LENGTH]
        return answer({"mediaId": media, "uploadUrl": None}, HTTPStatus.CREATED)

    async def _uploaded(self, request: Request) -> Response:
        await self._front.open_json(request)
        return answer({})

    async def _take(self, events: Events, context: Context) -> None:
        """Accept what makes sense."""
        for signal, wanted in ((Signal.TRACES, events.parts), (Signal.LOGS, events.scores)):
            if wanted and signal not in self._signals:
                self._decline(events, signal)
        new = {(context.tenant or "", one): score for one, score in events.scores}
        new = {key: score for key, score in new.items() if key not in self._scored}
        try:
            if events.parts:
                await self._shelf.take(events.parts, context)
            if new:
                logs = compose_evaluations(Scope("langfuse"), map(_log, new.values()))
                await self._next.consume(Batch(Signal.LOGS, logs, context))
        except ConsumeError as error:
            raise http_refusal(error) from error
        self._invalid.add(len(events.refused))
        self._scored |= dict.fromkeys(new)
        while len(self._scored) > self._remembered:
            self._scored.popitem(last=False)

    def _decline(self, events: Events, signal: Signal) -> None:
        """Refuse what no pipeline takes, event by event."""
        if signal is Signal.TRACES:
            ids = [part.mark for part in events.parts]
            events.parts.clear()
        else:
            ids = [one for one, _ in events.scores]
            events.scores.clear()
        what = "it becomes a span" if signal is Signal.TRACES else "it becomes a log record"
        events.refused += [(one, f"{what}, and no {signal} pipeline names {self._front.name}") for one in ids]
        gone = set(ids)
        events.taken = [one for one in events.taken if one not in gone]


def _accepted(events: Events) -> Response:
    """Return what is said of a list of scores."""
    if not events.refused:
        return answer({"message": "Accepted"}, HTTPStatus.ACCEPTED)
    errors = [{"message": why} for _, why in events.refused]
    counts = {"accepted": len(events.taken), "rejected": len(errors)}
    return answer({**counts, "errors": errors}, HTTPStatus.MULTI_STATUS)


def _given(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", ("",))[0].partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(token.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _log(given: Mapping[str, Any]) -> NewLog:
    """Return a score as an evaluation of its observation, or trace, or session; the SDK's own log as what it is."""
    if "name" not in given:
        return NewLog(0, dump(given.get("log")), {"event.domain": "langfuse"}, event_name="langfuse.sdk.log")
    trace, observation, session = (given.get(name) for name in ("traceId", "observationId", "sessionId"))
    known = ("name", "value", "comment", "traceId", "observationId", "sessionId", "timestamp")
    attributes = {
        f"langfuse.score.{name}": one if isinstance(one, (str, int, float)) else dump(one)
        for name, one in given.items()
        if name not in known and one is not None
    }
    if session:
        attributes[names.SESSION_ID] = str(session)
    value, comment = given["value"], given.get("comment")
    return evaluation(
        given["name"],
        bool(value) if given.get("dataType") == "BOOLEAN" and isinstance(value, (int, float)) else value,
        explanation=comment if isinstance(comment, str) else None,
        when=nanoseconds(given.get("timestamp")),
        trace_id=trace_id_of(str(trace)) if trace else b"",
        span_id=span_id_of(str(observation)) if observation else b"",
        attributes=attributes,
    )
