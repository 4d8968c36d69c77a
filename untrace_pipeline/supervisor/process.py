"""One worker process as the supervisor sees it, from its start to its end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from untrace_pipeline.api.workers import WORKER_VARIABLE
from untrace_pipeline.engine.account import Left
from untrace_pipeline.errors import WorkerError
from untrace_pipeline.supervisor.channel import Channel, Message
from untrace_pipeline.supervisor.introductions import introduce, introduction_pair
from untrace_pipeline.supervisor.messages import Groups, Orders, groups_from, snapshot_from
from untrace_pipeline.telemetry.merge import totals
from untrace_pipeline.telemetry.metrics import Snapshot

__all__ = ["KILL_SECONDS", "RELOAD_SECONDS", "WorkerProcess", "cause", "spawn"]

ANSWER_SECONDS = 2.0
"""How long a scrape waits for the counts of a worker whose event loop is blocked; then those it sent last are shown."""
RELOAD_SECONDS = 120.0
"""How long a reload may take in one worker: components that hang while they start must not stop the others for ever."""
KILL_SECONDS = 5.0
"""A worker that has not ended so long after its time for draining was over is killed."""

logger = logging.getLogger(__name__)


class Spawned(Protocol):
    """What is used of :class:`asyncio.subprocess.Process`."""

    pid: int

    async def wait(self) -> int:
        """Return the exit code; negative for a signal."""

    def kill(self) -> None:
        """Send SIGKILL."""


async def spawn(index: int, orders: Orders, *, successor: bool) -> WorkerProcess:
    """Start a worker: a fresh interpreter that gets its orders through a socket only it and the supervisor have.

    ``successor``: it goes on with what others of this service have left and counted. Raises ``OSError``.
    """
    ours, theirs = socket.socketpair()
    introductions, their_introductions = introduction_pair()
    try:
        with theirs, their_introductions:
            inherited = [theirs.fileno(), their_introductions.fileno()]
            process = await asyncio.create_subprocess_exec(
                *_command(*inherited),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=inherited,
                env={**os.environ, WORKER_VARIABLE: str(index)},
            )
    except BaseException:
        ours.close()
        introductions.close()
        raise
    channel = await Channel.over(ours)
    channel.send("start", index=index, orders=orders.to_json(), successor=successor)
    return WorkerProcess(index, process, channel, introductions)


def _command(control: int, introductions: int) -> list[str]:
    here = {"", str(Path.cwd())} & set(sys.path)
    safe = [] if here else ["-P"]  # modules that lie in the working directory are not ours, unless we are one of them
    sockets = ["--control", str(control), "--introductions", str(introductions)]
    return [sys.executable, *safe, "-m", "untrace_pipeline", "worker", *sockets]


class WorkerProcess:
    """A running worker. What it said last stays known after its end."""

    def __init__(self, index: int, process: Spawned, channel: Channel, introductions: socket.socket) -> None:
        self.index = index
        self.ready = False
        self.statuses: Groups = {}
        """States of its components, as it reported them last."""
        self.snapshot: Snapshot = []
        """What it showed when it was asked last."""
        self.totals: Snapshot = []
        """What it had counted for good when it told last, which it does in the end if it ends in order."""
        self.left: Left | None = None
        """What it could not deliver; unknown unless it ended in order."""
        self._process = process
        self._channel = channel
        self._introductions = introductions
        self._heard = asyncio.get_running_loop().time()
        self._settled = asyncio.Event()
        self._collected: asyncio.Future[None] | None = None
        self._reloaded: asyncio.Future[str] | None = None
        self._kill_timer: asyncio.TimerHandle | None = None
        self._ended = asyncio.create_task(self._watch(), name=f"watch worker {index}")

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def silent_seconds(self) -> float:
        """How long nothing has come from it; it is asked every few seconds."""
        return asyncio.get_running_loop().time() - self._heard

    async def settled(self) -> bool:
        """Wait until it is ready or has ended, and return whether it is ready."""
        await self._settled.wait()
        return self.ready

    async def ended(self) -> int:
        """Wait for its end and return the exit code; negative is the number of the signal that killed it."""
        return await asyncio.shield(self._ended)

    def introduce(self, index: int, end: socket.socket) -> None:
        """Hand it its end of a connection to another worker."""
        introduce(self._introductions, index, end)

    async def collect(self) -> None:
        """Bring ``snapshot`` up to date; it stays what it was if the process does not answer in time, or has ended."""
        if not self._ended.done() and self.ready:
            if self._collected is None or self._collected.done():
                self._collected = asyncio.get_running_loop().create_future()
                self._channel.send("snapshot")
            await asyncio.wait([self._collected], timeout=ANSWER_SECONDS)

    def poll(self) -> None:
        """Ask for what it has counted so far, in case that it cannot be asked later."""
        self._channel.send("totals")

    async def reload(self, orders: Orders) -> str:
        """Let it switch to another configuration, and return the outcome. Raises :class:`WorkerError`."""
        self._reloaded = asyncio.get_running_loop().create_future()
        self._channel.send("reload", orders=orders.to_json())
        try:
            async with asyncio.timeout(RELOAD_SECONDS):
                return await self._reloaded
        except TimeoutError as error:
            msg = f"worker {self.index} has not finished the reload within {RELOAD_SECONDS:g} s"
            raise WorkerError(msg) from error

    def stop(self, reason: str, seconds: float, *, everybody: bool) -> None:
        """Let it drain for at most that many seconds, and end. ``everybody``: the others stop at the same time."""
        self._channel.send("stop", reason=reason, everybody=everybody)
        self._kill_after(seconds + KILL_SECONDS)

    def hurry(self, reason: str) -> None:
        """Let it end without waiting for what is left."""
        self._channel.send("hurry", reason=reason)
        self._kill_after(KILL_SECONDS)

    def kill(self) -> None:
        """End it at once."""
        if not self._ended.done():
            self._process.kill()

    # --------------------------------------------------------------- internal

    def _kill_after(self, seconds: float) -> None:
        if self._kill_timer is not None:
            self._kill_timer.cancel()
        self._kill_timer = asyncio.get_running_loop().call_later(seconds, self.kill)

    async def _watch(self) -> int:
        while (message := await self._channel.receive()) is not None:
            self._heard = asyncio.get_running_loop().time()
            try:
                self._take(message)
            except (KeyError, TypeError, ValueError):
                logger.exception(
                    "worker %d is not understood, perhaps it is of a newer release: it is ended", self.index
                )
                self.kill()
        self._kill_after(KILL_SECONDS)  # it has closed its end: nothing but ending is left for it to do
        code = await self._process.wait()
        assert self._kill_timer is not None
        self._kill_timer.cancel()
        self.ready = False
        self._settled.set()
        if self._collected is not None and not self._collected.done():
            self._collected.set_result(None)
        if self._reloaded is not None and not self._reloaded.done():
            self._reloaded.set_exception(WorkerError(f"worker {self.index} {cause(code)} during the reload"))
        self._introductions.close()
        await self._channel.close()
        return code

    def _take(self, message: Message) -> None:
        match message["kind"]:
            case "ready":
                self.ready = True
                self._settled.set()
            case "statuses":
                self.statuses = groups_from(message["groups"])
            case "snapshot":
                self.snapshot = snapshot_from(message["families"])
                self.totals = totals(self.snapshot)
                if self._collected is not None and not self._collected.done():
                    self._collected.set_result(None)
            case "totals":
                self.totals = snapshot_from(message["families"])
            case "reloaded":
                self._take_outcome(message)
            case "left":
                self.left = Left(message["lost"], message["held"])

    def _take_outcome(self, message: Mapping[str, Any]) -> None:
        if self._reloaded is None or self._reloaded.done():
            return
        if message["outcome"] == "failure":
            self._reloaded.set_exception(WorkerError(f"worker {self.index}: {message['error']}"))
        else:
            self._reloaded.set_result(message["outcome"])


def cause(code: int) -> str:
    """Return how a process ended: ``ended with code 1``, ``was killed by SIGKILL``."""
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
