"""From one daemon to another by webhooks: what the exporter sends, the receiver takes."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.support.exporters import running
from tests.support.receivers import receiving
from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Signal
from untrace_pipeline.testing import make_batch
from untrace_plugins.exporters.webhook import FACTORY as EXPORTER
from untrace_plugins.receivers.webhook import FACTORY as RECEIVER

OLD, NEW = ("whsec_" + base64.b64encode(bytes([one]) * 32).decode() for one in (1, 2))
FIELDS = [
    Field(Level.ITEM, name)
    for name in ("trace_id", "span_id", "parent_span_id", "name", "start_time_unix_nano", "end_time_unix_nano")
]


def facts(batches: list[Batch]) -> list[tuple[Any, ...]]:
    """Return what tells spans apart, in their order of ids."""
    rows = [row for batch in batches for row in zip(*batch.columns(FIELDS, Level.ITEM), strict=True)]
    return sorted(rows, key=lambda row: row[1])


@pytest.mark.parametrize("one_per_item", [True, False])
async def test_spans_arrive(one_per_item: bool) -> None:
    """Spans arrive with their ids, names, times and attributes, while both sides exchange their secret."""
    batch = make_batch(items=5)
    source = {"preset": "core_trace", "secrets": [NEW]}
    options = {"endpoint": "127.0.0.1:0", "sources": {"a": source}}
    async with receiving(RECEIVER, options, signals=[Signal.TRACES]) as here:
        target = {
            "endpoint": f"http://{here.receiver.endpoint}/webhooks/a",
            "allow_private": True,
            "secrets": [OLD, NEW],
            "one_per_item": one_per_item,
        }
        async with running(EXPORTER, target, signals=[Signal.TRACES]) as exporter:
            await exporter.consume(batch)
            await exporter.until_idle()
            assert exporter.dropped == {}
    for arrived, sent in zip(facts(here.sink.batches), facts([batch]), strict=True):
        assert arrived[:4] == sent[:4]
        assert arrived[4:] == pytest.approx(sent[4:], abs=1000, rel=0)  # a core trace has times in milliseconds
    models = [one["gen_ai.request.model"] for one in here.sink.column(Field(Level.ITEM, ATTRIBUTES))]
    assert sorted(models) == sorted(one["gen_ai.request.model"] for one in batch.column(Field(Level.ITEM, ATTRIBUTES)))
