"""The ``prometheus`` receiver: a task per target, each at its own moment of the interval."""

from __future__ import annotations

import asyncio
import time

from untrace_pipeline.api import ConsumeError, Host, Intake, RetryableError, Settings, StartError
from untrace_pipeline.data import Batch, Context, Signal
from untrace_plugins.receivers.prometheus.config import PrometheusReceiverConfig, ScrapeConfig
from untrace_plugins.receivers.prometheus.discovery import Discovery, Target
from untrace_plugins.receivers.prometheus.fetch import Fetched, Fetcher, ScrapeError
from untrace_plugins.receivers.prometheus.scraper import Scrape, Scraper

__all__ = ["PrometheusReceiver"]

REFRESH_SECONDS = 5.0
"""How late a change of a file with targets is noticed."""
THREAD_BYTES = 256 * 1024
"""Answers from this size on are read in a thread."""
RETRY_SECONDS = 1.0
"""Until a scrape that was refused is offered again, where the pipelines do not say."""
RETRY_LIMIT_SECONDS = 10.0


class PrometheusReceiver:
    """Scrapes the targets of all jobs."""

    def __init__(self, config: PrometheusReceiverConfig, settings: Settings, next: Intake) -> None:
        self._jobs = [_Job(config, job, settings, next) for job in config.config.scrape_configs]
        self._name = f"receiver {settings.id}"

    async def start(self, host: Host) -> None:
        """Find the targets and begin to scrape them. Raises :class:`StartError` for files that cannot be read."""
        try:
            for job in self._jobs:
                await job.start(host)
        except StartError as error:
            await self.shutdown()
            msg = f"{self._name}: {error}"
            raise StartError(msg) from error

    async def shutdown(self) -> None:
        """Scrape no more. Series are not marked as stale: whoever takes over goes on with them."""
        await asyncio.gather(*(job.stop() for job in self._jobs))


class _Job:
    """One of ``scrape_configs``."""

    def __init__(self, config: PrometheusReceiverConfig, job: ScrapeConfig, settings: Settings, next: Intake) -> None:
        self._config = config
        self._job = job
        self._next = next
        self._logger = settings.logger
        self._fetcher = Fetcher(job, settings.logger)
        self._discovery = Discovery(job, config.interval(job), config.timeout(job), settings.logger)
        self._scrapes = {
            outcome: settings.meter.counter("receiver_prometheus_scrapes", job=job.job_name, outcome=outcome)
            for outcome in ("success", "failed", "dropped")
        }
        self._running: dict[Target, asyncio.Task[None]] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None
        settings.meter.gauge("receiver_prometheus_targets", job=job.job_name).observe_with(lambda: len(self._running))

    async def start(self, host: Host) -> None:
        self._fetcher.start()
        await self._refresh(host)
        if self._job.file_sd_configs:
            self._task = host.spawn(self._watch(host), name=f"targets of {self._job.job_name}")

    async def stop(self) -> None:
        tasks = [*self._running.values(), *self._leaving]
        if self._task is not None:
            tasks.append(self._task)
        for task in tasks:
            task.cancel()
        self._task = None
        try:
            if tasks:
                await asyncio.wait(tasks)
        finally:
            self._running.clear()
            await self._fetcher.close()

    async def _watch(self, host: Host) -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            await self._refresh(host)

    async def _refresh(self, host: Host) -> None:
        """Begin with targets that are new, and end with those that are gone."""
        present = await asyncio.to_thread(self._discovery.targets)
        for target in [one for one in self._running if one not in present]:
            task = self._running.pop(target)
            task.cancel()
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)
        for target in sorted(present - self._running.keys(), key=lambda one: one.url):
            work = self._scrape_always(target)
            self._running[target] = host.spawn(work, name=f"scrapes {target.url}")

    async def _scrape_always(self, target: Target) -> None:
        scraper = Scraper(self._job, target, self._config.external_labels)
        loop = asyncio.get_running_loop()
        due = loop.time() + _until(target)
        failing = ""
        try:
            while True:
                await asyncio.sleep(max(0.0, due - loop.time()))
                due = max(due + target.interval, loop.time())
                failing = await self._scrape(scraper, target, due, failing)
        except asyncio.CancelledError:
            if target not in self._running and self._task is not None:
                await self._say_goodbye(scraper)
            raise

    async def _scrape(self, scraper: Scraper, target: Target, due: float, failing: str) -> str:
        """Scrape once, and hand on what came before the next is due; return why the target is down, if it is."""
        started, clock = time.time(), time.perf_counter()
        fetched: Fetched | ScrapeError
        try:
            fetched = await self._fetcher.fetch(target.url, target.timeout)
        except ScrapeError as error:
            fetched = error
        seconds = time.perf_counter() - clock
        if isinstance(fetched, Fetched) and len(fetched.text) >= THREAD_BYTES:
            scrape = await asyncio.to_thread(scraper.read, fetched, started, seconds)
        else:
            scrape = scraper.read(fetched, started, seconds)
        if scrape.error and scrape.error != failing:
            self._logger.warning("target %s of job %s is down: %s", _shown(target), self._job.job_name, scrape.error)
        elif failing and not scrape.error:
            self._logger.info("target %s of job %s is up again", _shown(target), self._job.job_name)
        taken = await self._hand_on(scrape, due)
        self._scrapes["dropped" if not taken else "failed" if scrape.error else "success"].add()
        return scrape.error

    async def _hand_on(self, scrape: Scrape, due: float) -> bool:
        """Offer a scrape until it is accepted, refused for good, or too old; return whether it was accepted."""
        loop = asyncio.get_running_loop()
        context = Context(transport="http")
        while True:
            try:
                await self._next.consume(Batch(Signal.METRICS, scrape.payload, context))
            except RetryableError as error:
                wait = min(error.retry_after or RETRY_SECONDS, RETRY_LIMIT_SECONDS)
                if loop.time() + wait >= due:
                    self._logger.warning("a scrape of job %s is dropped: %s", self._job.job_name, error)
                    return False
                await asyncio.sleep(wait)
            except ConsumeError as error:
                self._logger.warning("a scrape of job %s is dropped: %s", self._job.job_name, error)
                return False
            else:
                return True

    async def _say_goodbye(self, scraper: Scraper) -> None:
        """Mark the series of a target that is gone as stale."""
        await self._hand_on(scraper.end(time.time()), asyncio.get_running_loop().time() + RETRY_LIMIT_SECONDS)


def _until(target: Target) -> float:
    """Return the seconds until a target's moment in its interval."""
    return (target.phase() * target.interval - time.time()) % target.interval


def _shown(target: Target) -> str:
    """Return the URL without its parameters, which may be secrets."""
    return target.url.partition("?")[0]
