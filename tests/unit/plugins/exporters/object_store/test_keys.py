"""Keys: the same for the same data, whoever asks and when; and no others."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest

from tests.support.spans import SpanOf, spans_batch
from untrace_pipeline.data import EMPTY_CONTEXT, Batch, Context, Signal
from untrace_pipeline.delivery import Entry, Request
from untrace_pipeline.testing import make_batch
from untrace_plugins.exporters.object_store.config import ObjectStoreConfig
from untrace_plugins.exporters.object_store.keys import Keys, arrival, clean

NOON = 1_764_417_600.25  # 2025-11-29 12:00:00.250 UTC
NAME = r"traces_([0-9a-f-]{36})\.json"


def keys(**options: Any) -> Keys:
    return Keys(ObjectStoreConfig.model_validate({"url": "file:///a"} | options))


def request_of(*batches: Batch) -> Request:
    entries = [Entry(batch, batch.item_count, 0.0) for batch in batches]
    merged = Batch.merge([batch.copy() for batch in batches])
    return Request(merged, merged.item_count, entries)


def at(time: float, seed: int = 1) -> Batch:
    return make_batch(items=3, seed=seed).with_context(Context(received_at=time))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "year=2025/month=11/day=29/hour=12/minute=00/NAME"),
        ({"base_prefix": "/team/a/", "prefix": "llm"}, "team/a/llm/year=2025/month=11/day=29/hour=12/minute=00/NAME"),
        ({"partition_format": "{signal}/%Y%m%d", "file_prefix": "eu-"}, "traces/20251129/eu-NAME"),
        ({"partition_format": ""}, "NAME"),
    ],
)
def test_layout(options: dict[str, Any], expected: str) -> None:
    """A key is made of the prefixes, the time of arrival, the signal and an id; empty parts vanish."""
    key = keys(**options).key(request_of(at(NOON)), options.get("prefix", ""), ".json")
    assert re.fullmatch(re.escape(expected).replace("NAME", NAME), key)


def test_id_is_a_uuid_of_the_time() -> None:
    """The id is a UUID of version 7: its first half is when the data arrived."""
    key = keys().key(request_of(at(NOON)), "", ".json")
    found = uuid.UUID(re.findall(NAME, key)[0])
    assert found.version == 7
    assert found.variant == uuid.RFC_4122
    assert found.int >> 80 == int(NOON * 1000)


def test_same_for_the_same() -> None:
    """Another attempt, of another process, has the same key; other data, place or time has another."""
    key = keys().key(request_of(at(NOON), at(NOON + 9, 2)), "", ".json")
    assert key == keys().key(request_of(at(NOON), at(NOON + 9, 2)), "", ".json")
    others = [
        keys().key(request_of(at(NOON), at(NOON + 9, 3)), "", ".json"),
        keys().key(request_of(at(NOON), at(NOON + 9, 2)), "x", ".json"),
        keys().key(request_of(at(NOON + 0.01), at(NOON + 9, 2)), "", ".json"),
        keys().key(request_of(at(NOON)), "", ".json"),
    ]
    assert len({key.rpartition("/")[2] for key in [key, *others]}) == 5


def test_key_of_a_queue_on_disk() -> None:
    """Where the queue has a key for a request, that decides, whatever it holds."""
    one, two = request_of(at(NOON)), request_of(at(NOON, 2))
    for request in (one, two):
        request.entries[0].key = "shelf-1"
    assert keys().key(one, "", "") == keys().key(two, "", "")


def test_arrival() -> None:
    """The oldest arrival counts; without one, the time of the first item: never the time of asking."""
    assert arrival(request_of(at(NOON + 5), at(NOON, 2))) == NOON
    assert arrival(request_of(at(NOON).with_context(EMPTY_CONTEXT), at(NOON, 2))) == NOON
    assert arrival(Request(at(NOON), 3)) == NOON
    assert arrival(request_of(spans_batch([SpanOf(1), SpanOf(1)]))) == 1_760_000_000.0
    for signal in Signal:
        assert arrival(request_of(make_batch(signal).with_context(EMPTY_CONTEXT))) > 1_700_000_000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("chat", "chat"),
        ("../etc/", "etc"),
        ("..", ""),
        ("a/b\\c", "a/b_c"),
        ("ü x", "ü_x"),
        ("", ""),
        ("a\n\x00b", "a_b"),
        ("é" * 300, "é" * 60),
        ("a" * 150 + "/" + "b" * 300, "a" * 60 + "/" + "b" * 49),
    ],
)
def test_values_in_keys(value: str, expected: str) -> None:
    """A value may be a path, but none that leads elsewhere."""
    assert clean(value) == expected


def test_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock may be the local one, or that of a place."""
    assert keys(partition_timezone="Asia/Tokyo", partition_format="%H").key(request_of(at(NOON)), "", "")[:3] == "21/"
    import time  # noqa: PLC0415

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert keys(partition_timezone="local", partition_format="%H").key(request_of(at(NOON)), "", "")[:3] == "21/"
    finally:
        monkeypatch.undo()
        time.tzset()
