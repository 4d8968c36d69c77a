"""The metrics of the receiver, and the two people read: status and log."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from untrace_pipeline.api import Counter, Gauge, Histogram, Host, Meter, Settings, Status
from untrace_pipeline.data import Signal
from untrace_plugins.receivers.kafka.partition import Key, Partition, Record

__all__ = ["Health", "Meters"]

LOG_INTERVAL_SECONDS = 10.0
"""A line of one kind is written at most this often."""
_SEVERITY = {Status.PERMANENT_ERROR: 2, Status.RECOVERABLE_ERROR: 1}


class Meters:
    """Counts messages, and shows where each partition stands."""

    def __init__(self, meter: Meter, *, delays: bool) -> None:
        self._meter = meter
        self._delays = delays
        self._dealt: dict[tuple[Key, str], tuple[Counter, Counter]] = {}
        self._skipped: dict[tuple[str, str], Counter] = {}
        self._delay: dict[Key, Histogram] = {}
        self._started = meter.counter("kafka_receiver_partition_start")
        self._closed = meter.counter("kafka_receiver_partition_close")
        self._events = {
            event: meter.counter("kafka_receiver_rebalances", event=event) for event in ("assigned", "revoked", "lost")
        }
        self._commits = {
            outcome: meter.counter("kafka_receiver_commits", outcome=outcome) for outcome in ("success", "failure")
        }

    def watch(self, partition: Partition) -> None:
        """Show where a partition stands, from now on."""
        lag, offset = self._gauges(partition.key)
        lag.observe_with(lambda: partition.lag)
        offset.observe_with(lambda: partition.next_offset)
        self._started.add()

    def leave(self, partition: Partition) -> None:
        """Show nothing of a partition any more: it counts where it went."""
        for gauge in self._gauges(partition.key):
            gauge.set(0)
        self._closed.add()

    def rebalanced(self, event: str) -> None:
        """Count a change of the assignment."""
        self._events[event].add()

    def committed(self, outcome: str) -> None:
        """Count a commit."""
        self._commits[outcome].add()

    def arrived(self, records: Iterable[Record]) -> None:
        """Measure how old the last message of each partition is."""
        if self._delays:
            now = time.time()
            for key, timestamp in {record.key: record.timestamp for record in records}.items():
                if timestamp:
                    self._delay_of(key).record(max(0.0, now - timestamp))

    def accepted(self, record: Record) -> None:
        """Count a message that the pipelines took."""
        self._count(record, "success")

    def skipped(self, record: Record, reason: str, signal: Signal | None) -> None:
        """Count a message that was given up; ``signal`` where it is no OTLP."""
        self._count(record, "failure")
        key = (record.topic, reason)
        if key not in self._skipped:
            labels = {"topic": record.topic, "reason": reason}
            self._skipped[key] = self._meter.counter("kafka_receiver_skipped_records", **labels)
        self._skipped[key].add()
        if signal is not None:
            labels = {"topic": record.topic, "partition": str(record.partition)}
            self._meter.counter(f"kafka_receiver_unmarshal_failed_{signal.item}", **labels).add()

    def _count(self, record: Record, outcome: str) -> None:
        key = (record.key, outcome)
        counters = self._dealt.get(key)
        if counters is None:
            labels = {"topic": record.topic, "partition": str(record.partition), "outcome": outcome}
            counters = self._dealt[key] = (
                self._meter.counter("kafka_receiver_records", **labels),
                self._meter.counter("kafka_receiver_bytes_uncompressed", **labels),
            )
        counters[0].add()
        counters[1].add(len(record.value))

    def _gauges(self, key: Key) -> tuple[Gauge, Gauge]:
        labels = {"topic": key[0], "partition": str(key[1])}
        return (
            self._meter.gauge("kafka_receiver_offset_lag", **labels),
            self._meter.gauge("kafka_receiver_current_offset", **labels),
        )

    def _delay_of(self, key: Key) -> Histogram:
        if key not in self._delay:
            labels = {"topic": key[0], "partition": str(key[1])}
            self._delay[key] = self._meter.histogram("kafka_receiver_records_delay", **labels)
        return self._delay[key]


class Health:
    """Reports the worst of what is wrong, and when nothing is any more; writes log lines that do not flood."""

    def __init__(self, settings: Settings) -> None:
        self._logger = settings.logger
        self._host: Host | None = None
        self._wrong: dict[object, tuple[Status, str]] = {}
        self._reported: tuple[Status, str] = (Status.OK, "")
        self._kinds: dict[str, tuple[float, int]] = {}

    def start(self, host: Host) -> None:
        """Know the host from now on."""
        self._host = host

    def wrong(self, what: object, status: Status, message: str) -> None:
        """Something is wrong, or still wrong for another reason."""
        self._wrong[what] = (status, message)
        self._report()

    def right(self, *what: object) -> None:
        """It is right again."""
        mended = [one for one in what if self._wrong.pop(one, None)]
        if mended:
            self._report()

    def log(self, kind: str, level: int, template: str, *arguments: object) -> None:
        """Write a line, unless one of the kind was written just now: those are counted in the next one."""
        now = time.monotonic()
        quiet_until, left_out = self._kinds.get(kind, (0.0, 0))
        if now < quiet_until:
            self._kinds[kind] = (quiet_until, left_out + 1)
            return
        self._kinds[kind] = (now + LOG_INTERVAL_SECONDS, 0)
        more = f"; {left_out} more like this before" if left_out else ""
        self._logger.log(level, template + more, *arguments)

    def warn(self, kind: str, template: str, *arguments: object) -> None:
        """Write a warning, unless one of the kind was written just now."""
        self.log(kind, logging.WARNING, template, *arguments)

    def _report(self) -> None:
        worst = max(self._wrong.values(), key=lambda one: _SEVERITY[one[0]], default=(Status.OK, ""))
        if worst[0] is not self._reported[0] and self._host is not None:
            self._host.report(*worst)
        self._reported = worst
