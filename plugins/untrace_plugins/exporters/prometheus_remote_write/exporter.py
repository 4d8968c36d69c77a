"""The exporter ``prometheus_remote_write``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from cramjam import snappy

from untrace_pipeline.api import ProbeResult, Settings
from untrace_pipeline.data import Batch
from untrace_pipeline.delivery import Outcome, Refused, Request
from untrace_pipeline.errors import Code, ConsumeError, PermanentError
from untrace_pipeline.net.http_answer import Answer, Statuses, refusal
from untrace_pipeline.net.http_client import HttpClient, host_of
from untrace_pipeline.net.probing import ask
from untrace_plugins.exporters._http import HttpExporter
from untrace_plugins.exporters.prometheus_remote_write.config import ProtobufMessage, RemoteWriteConfig
from untrace_plugins.exporters.prometheus_remote_write.encoding import encode_v1, encode_v2
from untrace_plugins.exporters.prometheus_remote_write.series import Writing
from untrace_plugins.exporters.prometheus_remote_write.translate import Translator

__all__ = ["RemoteWriteExporter"]

VERSIONS = {ProtobufMessage.V1: "0.1.0", ProtobufMessage.V2: "2.0.0"}
WRITTEN = "X-Prometheus-Remote-Write-Samples-Written", "X-Prometheus-Remote-Write-Histograms-Written"
_OK, _UNSUPPORTED = range(200, 300), 415
_STATUSES = Statuses(retry=frozenset({429, *range(500, 600)}))
"""5xx may be repeated, 4xx never, and 429 by agreement (Remote-Write 2.0, "Retries & Backoff")."""


class RemoteWriteExporter(HttpExporter):
    """Sends each request as one write, in order."""

    def __init__(self, config: RemoteWriteConfig, settings: Settings) -> None:
        self._config = config
        self._logger = settings.logger
        self._translator = Translator(config)
        self._message = config.protobuf_message
        super().__init__(config, settings, HttpClient(config, settings.logger))

    @property
    def destination(self) -> str:
        """Host and port."""
        return host_of(self._config.endpoint)

    async def send(self, request: Request) -> Outcome:
        """Make one write; what Prometheus has no form for is refused, and does not hold up the rest."""
        # A handle of its own: what is decoded here must not stay in memory with the request.
        batch = Batch(request.batch.signal, request.batch.to_otlp(), request.batch.context)
        writing = await asyncio.to_thread(self._translator.translate, batch)
        if writing.series:
            await self._write(writing)
        return _outcome(batch, writing.refused)

    async def probe(self) -> Sequence[ProbeResult]:
        """Write nothing."""
        body = bytes(snappy.compress_raw(b""))
        return await ask(self._client.request("POST", self._config.endpoint, body, _headers(ProtobufMessage.V1)))

    async def _write(self, writing: Writing) -> None:
        if self._message is ProtobufMessage.V2:
            answer = await self._post(writing, ProtobufMessage.V2)
            if not _takes_no_v2(answer):
                return
            self._message = ProtobufMessage.V1
            self._logger.warning("%s does not take Remote-Write 2.0, it gets 1.0 from now on", self.destination)
        await self._post(writing, ProtobufMessage.V1)

    async def _post(self, writing: Writing, message: ProtobufMessage) -> Answer:
        body = await asyncio.to_thread(self._body, writing, message)
        judge = _judge_v2 if message is ProtobufMessage.V2 else _judge
        return await self._client.request("POST", self._config.endpoint, body, _headers(message), judge=judge)

    def _body(self, writing: Writing, message: ProtobufMessage) -> bytes:
        if message is ProtobufMessage.V2:
            plain = encode_v2(writing)
        else:
            plain = encode_v1(writing, metadata=self._config.send_metadata)
        return bytes(snappy.compress_raw(plain))


def _headers(message: ProtobufMessage) -> Mapping[str, str]:
    proto = f";proto={message.value}" if message is ProtobufMessage.V2 else ""
    return {
        "Content-Type": f"application/x-protobuf{proto}",
        "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Write-Version": VERSIONS[message],
    }


def _judge(answer: Answer) -> ConsumeError | None:
    return None if answer.status in _OK else refusal(answer, _STATUSES)


def _judge_v2(answer: Answer) -> ConsumeError | None:
    return None if answer.status == _UNSUPPORTED else _judge(answer)


def _takes_no_v2(answer: Answer) -> bool:
    """Return whether the other side speaks 1.0 only: it says so, or says success without what was written."""
    return answer.status == _UNSUPPORTED or not any(name in answer.headers for name in WRITTEN)


def _outcome(batch: Batch, refused: Mapping[int, str]) -> Outcome:
    if not refused:
        return Outcome()
    parts = batch.partition([refused.get(item) for item in range(batch.item_count)])
    return Outcome(refused=[Refused(part, _no_form(str(reason))) for reason, part in parts.items()])


def _no_form(reason: str) -> PermanentError:
    return PermanentError(f"no form in Prometheus: {reason}", code=Code.INVALID_ARGUMENT)
