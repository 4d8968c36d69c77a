"""Lookups: tables of each kind, and files that change."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from untrace_pipeline.api import Kind, StartError
from untrace_pipeline.data import Batch, Signal, Value, attribute
from untrace_pipeline.testing import Sink, StubHost, make_batch, make_settings
from untrace_plugins.processors.transform import FACTORY
from untrace_plugins.processors.transform.operations import LookupConfig
from untrace_plugins.processors.transform.table import Table

CSV = "id,name,cost center\n7,search,A1\n8,,B2\n"
JSON = '[{"id": 7, "name": "search", "level": 3}]'
YAML = "7: {name: search, level: 3}\nother: {name: x}\n"
TEAM = {"attributes.team": "name"}


def lookup(path: Path, **options: Any) -> dict[str, Any]:
    return {"lookup": {"key": "attributes.team.id", "file": str(path), "fields": TEAM, **options}}


async def run(operation: dict[str, Any], **attributes: Value) -> Batch:
    sink = Sink()
    config = FACTORY.config.model_validate({"operations": [operation]})
    processor = FACTORY.create(config, make_settings(Kind.PROCESSOR, "transform"), sink)
    await processor.start(StubHost())
    try:
        await processor.consume(make_batch(Signal.TRACES, 2, attributes=attributes))
    finally:
        await processor.shutdown()
    return Batch(Signal.TRACES, sink.batches[0].to_otlp())


@pytest.mark.parametrize(
    ("name", "text", "options", "key", "expected"),
    [
        ("t.csv", CSV, {}, "7", "search"),
        ("t.csv", CSV, {}, 7, "search"),
        ("t.csv", CSV, {}, "8", None),
        ("t.csv", CSV, {}, "9", None),
        ("t.csv", CSV, {}, ["7"], None),
        ("t.csv", CSV, {"fields": {"attributes.team": "cost center"}}, "8", "B2"),
        ("t.csv", CSV, {"key_column": "name"}, "search", "search"),
        ("t.json", JSON, {"fields": {"attributes.team": "level"}}, "7", 3),
        ("t.yaml", YAML, {}, "7", "search"),
        ("t.yml", JSON, {}, 7, "search"),
        ("t.csv", "", {}, "7", None),
    ],
)
async def test_tables(
    tmp_path: Path, name: str, text: str, options: dict[str, Any], key: Value, expected: Value
) -> None:
    """Keys are compared as text, whatever the file; what is not found or empty writes nothing."""
    (tmp_path / name).write_text(text)
    batch = await run(lookup(tmp_path / name, **options), **{"team.id": key})
    assert batch.column(attribute("team")) == [expected] * 2


async def test_overwriting(tmp_path: Path) -> None:
    """What is there already stays with ``overwrite: false``."""
    path = tmp_path / "t.csv"
    path.write_text(CSV)
    assert (await run(lookup(path), **{"team.id": 7, "team": "old"})).column(attribute("team"))[0] == "search"
    kept = await run(lookup(path, overwrite=False), **{"team.id": 7, "team": "old"})
    assert kept.column(attribute("team"))[0] == "old"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.csv", "id,x\n1,2\n", "no column name; there are: id, x"),
        ("t.csv", "no table at all\n", "no column name; there are: no table at all"),
        ("t.json", "{", "unexpected"),
        ("t.json", "7", "a list of objects"),
        ("t.yaml", "a: [", "expected"),
        ("t.json", '[{"id": 1, "name": "a"}, {"name": "b"}]', "no column 'id'"),
        ("t.csv", None, "No such file"),
    ],
)
async def test_broken_tables_do_not_start(tmp_path: Path, name: str, text: str | None, message: str) -> None:
    """A file that is missing or cannot be used is told at start."""
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(StartError, match="(?i)" + message):
        await run(lookup(tmp_path / name))


async def test_a_changed_file_is_read_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """New rows are used soon after; a file that is broken meanwhile leaves the old ones in use, and is told once."""
    path = tmp_path / "t.csv"
    path.write_text(CSV)
    options = LookupConfig(key="name", file=str(path), fields=TEAM, check_interval="1ms")  # type: ignore[arg-type]
    table = Table(options)
    table.load()
    settings = make_settings(Kind.PROCESSOR, "transform")
    task = asyncio.create_task(table.watch(settings.logger))
    path.write_text("id,other\n7,x\n")
    while "no column name" not in caplog.text:
        await asyncio.sleep(0.001)
    assert table.cell("name", "7") == "search"
    replacement = tmp_path / "new.csv"
    replacement.write_text("id,name\n7,found\n")
    os.replace(replacement, path)
    while table.cell("name", "7") != "found":
        await asyncio.sleep(0.001)
    assert caplog.text.count("no column name") == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
