"""Queues that no component of the configuration has: shown in the ledger, and told of."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from tests.support.journals import append_all, record
from untrace_pipeline.api import Kind
from untrace_pipeline.testing import RecordingMeter, StubHost, make_settings
from untrace_plugins.extensions.file_storage import FACTORY, journals


async def started(directory: Path, meter: RecordingMeter) -> tuple[Any, StubHost]:
    settings = make_settings(Kind.EXTENSION, "file_storage", meter=meter)
    storage = FACTORY.create(FACTORY.config.model_validate({"directory": str(directory)}), settings)
    host = StubHost()
    await storage.start(host)
    return storage, host


async def test_what_a_reload_takes_away_stays_in_the_ledger(tmp_path: Path) -> None:
    """Items of a closed queue are pending items of its exporter, until somebody opens it again."""
    meter = RecordingMeter()
    storage, _ = await started(tmp_path, meter)
    journal = await storage.open_journal("exporters/otlp/b")
    await append_all(journal, [record(0, items=3), record(1, items=4)])
    assert meter.value("exporter_pending_items") == 0
    await journal.close()
    assert meter.value("exporter_pending_items", exporter="otlp/b", state="queued") == 7
    again = await storage.open_journal("exporters/otlp/b")
    assert meter.value("exporter_pending_items") == 0
    assert again.held.items == 7
    await storage.shutdown()


async def test_what_a_processor_holds_stays_in_the_ledger(tmp_path: Path) -> None:
    """All of its pipelines together, until they have it again."""
    meter = RecordingMeter()
    storage, _ = await started(tmp_path, meter)
    names = [f"processors/tail_sampling/x@{pipeline}" for pipeline in ("traces", "traces/b", "traces/b/decisions")]
    for number, name in enumerate(names):
        journal = await storage.open_journal(name)
        await append_all(journal, [record(number, items=(3, 4, 0)[number])])
        await journal.close()
    assert meter.value("processor_pending_items", processor="tail_sampling/x") == 7
    await storage.open_journal(names[1])
    assert meter.value("processor_pending_items", processor="tail_sampling/x") == 3
    await storage.shutdown()


async def test_a_queue_that_nobody_wants_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After a start or a reload the log names the folder; queues in use, and empty ones, are not told of."""
    storage, _ = await started(tmp_path, RecordingMeter())
    for name in ("exporters/gone", "exporters/here"):
        journal = await storage.open_journal(name)
        await append_all(journal, [record(0)])
        await journal.close()
    await storage.shutdown()
    storage, host = await started(tmp_path, RecordingMeter())
    await storage.open_journal("exporters/here")
    monkeypatch.setattr(journals, "CLAIM_SECONDS", 0.0)
    with caplog.at_level(logging.WARNING):
        empty = await storage.open_journal("exporters/empty")
        await empty.close()  # as a reload does
        await asyncio.wait(host.tasks)
    told = [r.getMessage() for r in caplog.records if "belongs to no component" in r.getMessage()]
    assert len(told) == 1
    assert str(tmp_path / "queues" / "exporters+gone") in told[0]
    await storage.shutdown()
    assert all(task.done() for task in host.tasks)
