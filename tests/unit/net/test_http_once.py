"""Requests that come twice: how long they are remembered, and how many."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import pytest

from untrace_pipeline.net.http_message import HttpError, Response
from untrace_pipeline.net.http_once import Once
from untrace_pipeline.testing import RecordingMeter


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Work:
    """Counts how often it is done."""

    def __init__(self) -> None:
        self.done = 0
        self.hold: asyncio.Event | None = None

    async def __call__(self) -> Response:
        self.done += 1
        if self.hold is not None:
            await self.hold.wait()
        return Response(HTTPStatus.ACCEPTED, b"%d" % self.done)


@pytest.fixture
def clock() -> Clock:
    """A clock at zero."""
    return Clock()


@pytest.fixture
def meter() -> RecordingMeter:
    """A meter."""
    return RecordingMeter()


@pytest.fixture
def once(clock: Clock, meter: RecordingMeter) -> Once:
    """Two answers for ten seconds."""
    return Once(10, 2, meter.counter("replayed"), clock)


async def test_answers_expire(once: Once, clock: Clock, meter: RecordingMeter) -> None:
    """An answer is given again until its time is over."""
    work = Work()
    first = await once.once(("a",), b"", work)
    clock.now = 9.9
    again = await once.once(("a",), b"", work)
    assert (again.body, again.status) == (first.body, first.status)
    assert again.headers == (("x-idempotency-replayed", "true"),)
    clock.now = 10.0
    assert (await once.once(("a",), b"", work)).body == b"2"
    assert meter.value("replayed") == 1


async def test_the_oldest_goes_first(once: Once) -> None:
    """No more is remembered than there is room for."""
    work = Work()
    for key in ("a", "b", "c"):
        await once.once((key,), b"", work)
    assert len(once._answered) == 2
    assert (await once.once(("a",), b"", work)).body == b"4"


async def test_large_answers_go_sooner(clock: Clock, meter: RecordingMeter, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many keys there may be, their answers have a limit in bytes."""
    monkeypatch.setattr("untrace_pipeline.net.http_once.MAX_BYTES", 10)
    once, work = Once(10, 1000, meter.counter("replayed"), clock), Work()
    for key in range(25):
        await once.once((str(key),), b"", work)
    assert sum(len(one.answer.body) for one in once._answered.values()) <= 12
    assert len(once._answered) < 10


async def test_a_later_change_of_headers_changes_no_answer(once: Once) -> None:
    """What a server adds to one answer is not in the next."""
    first = await once.once(("a",), b"", Work())
    first.headers += (("date", "now"),)
    assert ("date", "now") not in (await once.once(("a",), b"", Work())).headers


async def test_another_request_is_a_conflict(once: Once) -> None:
    """A key belongs to one request, also while that one is under way."""
    work = Work()
    work.hold = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(once.once(("a",), b"1", work))
        await asyncio.sleep(0)
        with pytest.raises(HttpError) as caught:
            await once.once(("a",), b"2", work)
        work.hold.set()
        await task
    assert caught.value.status is HTTPStatus.CONFLICT
    with pytest.raises(HttpError):
        await once.once(("a",), b"2", work)


async def test_failures_are_shared_and_forgotten(once: Once) -> None:
    """Who waits for the same request gets its failure; the next one tries again."""
    release = asyncio.Event()

    async def fail() -> Response:
        await release.wait()
        raise HttpError(HTTPStatus.SERVICE_UNAVAILABLE, "full")

    tasks = [asyncio.create_task(once.once(("a",), b"", fail)) for _ in range(2)]
    await asyncio.sleep(0)
    release.set()
    for failure in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(failure, HttpError)
        assert str(failure) == "full"
    assert (await once.once(("a",), b"", Work())).body == b"1"


async def test_who_goes_away_costs_nobody_else_an_answer(once: Once) -> None:
    """If the first is cancelled, those that wait are told to come again; if a waiter is, nothing happens."""
    work = Work()
    work.hold = asyncio.Event()
    first = asyncio.create_task(once.once(("a",), b"", work))
    await asyncio.sleep(0)
    second, third = [asyncio.create_task(once.once(("a",), b"", work)) for _ in range(2)]
    await asyncio.sleep(0)
    third.cancel()
    first.cancel()
    results = await asyncio.gather(first, second, third, return_exceptions=True)
    assert isinstance(results[1], HttpError)
    assert results[1].status is HTTPStatus.SERVICE_UNAVAILABLE
    assert all(isinstance(one, asyncio.CancelledError) for one in (results[0], results[2]))
