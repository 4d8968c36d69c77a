"""An application that sends over several connections, retries like an SDK, and knows what was acknowledged."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from tests.support.chaos.clients import Client, GrpcClient, HttpClient, Result
from tests.support.chaos.items import item_id, request_bytes
from tests.support.chaos.record import Record, Runs, expand, read_record

RETRY_SECONDS = 0.05
LONGEST_RETRY_SECONDS = 0.5


@dataclass(frozen=True)
class SenderConfig:
    """How it sends. ``number`` makes its ids its own; ``rate`` is in requests per second, 0 as fast as answers come."""

    number: int = 1
    workers: int = 8
    items: tuple[int, int] = (1, 50)
    rate: float = 0.0
    timeout: float = 10.0


class Sender:
    """Sends until it is told to stop, and then until everything it has begun was acknowledged."""

    def __init__(
        self,
        config: SenderConfig | None = None,
        *,
        grpc: str | None = None,
        http: str | None = None,
        record: Path | None = None,
    ) -> None:
        self.config = config or SenderConfig()
        self.runs: Runs = []
        """Acknowledged ids."""
        self.given_up: Runs = []
        """Ids that were refused for good: the daemon must not do that to well-formed data."""
        self.refusals: Counter[str] = Counter()
        self.permanent: Counter[str] = Counter()
        self.without_delay = 0
        """Answers that ask to come again and do not say when."""
        self.unanswered: Runs = []
        """Ids in attempts without an answer: each may have been taken, and comes again."""
        self.requests = 0
        self.accepted_items = 0
        self._grpc, self._http = grpc, http
        self._record = Record(record) if record else None
        self._random = random.Random(self.config.number)
        self._sequence = 0
        self._next = 0.0
        self._stopped = asyncio.Event()

    @property
    def acknowledged(self) -> set[int]:
        """Ids that were acknowledged."""
        return set(expand(self.runs))

    def stop(self) -> None:
        """Begin nothing new."""
        self._stopped.set()

    async def run(self, seconds: float = 0.0) -> None:
        """Send for so long (0 = until :meth:`stop`); returns when all of it has an answer."""
        clients = self._clients()
        deadline = time.monotonic() + seconds if seconds else None
        self._next = time.monotonic()
        try:
            async with asyncio.TaskGroup() as group:
                for _, client in zip(range(self.config.workers), cycle(clients), strict=False):
                    group.create_task(self._work(client, deadline))
        finally:
            for client in clients:
                await client.close()
            if self._record is not None:
                self._record.close()

    def report(self) -> dict[str, Any]:
        """Return the counts."""
        return {
            "requests": self.requests,
            "acknowledged": self.accepted_items,
            "unanswered": sum(count for _, count in self.unanswered),
            "refusals": self.refusals,
            "permanent": self.permanent,
            "without_delay": self.without_delay,
        }

    def _clients(self) -> list[Client]:
        clients: list[Client] = []
        if self._grpc:
            clients += [GrpcClient(self._grpc, self.config.timeout) for _ in range(2)]
        if self._http:
            clients += [HttpClient(self._http, self.config.timeout) for _ in range(2 if self._grpc else 1)]
        return clients

    async def _work(self, client: Client, deadline: float | None) -> None:
        while not self._stopped.is_set() and (deadline is None or time.monotonic() < deadline):
            if await self._turn():
                await self._deliver(client)

    async def _turn(self) -> bool:
        """Wait for the right to send; false when stopped meanwhile."""
        if not self.config.rate:
            return True
        self._next = max(self._next + 1 / self.config.rate, time.monotonic() - 0.1)
        wait = self._next - time.monotonic()
        if wait <= 0:
            return True
        try:
            async with asyncio.timeout(wait):
                await self._stopped.wait()
        except TimeoutError:
            return True
        return False

    async def _deliver(self, client: Client) -> None:
        """Send one request until it is acknowledged."""
        count = self._random.randint(*self.config.items)
        first = item_id(self.config.number, self._sequence)
        self._sequence += count
        body = request_bytes(range(first, first + count))
        began, pause, attempts = time.time(), RETRY_SECONDS, 0
        while True:
            attempts += 1
            started = time.time()
            result = await client.attempt(body)
            if not result.code:
                self._acknowledged(first, count, result)
                line = {"first": first, "count": count, "via": client.name, "attempts": attempts, "began": began}
                self._write(line | {"started": started, "acked": time.time()})
                return
            self._refused(result, first, count)
            if not result.retryable:
                self.given_up.append([first, count])
                return
            await asyncio.sleep(max(result.delay or 0.0, pause) * self._random.uniform(0.8, 1.2))
            pause = min(pause * 2, LONGEST_RETRY_SECONDS)

    def _acknowledged(self, first: int, count: int, result: Result) -> None:
        if result.rejected:
            self.permanent["partial success"] += 1
        self.requests += 1
        self.accepted_items += count
        self.runs.append([first, count])

    def _refused(self, result: Result, first: int, count: int) -> None:
        if not result.answered:
            self.unanswered.append([first, count])
        elif result.retryable and result.code != "connect":
            self.refusals[result.code] += 1
            self.without_delay += result.delay is None
        if not result.retryable:
            self.permanent[f"{result.code} {result.message[:100]}"] += 1

    def _write(self, line: dict[str, Any]) -> None:
        if self._record is not None:
            self._record.write(line)


def acknowledged_in(paths: Iterable[Path]) -> Runs:
    """Return the acknowledged ids in the records of senders."""
    return [[line["first"], line["count"]] for path in paths for line in read_record(path)]
