"""Files of a queue that were damaged anywhere, by somebody who knows little of their format: the rest is delivered."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from tests.soak.damage import Vandal, records
from tests.support.chaos.items import find_items, request_bytes
from tests.support.journals import append_all, open_journal, take_all
from untrace_pipeline.delivery.storage import Record

REQUESTS = 60


def request(number: int) -> Record:
    """Return a record of five spans."""
    return Record(b"header", request_bytes(range(number * 5, number * 5 + 5)), 5, float(number))


async def written(path: Path, rng: random.Random, done: set[int]) -> None:
    """Write a queue and leave it as a kill would; or end some of it, and close it properly."""
    live = path.with_name("live")
    journal = await open_journal(live, segment_size=20_000)
    await append_all(journal, [request(number) for number in range(REQUESTS)])
    if killed := rng.random() < 0.5:
        shutil.copytree(live, path)
    for record in await journal.take(1 << 30):
        if rng.random() < 0.3 and not killed:
            journal.end(record, {"delivered": record.items})
            done.update(item for item, _, _ in find_items(record.payload))
    await journal.close()
    if not killed:
        live.rename(path)


async def test_every_record_is_known(tmp_path: Path) -> None:
    """The little that the vandal knows of the format finds every record."""
    queue, done = tmp_path / "queue", set[int]()
    await written(queue, random.Random(1), done)
    found = [
        item
        for path in sorted(queue.glob("*.seg"))
        for begin, end in records(path.read_bytes())
        for item, intact, _ in find_items(path.read_bytes()[begin:end])
        if intact
    ]
    assert set(found) >= set(range(REQUESTS * 5)) - done


@pytest.mark.parametrize("seed", range(40))
async def test_what_was_not_hit_is_delivered(seed: int, tmp_path: Path) -> None:
    """Whatever was done to the files, every item whose record was not touched comes out, and none comes out altered."""
    rng, done, queue = random.Random(seed), set[int](), tmp_path / "queue"
    await written(queue, rng, done)
    vandal = Vandal(seed)
    said = [line for _ in range(rng.randint(1, 4)) for line in vandal.visit(queue)]
    journal = await open_journal(queue)
    found = [each for record in await take_all(journal) for each in find_items(record.payload)]
    await journal.close()
    assert all(intact for _, intact, _ in found), said
    missing = set(range(REQUESTS * 5)) - done - {item for item, _, _ in found} - vandal.hit.items
    assert not missing, said
