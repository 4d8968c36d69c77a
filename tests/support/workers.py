"""Workers that are no processes: the other end of each supervisor's channel, played by a task of the test."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from untrace_pipeline.api import MetricSpec, Status, StatusEvent
from untrace_pipeline.supervisor.channel import Channel, Message
from untrace_pipeline.supervisor.introductions import introduction_pair, take_introduction
from untrace_pipeline.supervisor.messages import Groups, Orders, groups_to, snapshot_to
from untrace_pipeline.supervisor.process import WorkerProcess
from untrace_pipeline.telemetry.metrics import Sample, Snapshot

__all__ = ["FakeWorker", "Workshop"]

SENT = MetricSpec("exporter_sent_spans", "counter", "Sent.", ("exporter",))  # type: ignore[arg-type]


@dataclass
class FakeWorker:
    """One process, as the supervisor's end sees it. A test changes what it does, or ends it."""

    index: int
    number: int
    """How many processes were started before it, in all places."""
    channel: Channel
    orders: Orders
    successor: bool = False
    status: Status = Status.OK
    sent: float = 0.0
    """What its only counter says."""
    refuses: str = ""
    """Why it refuses a reload."""
    deaf: bool = False
    """Answer nothing any more."""
    lost: dict[str, float] = field(default_factory=dict)
    pid: int = 0
    stops: list[tuple[str, bool]] = field(default_factory=list)
    """Reasons of the orders to stop, and whether all workers were to."""
    hurried: bool = False
    introductions: socket.socket | None = None
    _end: asyncio.Future[int] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    async def wait(self) -> int:
        """Return the exit code, once it has ended."""
        return await asyncio.shield(self._end)

    def kill(self) -> None:
        """Be killed."""
        self.end(-9)

    def end(self, code: int) -> None:
        """End now, without a word."""
        if not self._end.done():
            self._end.set_result(code)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return not self._end.done()

    async def run(self, begin: Coroutine[Any, Any, None]) -> None:
        """Play the process until it ends."""
        script = asyncio.create_task(self._play(begin))
        await asyncio.wait({script, asyncio.ensure_future(self.wait())}, return_when=asyncio.FIRST_COMPLETED)
        script.cancel()
        await asyncio.wait([script])
        await self.channel.close()
        if self.introductions is not None:
            self.introductions.close()
        if not script.cancelled():
            script.result()

    async def _play(self, begin: Coroutine[Any, Any, None]) -> None:
        first = await self.channel.receive()
        assert first is not None
        assert first["kind"] == "start"
        assert (first["index"], Orders.from_json(first["orders"])) == (self.index, self.orders)
        assert first["successor"] == self.successor
        await begin
        self.tell_states()
        self.channel.send("ready")
        while (message := await self.channel.receive()) is not None:
            if not self.deaf:
                self._obey(message)

    def _obey(self, message: Message) -> None:
        match message["kind"]:
            case "snapshot" | "totals" as kind:
                self.channel.send(kind, families=snapshot_to(self.snapshot()))
            case "reload" if self.refuses:
                self.channel.send("reloaded", outcome="failure", error=self.refuses)
            case "reload":
                self.orders = Orders.from_json(message["orders"])
                self.channel.send("reloaded", outcome="success", error="")
            case "stop":
                self.stops.append((message["reason"], message["everybody"]))
                self.channel.send("snapshot", families=snapshot_to(self.snapshot()))
                self.channel.send("left", lost=self.lost, held={})
                self.end(0)
            case "hurry":
                self.hurried = True

    def tell_states(self) -> None:
        """Report the states."""
        self.channel.send("statuses", groups=groups_to(self.groups()))

    def groups(self) -> Groups:
        """Return its states: one exporter of one pipeline."""
        message = "" if self.status is Status.OK else "trouble"
        return {"traces": {"exporter:otlp": StatusEvent(self.status, message, 1.0)}, "service": {}, "extensions": {}}

    def met(self) -> list[int]:
        """Return the workers that it was introduced to, in order, and forget the connections."""
        found = []
        assert self.introductions is not None
        while (one := take_introduction(self.introductions)) is not None:
            found.append(one[0])
            one[1].close()
        return found

    def snapshot(self) -> Snapshot:
        """Return what it has counted."""
        return [(SENT, [Sample(("otlp",), self.sent)])]


class Workshop:
    """Launches fake workers, and keeps them in the order of their start."""

    def __init__(self) -> None:
        self.made: list[FakeWorker] = []
        self.begin: Callable[[FakeWorker], Coroutine[Any, Any, None]] = _at_once
        """What a worker does before it is ready; it may end instead."""
        self.cannot_start = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def launch(self, index: int, orders: Orders, *, successor: bool) -> WorkerProcess:
        """Start one."""
        if self.cannot_start:
            raise OSError("no more processes")
        ours, theirs = socket.socketpair()
        end = await Channel.over(theirs)
        worker = FakeWorker(index, len(self.made), end, orders, successor)
        self.made.append(worker)
        task = asyncio.create_task(worker.run(self.begin(worker)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        channel = await Channel.over(ours)
        channel.send("start", index=index, orders=orders.to_json(), successor=successor)
        ours, theirs = introduction_pair()
        worker.introductions = theirs
        return WorkerProcess(index, worker, channel, ours)

    def running(self) -> list[tuple[int, int]]:
        """Return place and number of those that run."""
        return sorted((one.index, one.number) for one in self.made if one.running)

    async def close(self) -> None:
        """End all, and wait for them."""
        for worker in self.made:
            worker.end(0)
        if self._tasks:
            await asyncio.wait(self._tasks)


async def _at_once(_worker: FakeWorker) -> None:
    logging.getLogger(__name__).debug("a worker begins")
