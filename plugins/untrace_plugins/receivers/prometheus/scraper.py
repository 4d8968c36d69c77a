"""Scraping one target: what it shows, what is gone, and what the scrape itself was like."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from untrace_plugins.receivers.prometheus.config import ScrapeConfig
from untrace_plugins.receivers.prometheus.discovery import Target
from untrace_plugins.receivers.prometheus.families import Families
from untrace_plugins.receivers.prometheus.fetch import Fetched, ScrapeError
from untrace_plugins.receivers.prometheus.otlp import compose
from untrace_plugins.receivers.prometheus.series import LimitError, Sample, Series, SeriesCache, Starts
from untrace_plugins.receivers.prometheus.text import Exemplar, Metadata, TextError, read_text

__all__ = ["Scrape", "Scraper"]

OWN = (
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
)
"""What is told of every scrape."""
LINES_PER_LOOK = 50
"""Samples between looks at the clock; an answer with fewer is never too slow to read."""


@dataclass(slots=True)
class Scrape:
    """What came of a scrape."""

    payload: bytes
    """An OTLP request of metrics."""
    error: str = ""
    """Why the target counts as down."""


@dataclass(slots=True)
class _Tally:
    """What a scrape brought so far."""

    shown: int = 0
    kept: int = 0
    """After relabelling."""
    added: int = 0
    """Series that were not known."""
    found: list[tuple[Sample, Exemplar | None]] = field(default_factory=list)
    error: str = ""


class Scraper:
    """Keeps what must be known of a target from one scrape to the next."""

    def __init__(self, job: ScrapeConfig, target: Target, external: Mapping[str, str]) -> None:
        self._job = job
        self._target = target
        self._cache = SeriesCache(job, dict(target.labels), dict(external))
        self._own = {name: self._cache.own(name) for name in OWN}
        self._metadata: dict[str, Metadata] = {}
        self._starts = Starts()
        self._there: set[Series] = set()
        """Series of the last scrape that are to be marked as stale when they are gone."""
        self._number = 0

    def read(self, fetched: Fetched | ScrapeError, started: float, seconds: float) -> Scrape:
        """Return a request of all that a target showed; of one that is down, that it is, and that its series are gone.

        ``started`` is when the scrape began, seconds since 1970; ``seconds`` how long the target took to answer. What
        is left of its time is for reading the answer: a target with more than that fails, and does not keep us at it.
        """
        self._number += 1
        begun = time.perf_counter()
        now = int(started * 1000)
        tally = _Tally()
        try:
            if isinstance(fetched, ScrapeError):
                raise fetched
            self._collect(fetched, now, tally, begun + self._target.timeout - seconds)
        except (ScrapeError, TextError, LimitError) as problem:
            tally.error, tally.found = str(problem), []
        there = {sample.series for sample, _ in tally.found if self._is_tracked(sample.series)}
        families = Families(self._metadata)
        for sample, exemplar in tally.found:
            families.add(sample, exemplar)
        for series in self._there - there:
            families.add(Sample(series, math.nan, now, stale=True))
        told = (not tally.error, seconds + time.perf_counter() - begun, tally.shown, tally.kept, tally.added)
        for name, value in zip(OWN, told, strict=True):
            families.add(Sample(self._own[name], float(value), now))
        self._there = there
        self._cache.forget(whole=not tally.error)
        self._starts.age()
        return Scrape(compose(families, self._target.scheme, self._starts), tally.error)

    def end(self, now: float) -> Scrape:
        """Return a request that marks all series as gone, because the target is."""
        families = Families(self._metadata)
        for series in (*self._there, *self._own.values()):
            families.add(Sample(series, math.nan, int(now * 1000), stale=True))
        self._there = set()
        return Scrape(compose(families, self._target.scheme, self._starts))

    def _collect(self, fetched: Fetched, now: int, tally: _Tally, until: float) -> None:
        """Add all samples. Raises what makes a scrape fail."""
        metadata: dict[str, Metadata] = {}
        most = self._job.sample_limit
        for line in read_text(fetched.text, metadata, openmetrics=fetched.openmetrics):
            tally.shown += 1
            if not tally.shown % LINES_PER_LOOK and time.perf_counter() > until:
                timeout = f"{self._target.timeout:g} s (scrape_timeout)"
                raise LimitError(f"its answer was not read within {timeout}: no more than {tally.shown} samples")
            series, is_new = self._cache.find(line.series)
            if series is None:
                continue
            tally.kept += 1
            if most and tally.kept > most:
                continue
            tally.added += is_new
            timed = line.timestamp is not None and self._job.honor_timestamps
            when = int(line.timestamp) if timed and line.timestamp is not None else now
            if series.seen == self._number and not timed:
                continue  # the same series twice: the first counts, as in Prometheus
            series.seen, series.timed = self._number, timed
            tally.found.append((Sample(series, line.value, when), line.exemplar))
        if most and tally.kept > most:
            raise LimitError(f"it has more than {most} samples (sample_limit)")
        self._metadata.update(metadata)

    def _is_tracked(self, series: Series) -> bool:
        return series.name != "target_info" and (not series.timed or self._job.track_timestamps_staleness)
