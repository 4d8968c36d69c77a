"""The place where content of events waits for its span."""

from __future__ import annotations

import asyncio

from untrace_plugins.genai import names
from untrace_plugins.processors.genai_normalizer.events import EventStore, SpanKey

KEY = (b"t", b"s")
PROMPT = {names.INPUT_MESSAGES: "[]"}
ANSWER = {names.OUTPUT_MESSAGES: "[]"}


class Losses:
    """A store with a clock that is set by hand, and what it lost."""

    def __init__(self, max_age: float = 60.0, max_bytes: int = 1 << 20) -> None:
        self.now = 0.0
        self.lost: dict[str, int] = {}
        self.store = EventStore(max_age, max_bytes, lambda: self.now)
        self.store.lost = self._lose

    def _lose(self, reason: str, count: int) -> None:
        self.lost[reason] = self.lost.get(reason, 0) + count


def test_content_is_kept_in_order() -> None:
    """Events of one span are joined as they came; one that came twice counts once."""
    store = Losses().store
    store.put(KEY, PROMPT)
    store.put(KEY, ANSWER)
    store.put(KEY, PROMPT)
    assert store.get(KEY) == [PROMPT, ANSWER]
    assert store.get((b"t", b"other")) == []
    assert store.complete(KEY)


def test_age() -> None:
    """What waited too long goes when something else comes; only what was never joined is lost."""
    losses = Losses(max_age=10)
    losses.store.put(KEY, PROMPT)
    losses.store.put((b"t", b"joined"), PROMPT)
    losses.store.get((b"t", b"joined"))
    losses.now = 11
    losses.store.put((b"t", b"new"), PROMPT)
    assert losses.store.get(KEY) == []
    assert losses.lost == {"age": 1}


def test_size() -> None:
    """An event larger than all that may be kept is not kept."""
    losses = Losses(max_bytes=1000)
    losses.store.put(KEY, {names.INPUT_MESSAGES: "x" * 2000})
    assert losses.store.byte_size == 0
    assert losses.lost == {"size": 1}


def test_waiting_in_another_loop() -> None:
    """A store that outlives an event loop, as between tests of a configuration, serves the next one."""
    store = Losses().store
    for number in range(2):
        asyncio.run(_wait_and_put(store, (b"t", b"%d" % number)))


async def _wait_and_put(store: EventStore, key: SpanKey) -> None:
    waiting = asyncio.create_task(store.wait([key], 60))
    await asyncio.sleep(0)
    store.put(key, ANSWER)
    await waiting
    assert store.complete(key)


def test_leaving() -> None:
    """The last processor that leaves takes the content with it."""
    losses = Losses()
    first, second = Losses(), Losses()
    for user in (first, second):
        losses.store.enter(user)
    losses.store.put(KEY, PROMPT)
    losses.store.leave(first)
    assert losses.store.get(KEY) == [PROMPT]
    losses.store.put((b"t", b"2"), PROMPT)
    losses.store.leave(second)
    assert losses.store.byte_size == 0
    assert losses.lost == {"shutdown": 1}
