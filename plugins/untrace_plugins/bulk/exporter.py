"""The exporter behind ``elasticsearch`` and ``opensearch``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import quote

import orjson

from untrace_pipeline.api import ProbeResult, Secret, Settings
from untrace_pipeline.data import Batch
from untrace_pipeline.delivery import Outcome, Request
from untrace_pipeline.errors import Code, ConsumeError, PermanentError, RetryableError
from untrace_pipeline.net.client import one_line
from untrace_pipeline.net.compression import Compression, compressor
from untrace_pipeline.net.http_answer import Answer, Judge, Statuses, refusal
from untrace_pipeline.net.http_client import HttpClient, host_of
from untrace_pipeline.net.nodes import Nodes
from untrace_pipeline.net.probing import ask
from untrace_plugins.bulk.config import BulkConfig
from untrace_plugins.bulk.documents import Documents, to_json
from untrace_plugins.bulk.encoding import Chunk, chunks
from untrace_plugins.bulk.tally import Tally
from untrace_plugins.bulk.template import templates
from untrace_plugins.exporters._http import HttpExporter

__all__ = ["BulkExporter", "Dialect", "Sign"]

NDJSON, JSON = "application/x-ndjson", "application/json"
TOLD = "errors,items.*.status,items.*.error"
"""Parts of an answer that are read; the rest need not be sent."""
_OK = range(200, 300)
STATUSES = Statuses(retry=frozenset({429, *range(500, 600)}))

Sign = Callable[[str, str, Mapping[str, str], bytes], Awaitable[Mapping[str, str]]]


@dataclass(frozen=True, slots=True)
class Dialect:
    """What one of the servers has that the other has not."""

    whole_object: Mapping[str, Any]
    """Its type of an object in one field."""
    time_series: bool
    """Whether metrics may go to data streams of time series, which have templates for fields and make their ids."""
    credentials: Mapping[str, Secret] = field(default_factory=dict)
    """Headers that prove who we are."""
    sign: Sign | None = None
    """Adds a signature to the headers of a request: method, URL, headers, body."""


def _judge(answer: Answer) -> ConsumeError | None:
    """Return the error of a whole request: by its type, because reasons may quote what was sent."""
    if answer.status in _OK:
        return None
    error = refusal(answer, STATUSES)
    try:
        kind = orjson.loads(answer.body)["error"]["type"]
    except (ValueError, LookupError, TypeError):
        pass
    else:
        error.args = (f"HTTP {answer.status}: {one_line(str(kind))}",)
    return error


class BulkExporter(HttpExporter):
    """Sends each request as bulk requests, and reads what became of each document."""

    def __init__(self, config: BulkConfig, settings: Settings, dialect: Dialect) -> None:
        self._config = config
        self._dialect = dialect
        time_series = dialect.time_series and not config.index_template.install
        self._documents = Documents(config, time_series=time_series)
        self._nodes = Nodes(config.nodes)
        self._compressor = compressor(config.compression, config.compression_params.level)
        self._path = f"/_bulk?filter_path={quote(TOLD, safe='')}"
        if config.pipeline:
            self._path += f"&pipeline={quote(config.pipeline, safe='')}"
        client = HttpClient(_without_compression(config, dialect.credentials), settings.logger)
        self._prepared = not config.index_template.install
        self._preparing = asyncio.Lock()
        super().__init__(config, settings, client)

    @property
    def destination(self) -> str:
        """Host and port of each node."""
        return ",".join([host_of(url) for url in self._config.nodes])

    async def send(self, request: Request) -> Outcome:
        """Make one attempt: as many bulk requests as the documents need."""
        await self._prepare()
        # A handle of its own: what is decoded here must not stay in memory with the request.
        batch = Batch(request.batch.signal, request.batch.to_otlp(), request.batch.context)
        pieces = await asyncio.to_thread(self._encode, batch)
        tally = Tally(batch)
        for place, piece in enumerate(pieces):
            try:
                tally.take(piece.documents, await self._bulk(piece.body))
            except ConsumeError as error:
                if not tally.answered:
                    raise
                cause = error if isinstance(error, RetryableError) else _at_once(error)
                for left in pieces[place:]:
                    tally.leave(left.documents, cause)
                break
        return tally.outcome()

    async def probe(self) -> Sequence[ProbeResult]:
        """Ask for the health of the cluster."""
        return await ask(self._ask_node("GET", "/_cluster/health", b"", {}, self._config.nodes[0], judge=None))

    def _encode(self, batch: Batch) -> Sequence[Chunk]:
        return list(chunks(self._documents.of(batch), self._config.max_bulk_bytes))

    async def _bulk(self, body: bytes) -> Answer:
        headers = {"Content-Type": NDJSON}
        if self._compressor is not None:
            body = await self._compressor.compress(body)
            headers["Content-Encoding"] = Compression.GZIP.value
        return await self._ask("POST", self._path, body, headers)

    async def _prepare(self) -> None:
        """Install the templates, before anything is sent. Raises where that fails, and is tried again then."""
        if self._prepared:
            return
        async with self._preparing:
            if self._prepared:
                return
            for name, template in templates(self._config, self._dialect.whole_object):
                body, headers = to_json(template), {"Content-Type": JSON}
                try:
                    await self._ask("PUT", f"/_index_template/{name}", body, headers)
                except PermanentError as error:
                    msg = f"index template {name} was refused: {one_line(error.detail or str(error))}"
                    raise RetryableError(msg, code=Code.FAILED_PRECONDITION) from error
            self._prepared = True

    async def _ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Return an answer that is a success; raises what any other one stands for."""
        return await self._nodes.ask(partial(self._ask_node, method, path, body, headers))

    async def _ask_node(
        self,
        method: str,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        node: str,
        *,
        judge: Judge | None = _judge,
    ) -> Answer:
        url = node + path
        if self._dialect.sign is not None:
            headers = await self._dialect.sign(method, url, headers, body)
        return await self._client.request(method, url, body, headers, judge=judge)


def _at_once(error: ConsumeError) -> RetryableError:
    """Return the error for what is sent again alone, where its own error will be judged."""
    return RetryableError(str(error), retry_after=0.0, code=error.code)


def _without_compression(config: BulkConfig, credentials: Mapping[str, Secret]) -> BulkConfig:
    """Return the options of the client: bodies are compressed before they are signed, so not by it."""
    return config.model_copy(
        update={
            "compression": Compression.NONE,
            "headers": {**credentials, **config.headers},
            "endpoint": config.nodes[0],
        }
    )
