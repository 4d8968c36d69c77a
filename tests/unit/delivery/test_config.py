"""The options keep the Collector's defaults and refuse what cannot be meant."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from untrace_pipeline.delivery import BatchSizer, DeliveryConfig, Overflow, QueueSizer
from untrace_pipeline.delivery.config import Oversize
from untrace_plugins.exporters.file.config import FileConfig


def test_defaults_are_the_collectors() -> None:
    """Nothing configured means what it means in the Collector (exporterhelper, configretry)."""
    config = DeliveryConfig()
    retry, queue = config.retry_on_failure, config.sending_queue
    assert config.timeout == 5
    assert (retry.enabled, retry.initial_interval, retry.randomization_factor) == (True, 5, 0.5)
    assert (retry.multiplier, retry.max_interval, retry.max_elapsed_time) == (1.5, 30, 300)
    assert (queue.enabled, queue.num_consumers, queue.queue_size, queue.sizer) == (True, 10, 1000, QueueSizer.REQUESTS)
    assert (queue.wait_for_result, queue.storage, queue.batch) == (False, None, None)
    assert queue.overflow_policy is Overflow.REFUSE


def test_empty_batch_section_turns_batching_on() -> None:
    """``batch: {}`` is batching with the Collector's defaults."""
    batch = DeliveryConfig.model_validate({"sending_queue": {"batch": {}, "queue_size": 10000}}).sending_queue.batch
    assert batch is not None
    assert (batch.flush_timeout, batch.min_size, batch.max_size) == (0.2, 8192, 0)


@pytest.mark.parametrize(
    ("queue", "sizer"),
    [
        ({}, BatchSizer.ITEMS),
        ({"sizer": "bytes", "queue_size": 10000}, BatchSizer.BYTES),
        ({"sizer": "bytes", "batch": {"sizer": "items"}}, BatchSizer.ITEMS),
    ],
)
def test_batch_counts_in_the_unit_of_the_queue(queue: dict[str, Any], sizer: BatchSizer) -> None:
    """Without a sizer of its own, a batch takes the queue's, or items where that counts requests."""
    config = DeliveryConfig.model_validate({"sending_queue": {"batch": {}, **queue}})
    assert config.sending_queue.batch_sizer is sizer


def test_sizes_may_be_written_with_units() -> None:
    """A queue of bytes is easier to read as 256MiB."""
    queue = {"sizer": "bytes", "queue_size": "256MiB", "batch": {"min_size": "1MiB", "max_size": "4MiB"}}
    config = DeliveryConfig.model_validate({"sending_queue": queue}).sending_queue
    assert config.batch is not None
    assert (config.queue_size, config.batch.min_size, config.batch.max_size) == (1 << 28, 1 << 20, 1 << 22)


def test_block_on_overflow_is_a_spelling_of_overflow_block() -> None:
    """The Collector's key and ours mean the same."""
    config = DeliveryConfig.model_validate({"sending_queue": {"block_on_overflow": True}})
    assert config.sending_queue.overflow_policy is Overflow.BLOCK


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sending_queue": {"storage": "file_storage", "wait_for_result": True}}, "not both"),
        ({"sending_queue": {"overflow": "dead_letter"}}, "needs a dead_letter_queue"),
        ({"oversize": "dead_letter"}, "needs a dead_letter_queue"),
        ({"sending_queue": {"block_on_overflow": True, "overflow": "drop_oldest"}}, "not both"),
        ({"sending_queue": {"num_consumers": 0}}, "greater than 0"),
        ({"sending_queue": {"sizer": "items", "queue_size": 10, "batch": {"min_size": 11}}}, "queue_size"),
        ({"sending_queue": {"batch": {"min_size": 5, "max_size": 4}}}, "max_size"),
        ({"sending_queue": {"batch": {"partition": {"metadata_keys": ["X-A", "x-a"]}}}}, "once"),
        ({"retry_on_failure": {"max_elapsed_time": "4s"}}, "initial_interval"),
        ({"retry_on_failure": {"max_elapsed_time": "29s"}}, "max_interval"),
        ({"timeout": "-1s"}, "greater than or equal to 0"),
    ],
)
def test_contradictions_are_refused(options: dict[str, Any], message: str) -> None:
    """A configuration that cannot work is refused with the reason."""
    with pytest.raises(ValidationError, match=message):
        DeliveryConfig.model_validate(options)


def test_options_for_a_replay() -> None:
    """A second instance that sends dead letters again has no queue and an end, and keeps the rest as it is."""
    queue = {"storage": "file_storage", "batch": {}, "overflow": "dead_letter"}
    given = {
        "timeout": "7s",
        "sending_queue": queue,
        "retry_on_failure": {"max_elapsed_time": "0s", "max_interval": "9s"},
        "circuit_breaker": {"when_open": "refuse"},
        "dead_letter_queue": {"storage": "elsewhere"},
        "oversize": "drop",
    }
    config = DeliveryConfig.model_validate(given).for_replay("letters")
    assert (config.timeout, config.retry_on_failure.max_interval) == (7, 9)
    assert (config.sending_queue.enabled, config.sending_queue.storage, config.sending_queue.batch) == (
        False,
        None,
        None,
    )
    assert config.retry_on_failure.max_elapsed_time == 60
    assert not config.circuit_breaker.enabled
    assert config.references() == {"dead_letter_queue.storage": ("letters",)}
    assert config.oversize is None
    truncating = DeliveryConfig.model_validate(
        {"oversize": "truncate", "retry_on_failure": {"max_elapsed_time": "30s"}}
    )
    assert truncating.for_replay("letters").oversize is Oversize.TRUNCATE
    assert truncating.for_replay("letters").retry_on_failure.max_elapsed_time == 30


def test_a_replay_does_not_empty_a_file() -> None:
    """The exporter file would otherwise begin with an empty one, under the eyes of the daemon that writes to it."""
    assert FileConfig(path="x").for_replay("letters").append
