"""Asks brokers where partitions end: the lag must grow while a partition is paused, and a paused one tells nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import confluent_kafka.admin
from confluent_kafka import KafkaException, TopicPartition

from untrace_plugins.receivers.kafka.partition import Key

__all__ = ["Ends"]

admin: Any = confluent_kafka.admin  # only some of its names are exported with types
SECONDS = 1.0
"""Limit of a question; it is asked again soon."""


class Ends:
    """A connection of its own: on the member's, brokers answer behind the fetch that waits for messages."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._admin = [admin.AdminClient({**settings, "log_level": 0})]

    async def ask(self, keys: Iterable[Key]) -> dict[Key, int]:
        """Return the ends of partitions, as far as brokers tell in time."""
        wanted = {TopicPartition(*key): admin.OffsetSpec.latest() for key in keys}
        if not wanted:
            return {}
        asked = self._admin[0].list_offsets(wanted, request_timeout=SECONDS)
        answers = {(one.topic, one.partition): asyncio.wrap_future(answer) for one, answer in asked.items()}
        await asyncio.wait(answers.values(), timeout=2 * SECONDS)
        ends: dict[Key, int] = {}
        for key, answer in answers.items():
            if not answer.done():
                answer.cancel()
            elif not isinstance(answer.exception(), KafkaException):
                ends[key] = answer.result().offset
        return ends

    async def close(self) -> None:
        """Let go of the library, whose threads take a while to end."""
        await asyncio.to_thread(self._admin.clear)
