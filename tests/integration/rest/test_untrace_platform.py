"""The destination ``untrace`` against the receiver ``untrace``: the same API from both sides."""

from __future__ import annotations

import pytest

from tests.support.exporters import running
from tests.support.receivers import receiving
from untrace_pipeline.api import Kind
from untrace_pipeline.data import ATTRIBUTES, Field, Level, Signal, attribute
from untrace_pipeline.registry import Registry
from untrace_pipeline.testing import make_batch
from untrace_plugins.receivers.untrace import FACTORY as RECEIVER

SPAN_ID = Field(Level.ITEM, "span_id")


@pytest.mark.parametrize(("key", "delivered"), [("tr_live_1", 5), ("wrong", 0)])
async def test_destination_and_receiver_agree(key: str, delivered: int) -> None:
    """What the destination sends, the receiver takes, with its key; with a wrong one it is given up."""
    batch = make_batch(items=5)
    options = {"endpoint": "127.0.0.1:0", "keys": [{"key": "tr_live_1", "tenant": "acme"}]}
    async with receiving(RECEIVER, options, signals=[Signal.TRACES]) as here:
        target = {"endpoint": f"http://{here.receiver.endpoint}", "api_key": key}
        factory = Registry().load(Kind.EXPORTER, "untrace")
        async with running(factory, target, signals=[Signal.TRACES]) as exporter:  # type: ignore[arg-type]
            await exporter.consume(batch)
            await exporter.until_idle()
            assert exporter.dropped == ({} if delivered else {"permanent": 5})
        assert sorted(here.sink.column(SPAN_ID)) == sorted(batch.column(SPAN_ID))[:delivered]
        models = [one["llm.model"] for one in here.sink.column(Field(Level.ITEM, ATTRIBUTES))]
        assert sorted(models) == sorted(batch.column(attribute("gen_ai.request.model")))[:delivered]
        assert {one.context.tenant for one in here.sink.batches} <= {"acme"}
