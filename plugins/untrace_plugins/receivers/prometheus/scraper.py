"""Scraping one target: what it shows, what is gone, and what the scrape itself was like."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

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


@dataclass(slots=True)
class Scrape:
    """What came of a scrape."""

    payload: bytes
    """An OTLP request of metrics."""
    error: str = ""
    """Why the target counts as down."""


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

        ``started`` is when the scrape began, seconds since 1970; ``seconds`` how long it took.
        """
        self._number += 1
        now = int(started * 1000)
        error = ""
        found: list[tuple[Sample, Exemplar | None]] = []
        shown = 0
        try:
            if isinstance(fetched, ScrapeError):
                raise fetched
            shown = self._collect(fetched, now, found)
        except (ScrapeError, TextError, LimitError) as problem:
            error, found = str(problem), []
        there = {sample.series for sample, _ in found if self._is_tracked(sample.series)}
        families = Families(self._metadata)
        for sample, exemplar in found:
            families.add(sample, exemplar)
        for series in self._there - there:
            families.add(Sample(series, math.nan, now, stale=True))
        told = (float(not error), seconds, float(shown), float(len(found)), float(len(there - self._there)))
        for name, value in zip(OWN, told, strict=True):
            families.add(Sample(self._own[name], value, now))
        self._there = there
        if not error:
            self._cache.forget()
        return Scrape(compose(families, self._target.scheme, self._starts), error)

    def end(self, now: float) -> Scrape:
        """Return a request that marks all series as gone, because the target is."""
        families = Families(self._metadata)
        for series in (*self._there, *self._own.values()):
            families.add(Sample(series, math.nan, int(now * 1000), stale=True))
        self._there = set()
        return Scrape(compose(families, self._target.scheme, self._starts))

    def _collect(self, fetched: Fetched, now: int, found: list[tuple[Sample, Exemplar | None]]) -> int:
        """Add all samples; return how many the target showed. Raises what makes a scrape fail."""
        shown = 0
        metadata: dict[str, Metadata] = {}
        for line in read_text(fetched.text, metadata, openmetrics=fetched.openmetrics):
            shown += 1
            series = self._cache.find(line.series)
            if series is None:
                continue
            timed = line.timestamp is not None and self._job.honor_timestamps
            when = int(line.timestamp) if timed and line.timestamp is not None else now
            if series.seen == self._number and series.timed == timed and not timed:
                continue  # the same series twice: the first counts, as in Prometheus
            series.seen, series.timed = self._number, timed
            found.append((Sample(series, line.value, when), line.exemplar))
            if self._job.sample_limit and len(found) > self._job.sample_limit:
                raise LimitError(f"it has more than {self._job.sample_limit} samples (sample_limit)")
        self._metadata.update(metadata)
        return shown

    def _is_tracked(self, series: Series) -> bool:
        if series.name in ("target_info", "otel_scope_info"):
            return False
        return not series.timed or self._job.track_timestamps_staleness
