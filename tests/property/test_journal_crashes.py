"""A journal on a disk in memory, through thousands of seeded schedules of kills, power losses, full disks and failures.

The seed that fails is in the name of the test; ``run(seed)`` repeats its schedule exactly.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.inline_writer import InlineWriter, run_inline
from tests.support.journals import Keeper, ledger_of, numbers, open_journal, record, take_all
from tests.support.simulated_disk import SimulatedDisk, SimulatedFiles
from untrace_pipeline.api import RetryableError
from untrace_pipeline.delivery.storage import Record
from untrace_pipeline.testing import run_with_fake_clock
from untrace_plugins.extensions.file_storage import backlog, journal
from untrace_plugins.extensions.file_storage.journal import FileJournal

SEEDS = range(250)
PATH = Path("/journal")


class Model:
    """What a journal must hold, by the numbers of the records."""

    def __init__(self, *, loses_power: bool) -> None:
        self.loses_power = loses_power
        self.next = 0
        self.items: dict[int, int] = {}
        self.held: set[int] = set()
        """Acknowledged and not ended."""
        self.unsure: set[int] = set()
        """Neither acknowledged nor refused when the process died; or refused, because a power loss may bring back what
        the disk was told to forget."""
        self.ended: set[int] = set()
        self.ended_durably: set[int] = set()
        self.accepted = 0
        """Items that were ever in the journal, as far as anybody can know."""

    def new(self, rng: random.Random) -> Record:
        number, self.next = self.next, self.next + 1
        one = record(number, rng.choice((8, 100, 700, 3000)), items=rng.randint(1, 9))
        self.items[number] = one.items
        return one

    def acknowledge(self, number: int) -> None:
        """A record is in the journal, as its future says, or as it shows by coming out."""
        if number in self.unsure:
            self.unsure.discard(number)
            self.held.add(number)
            self.accepted += self.items[number]


class Session:
    """One process, from opening the journal to its death."""

    def __init__(self, model: Model, journal: FileJournal, rng: random.Random) -> None:
        self.model = model
        self.journal = journal
        self.rng = rng
        self.taken: list[Record] = []
        self.writers: set[asyncio.Task[None]] = set()

    def append(self) -> None:
        for _ in range(self.rng.randint(1, 6)):
            one = self.model.new(self.rng)
            task = asyncio.create_task(self._append(one))
            self.writers.add(task)
            task.add_done_callback(self.writers.discard)

    async def _append(self, one: Record) -> None:
        [number] = numbers([one])
        self.model.unsure.add(number)
        try:
            await self.journal.append(one)
        except RetryableError as error:
            if not self.model.loses_power and "killed" not in str(error):
                self.model.unsure.discard(number)
            return
        self.model.acknowledge(number)

    async def take(self) -> None:
        with suppress(TimeoutError):  # a dead disk
            async with asyncio.timeout(3):
                self.taken += await self.journal.take(self.rng.choice((1, 500, 5000)))

    def end(self) -> None:
        self.rng.shuffle(self.taken)
        for one in self.taken[self.rng.randint(0, len(self.taken)) :]:
            [number] = numbers([one])
            self.taken.remove(one)
            if self.rng.random() < 0.2:
                self.journal.give_back(one)
                continue
            self.model.acknowledge(number)
            self.model.held.discard(number)
            self.model.ended.add(number)
            part = self.rng.randint(0, one.items)
            outcome = {"delivered": part, "rejected": one.items - part}
            self.journal.end(one, {state: items for state, items in outcome.items() if items})


async def recover(model: Model, session: Session) -> None:
    """Check what a process finds: all that was acknowledged, nothing that was never written, and sums to the item."""
    journal = session.journal
    ledger = ledger_of(journal)
    assert journal.recovery is not None
    assert min(ledger.values()) >= 0
    async with asyncio.timeout(30):
        found = await take_all(journal)
    session.taken = found
    present = numbers(found)
    assert len(present) == len(set(present))
    assert not model.held - set(present), "acknowledged records are missing"
    assert set(present) <= model.held | model.unsure | model.ended
    assert not set(present) & model.ended_durably, "a record came back although its end was on the disk"
    assert [one.items for one in found] == [model.items[number] for number in present]
    for number in present:
        model.acknowledge(number)
    model.held |= set(present)
    model.ended -= set(present)
    model.unsure.clear()
    damaged = ledger["damaged"] + journal.take_damaged()
    assert journal.recovery.appended == model.accepted + damaged
    assert journal.held.items == sum(one.items for one in found)


async def live(session: Session, disk: SimulatedDisk, files: SimulatedFiles, rng: random.Random) -> None:
    """Use the journal until the process dies, or has had enough."""
    for _ in range(rng.randint(1, 60)):
        if files.killed:
            return
        if rng.random() < 0.02:
            disk.capacity = disk.used + rng.randint(0, 3000)
        elif rng.random() < 0.1:
            disk.capacity = 1 << 40
        match rng.randrange(6):
            case 0 | 1:
                session.append()
            case 2 | 3:
                await session.take()
            case 4:
                session.end()
            case _:
                await asyncio.sleep(rng.choice((0, 0.001, 0.01, 2.0)))


async def run(seed: int) -> None:
    rng = random.Random(seed)
    disk, model = SimulatedDisk(rng), Model(loses_power=rng.random() < 0.5)
    failing = rng.choice((0.0, 0.0, 0.05))
    for _ in range(rng.randint(2, 8)):
        disk.capacity = 1 << 40
        budget = rng.choice((500, 5_000, 50_000, 1_000_000)) * rng.randint(1, 10)
        files = SimulatedFiles(disk, budget, failing_syncs=failing)
        try:
            opened = await open_journal(PATH, segment_size=3000, files=files, fsync=True, keeper=Keeper(memory=2000))
        except OSError:
            assert files.killed or failing
        else:
            session = Session(model, opened, rng)
            await recover_unless_killed(model, session, files)
            await live(session, disk, files, rng)
            await finish(session, files, rng)
        if model.loses_power:
            disk.lose_power()
    disk.capacity = 1 << 40
    opened = await open_journal(PATH, segment_size=3000, files=SimulatedFiles(disk, 1 << 40), fsync=True)
    last = Session(model, opened, rng)
    await recover(model, last)
    for one in last.taken:
        opened.end(one, {"delivered": one.items})
    await opened.close()
    assert {path.name for path in disk.names if path.parent == PATH} == {"ledger"}
    opened = await open_journal(PATH, files=SimulatedFiles(disk, 1 << 40))
    assert ledger_of(opened)["held"] == 0
    await opened.close()


async def recover_unless_killed(model: Model, session: Session, files: SimulatedFiles) -> None:
    try:
        await recover(model, session)
    except (AssertionError, TimeoutError):
        if not files.killed:
            raise


async def finish(session: Session, files: SimulatedFiles, rng: random.Random) -> None:
    """End a process: properly, or in the middle of everything."""
    model, journal = session.model, session.journal
    if rng.random() < 0.5 and not files.killed:
        await journal.close()
        if not files.killed and not files.failing_syncs:
            model.ended_durably = set(model.ended)
        if not files.killed:
            await asyncio.gather(*session.writers)
            return
    files.killed = True
    await asyncio.gather(*session.writers)
    await journal.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_acknowledged_is_lost(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever happens, what was acknowledged is delivered, once where the end reached the disk, and the sums hold."""
    monkeypatch.setattr(journal, "Writer", InlineWriter)
    monkeypatch.setattr(backlog.asyncio, "to_thread", run_inline)
    run_with_fake_clock(run(seed))
