"""The exporter ``loki_push``."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any

from untrace_pipeline.api import ProbeResult, Secret, Settings
from untrace_pipeline.data import Batch
from untrace_pipeline.delivery import DELIVERED, Outcome, Request
from untrace_pipeline.errors import Code, ConsumeError, OversizeError, PermanentError, RetryableError
from untrace_pipeline.net.compression import Compression
from untrace_pipeline.net.http_answer import Answer, Statuses, refusal
from untrace_pipeline.net.http_client import HttpClient, host_of
from untrace_pipeline.net.probing import ask
from untrace_plugins.exporters._http import HttpExporter
from untrace_plugins.exporters.loki_push.config import Encoding, LokiPushConfig
from untrace_plugins.exporters.loki_push.encoding import encode_json, encode_protobuf
from untrace_plugins.exporters.loki_push.entries import Entries, Entry

__all__ = ["LokiPushExporter"]

TENANT = "X-Scope-OrgID"
_OK, _BAD_REQUEST = range(200, 300), 400
_STATUSES = Statuses(retry=frozenset({429, *range(500, 600)}))
_SEVERAL = re.compile(r"(\d+) errors like: ")
_IGNORED = re.compile(r"total ignored: (\d+) out of")
_OF_STREAMS = re.compile(r"label name|label value|required labels|label pair|parsing labels")
_REASONS = {
    "too old": "too old",
    "too far behind": "out of order",
    "out of order": "out of order",
    "too new": "too far in the future",
    "max entry size": "line too long",
    "structured metadata": "structured metadata not taken",
    "label": "labels not taken",
}
"""Words of Loki, and what they mean: its own texts quote labels and lines."""


class LokiPushExporter(HttpExporter):
    """Sends each request as one push, in order."""

    def __init__(self, config: LokiPushConfig, settings: Settings) -> None:
        self._config = config
        self._entries = Entries(config)
        tenant = {TENANT: Secret(config.tenant)} if config.tenant else {}
        update: dict[str, object] = {"headers": {**tenant, **config.headers}}
        if config.encoding is Encoding.PROTOBUF:
            from cramjam import snappy  # noqa: PLC0415  of an extra

            self._snappy: Any = snappy
            update["compression"] = Compression.NONE
        client = HttpClient(config.model_copy(update=update), settings.logger)
        super().__init__(config, settings, client)

    @property
    def destination(self) -> str:
        """Host and port."""
        return host_of(self._config.endpoint)

    async def send(self, request: Request) -> Outcome:
        """Make one push; lines that are too long are left for a push of their own, which is cut down."""
        # A handle of its own: what is decoded here must not stay in memory with the request.
        batch = Batch(request.batch.signal, request.batch.to_otlp(), request.batch.context)
        entries = await asyncio.to_thread(self._entries.of, batch)
        fits = [self._fits(entry) for entry in entries]
        if not any(fits):
            raise self._too_long()
        outcome = await self._push([entry for entry, taken in zip(entries, fits, strict=True) if taken])
        if all(fits):
            return outcome
        rest = batch.select([not taken for taken in fits])
        cause = RetryableError(str(self._too_long()), retry_after=0.0, code=Code.RESOURCE_EXHAUSTED)
        return Outcome(outcome.rejected, outcome.message, rest, cause)

    async def probe(self) -> Sequence[ProbeResult]:
        """Push nothing, which Loki refuses without harm."""
        headers, body = self._encode([])
        return await ask(self._client.request("POST", self._config.url, body, headers), also={400, 422})

    async def _push(self, entries: Sequence[Entry]) -> Outcome:
        headers, body = await asyncio.to_thread(self._encode, entries)
        found = _Found(len(entries))
        await self._client.request("POST", self._config.url, body, headers, judge=found.judge)
        return found.outcome

    def _encode(self, entries: Sequence[Entry]) -> tuple[Mapping[str, str], bytes]:
        if self._config.encoding is Encoding.JSON:
            return {"Content-Type": "application/json"}, encode_json(entries)
        body = bytes(self._snappy.compress_raw(encode_protobuf(entries)))
        return {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}, body

    def _fits(self, entry: Entry) -> bool:
        longest = self._config.max_line_bytes
        return len(entry.line) * 4 <= longest or len(entry.line.encode()) <= longest

    def _too_long(self) -> OversizeError:
        return OversizeError(f"a line longer than max_line_bytes ({self._config.max_line_bytes})")


class _Found:
    """What an answer says of a push."""

    def __init__(self, items: int) -> None:
        self._items = items
        self.outcome = DELIVERED

    def judge(self, answer: Answer) -> ConsumeError | None:
        """Say which error the whole push ends with; a part that was refused is the outcome."""
        if answer.status in _OK:
            return None
        error = refusal(answer, _STATUSES)
        if answer.status != _BAD_REQUEST:
            return error
        said = answer.body.decode(errors="replace")
        message = f"HTTP {answer.status}: {_reason(said)}"
        rejected = _rejected(said)
        if not 0 < rejected < self._items:
            refused = PermanentError(message, code=Code.INVALID_ARGUMENT)
            refused.detail = error.detail
            return refused
        self.outcome = Outcome(rejected, message)
        return None


def _rejected(said: str) -> int:
    """Return how many lines Loki did not take: it takes the others of the same push.

    0 where it does not say: of labels it says which streams it did not take, not how many lines they have.
    """
    if _OF_STREAMS.search(said):
        return 0
    if ignored := _IGNORED.findall(said):
        return sum(map(int, ignored))
    if several := _SEVERAL.findall(said):
        return sum(map(int, several))
    return 1 if said.startswith(("entry for stream", "max entry size", "stream '")) else 0


def _reason(said: str) -> str:
    return next((meaning for words, meaning in _REASONS.items() if words in said), "not taken")
