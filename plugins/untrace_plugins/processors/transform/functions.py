"""Custom Python functions, called in a process of their own, so that one that hangs, dies or eats memory is only that.

A thread cannot be stopped; a process can. Who takes longer than ``timeout`` is killed with all its children; after
``max_failures`` of that in a row nothing is called for ``pause``. The event loop only ever waits, it never works.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import pickle
import signal
import sys
import time
from pathlib import Path
from typing import Any

from untrace_pipeline.api import StartError
from untrace_plugins.processors.transform.function_process import LENGTH
from untrace_plugins.processors.transform.operations import FunctionConfig

__all__ = ["Answer", "CallFailed", "FunctionProcess"]

START_SECONDS = 30.0
"""Time that importing the function may take: heavy libraries take some seconds."""
LARGEST_ANSWER = 1 << 30
_SCRIPT = Path(__file__).with_name("function_process.py")

Answer = tuple[list[Any], list[str]]


class CallFailed(Exception):  # noqa: N818  a state of the other process
    """The function could not be called, or did not answer; ``outcome`` is the word of the metric."""

    def __init__(self, outcome: str, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome


class _Plain(pickle.Unpickler):
    """Reads values, never objects: what the other process answers is data."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        msg = f"{module_name}.{global_name} is no value"
        raise pickle.UnpicklingError(msg)


class FunctionProcess:
    """The process of one function; calls come one after the other."""

    def __init__(self, options: FunctionConfig) -> None:
        self._options = options
        self._lock = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._failures = 0
        self._paused_until = float("-inf")
        self._closed = False

    async def start(self) -> None:
        """Start the process. Raises :class:`StartError` where the function cannot be imported."""
        try:
            await self._running()
        except CallFailed as error:
            msg = f"function {self._options.call}: {error}"
            raise StartError(msg) from error

    async def call(self, items: list[dict[str, Any]]) -> Answer:
        """Return what the function made of the items. Raises :class:`CallFailed`."""
        async with self._lock:
            if time.monotonic() < self._paused_until:
                raise CallFailed("paused", "it failed too often and is not called for a while")
            try:
                process = await self._running()
                answer = await asyncio.wait_for(self._exchange(process, items), self._options.timeout)
            except TimeoutError:
                await self._fail()
                msg = f"it took longer than {self._options.timeout:g} s for {len(items)} items and was stopped"
                raise CallFailed("timeout", msg) from None
            except (OSError, EOFError, pickle.UnpicklingError, ValueError) as error:
                await self._fail()
                raise CallFailed("died", f"its process ended or answered nonsense ({type(error).__name__})") from None
            except asyncio.CancelledError:
                await self._kill()  # it is somewhere in the middle of an answer that nobody will read
                raise
            self._failures = 0
            return answer

    async def close(self) -> None:
        """End the process. Safe twice and without ``start``."""
        self._closed = True
        await self._kill()

    async def _exchange(self, process: asyncio.subprocess.Process, items: list[dict[str, Any]]) -> Answer:
        assert process.stdin is not None
        raw = pickle.dumps((self._options.per.value == "batch", items), protocol=5)
        process.stdin.write(LENGTH.pack(len(raw)) + raw)
        await process.stdin.drain()
        changes, errors = await _receive(process)
        if not isinstance(changes, list) or len(changes) != len(items):
            raise ValueError("an answer of another length")
        return changes, errors

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        if self._closed:
            raise CallFailed("died", "the processor is shutting down")
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # the folder of the script is no place to import from
            str(_SCRIPT),
            self._options.call,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            trouble = await asyncio.wait_for(_receive(process), START_SECONDS)
        except (TimeoutError, OSError, EOFError, pickle.UnpicklingError, ValueError) as error:
            await self._fail()
            raise CallFailed("died", f"its process does not start ({type(error).__name__})") from None
        except asyncio.CancelledError:
            await self._kill()
            raise
        if trouble is not None:
            await self._fail()
            raise CallFailed("died", str(trouble))
        return process

    async def _fail(self) -> None:
        await self._kill()
        self._failures += 1
        if self._failures >= self._options.max_failures:
            self._failures = 0
            self._paused_until = time.monotonic() + self._options.pause

    async def _kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        transport = getattr(process, "_transport", None)
        if transport is not None:
            transport.close()


async def _receive(process: asyncio.subprocess.Process) -> Any:
    assert process.stdout is not None
    (size,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
    if size > LARGEST_ANSWER:
        raise ValueError("an answer beyond reason")
    return _Plain(io.BytesIO(await process.stdout.readexactly(size))).load()
