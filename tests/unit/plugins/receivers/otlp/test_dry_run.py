"""The answer to a dry run."""

from __future__ import annotations

import json

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from untrace_pipeline.api import Code, Consumer
from untrace_pipeline.data import Batch, Context, Signal
from untrace_pipeline.testing import make_batch
from untrace_plugins.receivers.otlp.http_transport import respond
from untrace_plugins.receivers.otlp.service import MOST_REMARKS, OK, Encoding, OtlpService
from untrace_plugins.receivers.otlp.status import success_bytes


class Remarking:
    """Stands for pipelines that remark something."""

    def __init__(self, *remarks: str) -> None:
        self._remarks = remarks

    def admit(self, byte_size: int) -> None:
        """Admit everything."""

    async def consume(self, batch: Batch) -> None:
        batch.context.remarks.extend(self._remarks)


def asked() -> Batch:
    """Return a request with a context of its own."""
    return make_batch(context=Context(metadata={"x-untrace-dry-run": ("1",)}))


def service(next: Consumer) -> OtlpService:
    """Return the receiver's service."""
    return OtlpService("otlp", [Signal.TRACES], next, None)  # type: ignore[arg-type]


async def test_remarks_become_a_warning() -> None:
    """What was found out stands in partial_success, which rejects nothing; the request succeeded."""
    answer = await service(Remarking("rule a → b", "exporter x: 1 spans")).take(asked())
    assert answer.code is Code.OK
    assert answer.message == "dry run, nothing was sent: rule a → b; exporter x: 1 spans"
    told = ExportTraceServiceResponse.FromString(success_bytes(answer))
    assert told.partial_success.error_message == answer.message
    assert told.partial_success.rejected_spans == 0
    response = respond(answer, Encoding.JSON)
    assert response.status == 200
    assert json.loads(response.body) == {"partialSuccess": {"errorMessage": answer.message}}


async def test_many_remarks_are_cut() -> None:
    """An answer stays short, whatever the request was."""
    answer = await service(Remarking(*["x"] * (MOST_REMARKS + 7))).take(asked())
    assert answer.message.endswith("; and 7 more")


@pytest.mark.parametrize("context", [Context(), Context(metadata={"x-untrace-dry-run": ("false",)})])
async def test_without_remarks_the_answer_is_the_usual_one(context: Context) -> None:
    """Whoever did not ask is told nothing."""
    batch = Batch(Signal.TRACES, make_batch().to_otlp(), context)
    assert await service(Remarking()).take(batch) is OK
