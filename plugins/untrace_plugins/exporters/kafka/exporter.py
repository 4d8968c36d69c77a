"""The exporter ``kafka``."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import Any

from confluent_kafka import KafkaError

from untrace_pipeline.api import Counter, Host, RetryableError, Settings, StartError, Status
from untrace_pipeline.delivery import Delivery, Outcome, Request
from untrace_pipeline.errors import ConsumeError
from untrace_plugins.exporters.kafka.client import Client, ClientSlot, Observer
from untrace_plugins.exporters.kafka.config import Hasher, KafkaExporterConfig
from untrace_plugins.exporters.kafka.messages import Message, Packer
from untrace_plugins.exporters.kafka.shipment import Parcel, Shipment
from untrace_plugins.kafka.errors import is_refused_login
from untrace_plugins.kafka.library import client_settings

__all__ = ["KafkaExporter", "producer_settings"]

LIBRARY_QUEUE_KBYTES = 256 * 1024
"""Bound of the library's queue. The sending queue is the one that counts; this one holds what is under way."""
FOREVER_SECONDS = 600.0
"""How long the library tries where the retries of the exporter never end; then they begin anew."""
LEAST_UNFINISHED = 64
"""How many requests are remembered between attempts, where there are not that many senders."""
WARNING_INTERVAL_SECONDS = 60.0
ALONE = {"batch.num.messages": 1}
"""Settings of the producer for messages whose batch was too large for a broker."""


class KafkaExporter:
    """Makes messages of requests, and answers for a request when the brokers have for all of its messages."""

    def __init__(self, config: KafkaExporterConfig, settings: Settings) -> None:
        self._config = config
        self._settings = settings
        self._packer = Packer(config)
        self._unfinished: OrderedDict[Request, Shipment] = OrderedDict()
        self._most_unfinished = max(2 * config.sending_queue.num_consumers, LEAST_UNFINISHED)
        self._together = ClientSlot(lambda: self._make_client({}))
        self._alone = ClientSlot(lambda: self._make_client(ALONE))
        self._status = _ConnectionStatus(self.destination)
        self._counters: dict[tuple[str, str], tuple[Counter, Counter]] = {}
        self._quiet_until = 0.0
        settings.meter.gauge("kafka_exporter_outstanding_records").observe_with(
            lambda: self._together.outstanding + self._alone.outstanding
        )
        self._delivery = Delivery(config, self, settings)
        self.consume = self._delivery.consume
        self.admit = self._delivery.admit
        self.pending_items = self._delivery.pending_items

    @property
    def destination(self) -> str:
        """The brokers as they were configured."""
        return ",".join(self._config.brokers)

    async def start(self, host: Host) -> None:
        """Make the producer, without waiting for brokers: they may come up later. Raises :class:`StartError`."""
        self._status.start(host)
        self._together.start(host)
        self._alone.start(host)
        self._together.get()
        await self._delivery.start(host)

    async def send(self, request: Request) -> Outcome:
        """Make one attempt: it ends when every message of the request was answered for."""
        shipment = self._unfinished.pop(request, None) or Shipment(self._packer.pack(request.batch))
        try:
            return await shipment.attempt(self._hand_over)
        except (RetryableError, asyncio.CancelledError):
            self._keep(request, shipment)
            raise

    async def shutdown(self) -> None:
        """Drain, then close the producers."""
        try:
            await self._delivery.shutdown()
        finally:
            self._unfinished.clear()
            await self._together.close()
            await self._alone.close()

    async def _hand_over(self, parcel: Parcel) -> None:
        slot = self._together
        if parcel.alone:
            self._warn_of_limit(parcel.message)
            slot = self._alone
        try:
            while not (client := slot.get()).produce(parcel):
                await client.room()
        except StartError as error:  # a file of the certificates went away since the start
            raise RetryableError(str(error)) from error

    def _keep(self, request: Request, shipment: Shipment) -> None:
        """Remember a request that may be tried again. Who gives up does not say so: the oldest are forgotten."""
        self._unfinished[request] = shipment
        while len(self._unfinished) > self._most_unfinished:
            self._unfinished.popitem(last=False)

    def _make_client(self, special: dict[str, Any]) -> Client:
        observer = Observer(self._answered, self._status.troubled)
        return Client({**producer_settings(self._config), **special}, self._settings.logger, observer)

    def _answered(self, message: Message, error: ConsumeError | None) -> None:
        if error is None:
            self._status.works()
        key = (message.topic, "failure" if error else "success")
        counters = self._counters.get(key)
        if counters is None:
            meter, labels = self._settings.meter, {"topic": key[0], "outcome": key[1]}
            counters = self._counters[key] = (
                meter.counter("kafka_exporter_records", **labels),
                meter.counter("kafka_exporter_bytes_uncompressed", **labels),
            )
        counters[0].add()
        counters[1].add(message.byte_size)

    def _warn_of_limit(self, message: Message) -> None:
        """Say that a topic takes less than we were told; every batch that is too large is sent twice."""
        now = time.monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + WARNING_INTERVAL_SECONDS
            self._settings.logger.warning(
                "topic %s refused a batch as too large, its messages are sent again one by one: set "
                "producer.max_message_bytes (%d) to max.message.bytes of the topic",
                message.topic,
                self._config.producer.max_message_bytes,
            )


class _ConnectionStatus:
    """Reports what the library says of the brokers, and when they take data again."""

    def __init__(self, destination: str) -> None:
        self._destination = destination
        self._host: Host | None = None
        self._troubled = False

    def start(self, host: Host) -> None:
        self._host = host

    def troubled(self, error: KafkaError) -> None:
        if is_refused_login(error):
            self._report(Status.PERMANENT_ERROR, f"{self._destination} refuses our credentials: {error.str()}")
        elif error.name() == "_ALL_BROKERS_DOWN":
            self._report(Status.RECOVERABLE_ERROR, f"{self._destination}: {error.str()}")

    def works(self) -> None:
        if self._troubled:
            self._report(Status.OK, f"{self._destination} takes data again")
            self._troubled = False

    def _report(self, status: Status, message: str) -> None:
        self._troubled = True
        if self._host is not None:
            self._host.report(status, message)


def producer_settings(config: KafkaExporterConfig) -> dict[str, Any]:
    """Return the settings of librdkafka. Holds secrets. Raises :class:`StartError` naming a file."""
    producer, retry = config.producer, config.retry_on_failure
    patience = retry.max_elapsed_time or FOREVER_SECONDS if retry.enabled else config.timeout or FOREVER_SECONDS
    partitioner = config.record_partitioner
    hasher = partitioner.sticky_key.hasher if partitioner.sticky_key else Hasher.SARAMA_COMPAT
    by_key = {Hasher.SARAMA_COMPAT: "fnv1a_random", Hasher.MURMUR2: "murmur2_random"}[hasher]
    return {
        **client_settings(config),
        "acks": producer.required_acks,
        "enable.idempotence": producer.with_idempotence,
        "message.max.bytes": producer.max_message_bytes,
        "batch.size": producer.max_message_bytes,
        "batch.num.messages": producer.flush_max_messages,
        "linger.ms": producer.linger * 1000,
        "compression.type": producer.compression.value,
        "compression.level": producer.compression_params.level,
        "allow.auto.create.topics": producer.allow_auto_topic_creation,
        "partitioner": "random" if partitioner.round_robin else by_key,
        "message.timeout.ms": max(1, int(patience * 1000)),
        "queue.buffering.max.kbytes": max(LIBRARY_QUEUE_KBYTES, 2 * producer.max_message_bytes // 1024),
    }
