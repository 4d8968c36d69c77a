"""Runs over letters: each letter to one run at a time, those that were there at the beginning, each once."""

from __future__ import annotations

import asyncio

from tests.unit.delivery.dead_letters.conftest import NOW, Clock, Make, every, letter
from untrace_pipeline.delivery.dead_letters import LEASE_SECONDS, LetterFilter
from untrace_pipeline.errors import Code, PermanentError

ALL = LetterFilter()


def ids(letters: object) -> list[int]:
    return [one.id for one in letters]  # type: ignore[attr-defined]


async def test_each_letter_goes_to_one_run(make: Make) -> None:
    """Two runs in two processes never get the same letter."""
    one, two = make(), make()
    await one.bury([letter(n) for n in range(40)])
    first, second = await one.begin(ALL), await two.begin(ALL)
    found = await asyncio.gather(
        *(one.claim(first, limit=3) for _ in range(7)), *(two.claim(second, limit=3) for _ in range(7))
    )
    claimed = [number for letters in found for number in ids(letters)]
    assert sorted(claimed) == list(range(1, 41))


async def test_new_letters_are_not_included(make: Make) -> None:
    """What is buried after a run began is not part of it."""
    store = make()
    await store.bury([letter(1), letter(2)])
    run = await store.begin(ALL)
    await store.bury([letter(3)])
    assert ids(await store.claim(run, limit=10)) == [1, 2]
    assert ids(await store.claim(await store.begin(ALL), limit=10)) == [3]


async def test_filter_of_a_run(make: Make) -> None:
    """A run gets only letters that fit its filter, in order, after the id that it names."""
    store = make()
    await store.bury([letter(n, exporter="file" if n % 2 else "debug") for n in range(10)])
    run = await store.begin(LetterFilter(exporters=["file"]))
    assert ids(await store.claim(run, after=4, limit=2)) == [6, 8]


async def test_claim_of_a_dead_run_ends(make: Make, clock: Clock) -> None:
    """A run that does not renew its claims, because it died, loses them after the lease; one that does keeps them."""
    store = make()
    await store.bury([letter(1)])
    dead, alive = await store.begin(ALL), await store.begin(ALL)
    await store.claim(dead)
    clock.now += LEASE_SECONDS - 1
    assert await store.claim(alive) == []
    assert await store.claimed_by_others(alive) == 1
    await store.renew(dead)
    clock.now += LEASE_SECONDS - 1
    assert await store.claim(alive) == []
    clock.now += 2
    assert await store.claimed_by_others(alive) == 0
    assert ids(await store.claim(alive)) == [1]


async def test_release(make: Make) -> None:
    """A run that ends early leaves its letters to others at once."""
    store = make()
    await store.bury([letter(1), letter(2)])
    first = await store.begin(ALL)
    await store.claim(first, limit=2)
    await store.release(first)
    assert ids(await store.claim(await store.begin(ALL), limit=2)) == [1, 2]


async def test_letter_that_fails_again_stays(make: Make, clock: Clock) -> None:
    """Reason, code, message and attempts are those of the last failure; the time of the first one stays."""
    store = make()
    await store.bury([letter(1, attempts=3, metadata={"x-tenant": ("acme",)})])
    run = await store.begin(ALL)
    (claimed,) = await store.claim(run)
    clock.now += 5
    error = PermanentError("HTTP 403: quota", code=Code.PERMISSION_DENIED)
    await store.keep(claimed, reason="expired", error=error, attempts=2)
    (found,) = await every(store)
    assert (found.reason, found.code, found.message, found.attempts) == (
        "expired",
        "PERMISSION_DENIED",
        "HTTP 403: quota",
        5,
    )
    assert (found.failed_at, found.replayed_at) == (NOW + 1, NOW + 5)
    assert found.metadata == {"x-tenant": ("acme",)}
    assert await store.payload(found) == letter(1).payload
    assert set(await store.totals()) == {("otlp_http/backend", "expired")}


async def test_letter_that_fails_again_is_not_tried_twice(make: Make, clock: Clock) -> None:
    """A letter that failed in any run is not given again to runs that had begun before, but to a later one."""
    store = make()
    await store.bury([letter(1)])
    first, second = await store.begin(ALL), await store.begin(ALL)
    (claimed,) = await store.claim(first)
    clock.now += 1
    await store.keep(claimed, reason="permanent", error=PermanentError("no"))
    assert await store.claim(first) == []
    assert await store.claim(second) == []
    clock.now += 1
    assert ids(await store.claim(await store.begin(ALL))) == [1]


async def test_removed_letter_is_not_kept(make: Make) -> None:
    """Writing down the failure of a letter that somebody purged meanwhile does nothing."""
    store = make()
    await store.bury([letter(1)])
    (claimed,) = await store.claim(await store.begin(ALL))
    await store.remove([1])
    await store.keep(claimed, reason="permanent", error=PermanentError("no"))
    assert await store.totals() == {}
