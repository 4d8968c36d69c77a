"""What is decided is let go of, whatever else still waits."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import Any

import pytest

from tests.support.spans import SpanOf, spans_batch
from untrace_pipeline.api import Kind
from untrace_pipeline.testing import Sink, StubHost, make_settings
from untrace_plugins.extensions.file_storage.config import FileStorageConfig
from untrace_plugins.extensions.file_storage.extension import FileStorage
from untrace_plugins.processors.tail_sampling import FACTORY
from untrace_plugins.sampling.trace import Fragment, Trace

NONE = [{"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}}]


class Forgetful(Sink):
    """Accepts everything and keeps nothing."""

    async def consume(self, batch: Any) -> None:
        """Take it."""


def alive(kind: type) -> list[Any]:
    gc.collect()
    return [one for one in gc.get_objects() if type(one) is kind]


@pytest.mark.parametrize("on_disk", [False, True])
async def test_decided_traces_are_let_go_of(tmp_path: Path, *, on_disk: bool) -> None:
    """While the oldest trace waits for hours, thousands come and go: neither their spans nor their names stay."""
    before = len(alive(Trace)), len(alive(Fragment))
    settings = make_settings(Kind.EXTENSION, "file_storage", signals=())
    options = {"directory": str(tmp_path), "create_directory": True, "fsync": False}
    storage = FileStorage(FileStorageConfig.model_validate(options), settings)
    host = StubHost({"file_storage": storage})
    await storage.start(host)
    config = FACTORY.config.model_validate(
        {
            "policies": NONE,
            "decide_on": "root_end",
            "idle_time": "1h",
            "decision_wait_after_root_received": "10ms",
            "storage": "file_storage" if on_disk else None,
        }
    )
    processor: Any = FACTORY.create(config, make_settings(Kind.PROCESSOR, "tail_sampling"), Forgetful())
    await processor.start(host)
    await processor.consume(spans_batch([SpanOf(0)]))
    for begin in range(1, 4001, 200):
        traces = range(begin, begin + 200)
        await processor.consume(spans_batch([SpanOf(trace, root=True, error=trace % 2 == 0) for trace in traces]))
    async with asyncio.timeout(20):
        while processor.pending_items() > 1:
            await asyncio.sleep(0.01)
    assert len(alive(Trace)) - before[0] < 50
    left = alive(Fragment)
    assert len(left) - before[1] < 1100
    assert sum(len(fragment.payload) > 0 for fragment in left) <= 50 or not on_disk
    await processor.shutdown()
    await storage.shutdown()
