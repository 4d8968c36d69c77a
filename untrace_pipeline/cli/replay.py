"""``replay``: sends dead letters again."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from untrace_pipeline.api.identity import ComponentId
from untrace_pipeline.cli import counted
from untrace_pipeline.cli.letters import Desk, Storage, amount_text, run, total
from untrace_pipeline.cli.progress import ProgressDisplay
from untrace_pipeline.cli.targets import Letters, Targets, exporters_of
from untrace_pipeline.data import Signal
from untrace_pipeline.delivery.dead_letters import Amount, LetterFilter, Progress, Replayer

__all__ = ["execute"]

GRACE_SECONDS = 5.0
"""After the first Ctrl-C, for what is under way."""
INTERRUPTED = 130


def execute(arguments: argparse.Namespace) -> int:
    """Send; 0 if everything was delivered, 1 if something failed, 130 if it was interrupted."""
    return run(arguments, _replay)


@dataclass(slots=True)
class _Summary:
    """What became of the letters of all stores."""

    delivered: Amount = field(default_factory=Amount)
    failed: Amount = field(default_factory=Amount)
    left: int = 0
    """Letters that were not tried."""
    gone: int = 0
    rejected: int = 0
    """Items that a destination took note of and rejected (partial success): they are gone."""
    buried: int = 0
    """Items of delivered letters that were too large on their own: dead letters again."""
    errors: dict[str, int] = field(default_factory=dict)
    unavailable: bool = False
    interrupted: bool = False

    def add(self, progress: Progress, amount: Amount) -> None:
        """Add what became of the letters of one store."""
        self.delivered += progress.delivered
        self.failed += progress.failed
        self.gone += progress.gone
        self.left += max(0, amount.letters - progress.done.letters - progress.gone)
        self.unavailable |= progress.unavailable
        for text, count in progress.errors.items():
            self.errors[text] = self.errors.get(text, 0) + count

    @property
    def code(self) -> int:
        """The exit code."""
        if self.interrupted:
            return INTERRUPTED
        return 1 if self.failed.letters or self.buried or self.unavailable else 0


async def _replay(desk: Desk, arguments: argparse.Namespace) -> int:
    if not arguments.dry_run:
        await desk.open()
    jobs = [job for storage in desk.storages if (job := await _plan(desk, storage, arguments.to)) is not None]
    if not jobs:
        print("no dead letters fit" if desk.chosen else "no dead letters")
        return 0
    if arguments.dry_run:
        _print_plan(jobs)
        return 0
    summary = _Summary()
    for job in jobs:
        if not summary.interrupted:
            await _run(desk, job, arguments, summary)
    for item in Signal:
        summary.rejected += int(desk.metrics.value(f"exporter_rejected_{item.item}"))
    summary.buried = int(desk.metrics.value("exporter_dead_lettered_items"))
    _report(summary, as_json=arguments.json)
    return summary.code


@dataclass(frozen=True, slots=True)
class _Job:
    """The letters of one store, and where they go."""

    storage: Storage
    amounts: Mapping[tuple[str, Signal], Amount]
    exporters: Mapping[str, ComponentId]

    @property
    def letters(self) -> Letters:
        """Signals by exporter."""
        names = {name for name, _ in self.amounts}
        return {name: frozenset(signal for one, signal in self.amounts if one == name) for name in names}


async def _plan(desk: Desk, storage: Storage, to: str | None) -> _Job | None:
    job = _Job(storage, await desk.amounts(storage), {})
    return replace(job, exporters=exporters_of(desk, job.letters, to)) if job.amounts else None


def _print_plan(jobs: Sequence[_Job]) -> None:
    print(f"{amount_text(total(amount for job in jobs for amount in job.amounts.values()))} would be sent:")
    for job in jobs:
        for name in sorted(job.letters):
            amount = total(amount for (one, _), amount in job.amounts.items() if one == name)
            target = str(job.exporters[name])
            print(f"  {name}{f' to {target}' if target != name else ''}: {amount_text(amount)}")


async def _run(desk: Desk, job: _Job, arguments: argparse.Namespace, summary: _Summary) -> None:
    store = job.storage.store
    targets = Targets(desk, job.storage, job.letters, job.exporters)
    await targets.start()
    replayer = Replayer(
        store,
        lambda letter: targets.consumer(letter.exporter),
        concurrency=arguments.concurrency,
        rate=arguments.rate,
        limit=desk.limit,
    )
    amount = total(job.amounts.values())
    display = ProgressDisplay(replayer.progress, amount, sys.stderr)
    showing = asyncio.create_task(display.show())
    try:
        summary.interrupted = await _until_interrupted(replayer, desk.chosen)
    finally:
        showing.cancel()
        display.end()
        summary.add(replayer.progress, amount)
        await targets.stop()
    await store.give_back()


async def _until_interrupted(replayer: Replayer, chosen: LetterFilter) -> bool:
    """Run, and return whether a signal ended it: the first lets what is under way end, the second does not."""
    loop = asyncio.get_running_loop()
    work = asyncio.create_task(replayer.run(chosen))
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        if interrupted:
            work.cancel()
        interrupted = True
        replayer.stop()
        loop.call_later(GRACE_SECONDS, work.cancel)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    try:
        await asyncio.wait({work})
        if not (interrupted and work.cancelled()):
            work.result()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    return interrupted


def _report(summary: _Summary, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(summary), ensure_ascii=False))
        return
    print(f"{amount_text(summary.delivered)} delivered")
    if summary.rejected:
        print(f"{counted(summary.rejected, 'item')} of them rejected by the destination, and gone (partial success)")
    if summary.buried:
        print(f"{counted(summary.buried, 'item')} of them too large on their own: dead letters again")
    if summary.failed.letters:
        print(f"{amount_text(summary.failed)} failed, and stay:")
        for text, count in sorted(summary.errors.items(), key=lambda one: -one[1]):
            print(f"  {counted(count, 'letter')}: {text}")
    if summary.gone:
        print(f"{counted(summary.gone, 'letter')} removed by somebody else meanwhile")
    if summary.unavailable:
        print(f"the destination takes nothing at the moment: {counted(summary.left, 'letter')} not tried")
    elif summary.interrupted:
        print(f"interrupted: {counted(summary.left, 'letter')} left; the same command goes on with them")
