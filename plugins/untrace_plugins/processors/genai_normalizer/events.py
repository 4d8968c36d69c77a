"""The place where content of events waits for its span, shared by the pipelines that name one processor."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias
from weakref import WeakSet, WeakValueDictionary

from untrace_pipeline.data import Value
from untrace_plugins.genai import names

__all__ = ["EventStore", "SpanKey", "shared_store"]

SpanKey: TypeAlias = tuple[bytes, bytes]
"""Trace id and span id."""

_OVERHEAD = 400
"""Bytes that an entry takes besides its text."""


class EventStore:
    """Content of events by the span that it belongs to, bounded by age and by size; the oldest goes first.

    It is kept after the span has come: a request that is refused comes again.
    """

    def __init__(self, max_age: float, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.max_age = max_age
        self.max_bytes = max_bytes
        self.byte_size = 0
        self.lost: Callable[[str, int], None] = lambda _reason, _count: None
        """Called with the reason and the number of events that were let go and never joined."""
        self._clock = clock
        self._users: WeakSet[object] = WeakSet()
        self._entries: OrderedDict[SpanKey, _Entry] = OrderedDict()
        self._waiting: set[asyncio.Future[None]] = set()

    def put(self, key: SpanKey, content: Mapping[str, Value]) -> None:
        """Keep the content of one event. Content that was kept already, of a request that came again, is not added."""
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry(self._clock())
        if content not in entry.contents:
            entry.contents.append(content)
            size = _OVERHEAD + sum(len(value) if isinstance(value, str) else 16 for value in content.values())
            entry.size += size
            self.byte_size += size
        self._shrink()
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    def get(self, key: SpanKey) -> list[Mapping[str, Value]]:
        """Return the content for a span, in order of arrival."""
        entry = self._entries.get(key)
        if entry is None:
            return []
        entry.joined = True
        return entry.contents

    def complete(self, key: SpanKey) -> bool:
        """Return whether there is an answer for a span: nothing is expected to follow it."""
        entry = self._entries.get(key)
        return entry is not None and any(names.OUTPUT_MESSAGES in content for content in entry.contents)

    async def wait(self, keys: Iterable[SpanKey], seconds: float) -> None:
        """Wait until every span has an answer, or the time is up."""
        missing = [key for key in keys if not self.complete(key)]
        if not missing:
            return
        try:
            async with asyncio.timeout(seconds):
                while missing:
                    await self._next()
                    missing = [key for key in missing if not self.complete(key)]
        except TimeoutError:
            return

    async def _next(self) -> None:
        """Return when something was put. Each waiter has a future of its own loop: a store may outlive one."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        try:
            await waiter
        finally:
            self._waiting.discard(waiter)

    def enter(self, user: object) -> None:
        """Say that a processor needs the store."""
        self._users.add(user)

    def leave(self, user: object) -> None:
        """Say that a processor needs the store no more; when the last has, everything is let go."""
        self._users.discard(user)
        while self._entries and not self._users:
            self._drop("shutdown")

    def _shrink(self) -> None:
        oldest = self._clock() - self.max_age
        while self._entries and next(iter(self._entries.values())).since < oldest:
            self._drop("age")
        while self.byte_size > self.max_bytes and self._entries:
            self._drop("size")

    def _drop(self, reason: str) -> None:
        _, entry = self._entries.popitem(last=False)
        self.byte_size -= entry.size
        if not entry.joined:
            self.lost(reason, len(entry.contents))


class _Entry:
    __slots__ = ("contents", "joined", "since", "size")

    def __init__(self, since: float) -> None:
        self.since = since
        self.contents: list[Mapping[str, Value]] = []
        self.joined = False
        self.size = 0


_STORES: WeakValueDictionary[str, EventStore] = WeakValueDictionary()


def shared_store(component: str, user: object, max_age: float, max_bytes: int) -> EventStore:
    """Return the store of a component id: its instances in a traces and in a logs pipeline have the same.

    It lives as long as one of them does, and so through a reload; then the bounds are those of the newest.
    """
    store = _STORES.get(component)
    if store is None:
        store = _STORES[component] = EventStore(max_age, max_bytes)
    store.max_age, store.max_bytes = max_age, max_bytes
    store.enter(user)
    return store
