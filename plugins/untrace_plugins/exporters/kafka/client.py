"""One producer of librdkafka, served by the event loop.

The library has threads of its own for sockets and compression; what is left for us, taking its answers, costs about a
microsecond per message. So there is no thread here: as long as answers are due, the loop asks for them every few
milliseconds, which never blocks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from untrace_pipeline.api import Host, RetryableError, StartError
from untrace_pipeline.errors import ConsumeError
from untrace_plugins.exporters.kafka.messages import Message
from untrace_plugins.exporters.kafka.shipment import Parcel
from untrace_plugins.kafka.errors import as_consume_error
from untrace_plugins.kafka.library import LibraryLog

__all__ = ["Client", "ClientSlot", "Observer"]

BUSY_SECONDS = 0.002
"""How often answers are asked for while some are due: less than the library takes to gather a batch."""
IDLE_SECONDS = 0.5
"""How often otherwise, for its log lines and troubles."""


@dataclass(frozen=True, slots=True)
class Observer:
    """Who is told what a producer learns; called by the event loop."""

    answered: Callable[[Message, ConsumeError | None], None]
    """A broker, or the library, has the last word on a message."""
    troubled: Callable[[KafkaError], None]
    """The connection is not what it should be: brokers are down, or do not know us."""


class Client:
    """Hands parcels over and settles them. Once ``broken``, it settles nothing any more: make another one."""

    def __init__(self, settings: Mapping[str, Any], logger: logging.Logger, observer: Observer) -> None:
        """Raises :class:`StartError` where the library refuses the settings."""
        self.broken = False
        self._observer = observer
        self._logger = logger
        self._outstanding: set[Parcel] = set()
        self._due = asyncio.Event()
        self._answer = asyncio.Event()
        try:
            self._producer = [Producer({**settings, "error_cb": observer.troubled}, logger=LibraryLog(logger))]
        except KafkaException as error:
            msg = f"the Kafka library refuses the settings: {_text(error)}"
            raise StartError(msg) from error

    @property
    def outstanding(self) -> int:
        """Messages that no broker has answered for."""
        return len(self._outstanding)

    def produce(self, parcel: Parcel) -> bool:
        """Hand a parcel to the library; ``False`` if it has no room. What the library refuses is settled at once."""
        message = parcel.message
        headers: Any = message.headers or None  # typed there as a list of more kinds of values
        self._outstanding.add(parcel)
        try:
            self._producer[0].produce(
                message.topic,
                message.value,
                message.key,
                headers=headers,
                on_delivery=partial(self._answered, parcel),
            )
        except BufferError:
            self._outstanding.discard(parcel)
            return False
        except KafkaException as error:
            self._answered(parcel, error.args[0], None)
            return True
        self._due.set()
        return True

    async def room(self) -> None:
        """Wait until the library has less to do than now."""
        self._answer.clear()
        await self._answer.wait()

    async def serve(self) -> None:
        """Take answers, until cancelled or broken."""
        while not self.broken:
            self.poll()
            if self._outstanding:
                await asyncio.sleep(BUSY_SECONDS)
                continue
            self._due.clear()
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    await self._due.wait()
            except TimeoutError:
                continue

    def poll(self) -> None:
        """Take the answers that are there."""
        try:
            self._producer[0].poll(0)
        except Exception as error:  # noqa: BLE001  fatal errors come as whatever exception the binding makes of them
            self._break(error)

    async def close(self) -> None:
        """Give up what is outstanding and let go of the library, whose threads take a while to end."""
        if self._producer:
            self._producer[0].purge()
            self.poll()
            await asyncio.to_thread(self._producer.clear)

    def _answered(self, parcel: Parcel, error: KafkaError | None, _message: object) -> None:
        if parcel in self._outstanding:
            self._outstanding.discard(parcel)
            self._settle(parcel, as_consume_error(error) if error else None)

    def _settle(self, parcel: Parcel, error: ConsumeError | None) -> None:
        self._answer.set()
        self._observer.answered(parcel.message, error)
        parcel.settle(error)

    def _break(self, error: Exception) -> None:
        """End: after a fatal error (idempotence was lost) a producer sends nothing more, and may keep answers back."""
        self.broken = True
        self._answer.set()
        cause = error.__cause__ if isinstance(error.__cause__, KafkaException) else error
        text = _text(cause) if isinstance(cause, KafkaException) else str(error)
        self._logger.warning("the producer is replaced after a fatal error: %s", text)
        left, self._outstanding = self._outstanding, set()
        for parcel in left:
            self._settle(parcel, RetryableError(f"the producer was replaced: {text}"))


class ClientSlot:
    """Holds a client that is made when it is needed, and another one in its place when it broke."""

    def __init__(self, make: Callable[[], Client]) -> None:
        self._make = make
        self._client: Client | None = None
        self._host: Host | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def outstanding(self) -> int:
        """Messages that no broker has answered for."""
        return self._client.outstanding if self._client else 0

    def start(self, host: Host) -> None:
        """Know the host from now on."""
        self._host = host

    def get(self) -> Client:
        """Return a client that works. Raises :class:`StartError` where none can be made."""
        client = self._client
        if client is not None and not client.broken:
            return client
        fresh = self._make()
        if client is not None:
            self._spawn(client.close(), "closing a broken producer")
        self._client = fresh
        self._spawn(fresh.serve(), "answers of brokers")
        return fresh

    async def close(self) -> None:
        """Stop serving, and close. Safe twice."""
        client, self._client = self._client, None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if client is not None:
            await client.close()

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        assert self._host is not None
        task = self._host.spawn(work, name=f"kafka: {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _text(error: KafkaException) -> str:
    inner = error.args[0]
    return f"{inner.name()}: {inner.str()}" if isinstance(inner, KafkaError) else str(inner)
