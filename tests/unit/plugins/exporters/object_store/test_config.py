"""Options of the exporter ``object_store``."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from untrace_pipeline.delivery import BatchSizer, QueueSizer
from untrace_plugins.exporters.object_store.config import ObjectStoreConfig


def config(**options: Any) -> ObjectStoreConfig:
    return ObjectStoreConfig.model_validate({"url": "file:///a"} | options)


def test_defaults() -> None:
    """Objects are few and large, and data waits for the store as long as it takes."""
    queue = config().sending_queue
    assert queue.batch is not None
    assert (queue.sizer, queue.batch_sizer) == (QueueSizer.BYTES, BatchSizer.BYTES)
    assert (queue.batch.min_size, queue.batch.flush_timeout) == (16 * 2**20, 30.0)
    assert config().retry_on_failure.max_elapsed_time == 0


def test_part_of_a_batch() -> None:
    """What is not written keeps our defaults."""
    queue = config(sending_queue={"storage": "file_storage", "batch": {"flush_timeout": "5m"}}).sending_queue
    assert queue.batch is not None
    assert (queue.batch.flush_timeout, queue.batch.min_size, queue.batch.sizer) == (300.0, 16 * 2**20, BatchSizer.BYTES)
    assert config(sending_queue={"batch": None}).sending_queue.batch is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"compression_level": 3}, "no compression_level without compression"),
        ({"compression": "gzip", "compression_level": 10}, "no compression_level above 9"),
        ({"compression": "snappy"}, "'none', 'gzip' or 'zstd'"),
        ({"partition_format": "{tenant}"}, "a format of strftime with {signal}"),
        ({"partition_format": "{"}, "a format of strftime with {signal}"),
        ({"partition_timezone": "Mars"}, "UTC, local or the name of a time zone"),
        ({"format": "csv"}, "'otlp_json', 'otlp_proto' or 'parquet'"),
    ],
)
def test_what_cannot_be_meant(options: dict[str, Any], message: str) -> None:
    """Each mistake has a message that says what would be right."""
    with pytest.raises(ValidationError) as raised:
        config(**options)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("options", "items", "size", "expected"),
    [
        ({}, 10**6, 16 * 2**20 - 1, False),
        ({}, 1, 16 * 2**20, True),
        ({"min_items": 100}, 99, 1, False),
        ({"min_items": 100}, 100, 1, True),
        ({"min_items": 100}, 1, 16 * 2**20, True),
        ({"sizer": "items", "min_size": 50}, 50, 50, True),
    ],
)
def test_enough_for_an_object(options: dict[str, Any], items: int, size: int, expected: bool) -> None:
    """An object is written for its size or for the number of its items, whichever comes first."""
    batch = config(sending_queue={"batch": options}).sending_queue.batch
    assert batch is not None
    assert batch.complete(items, size) is expected
