"""Series of one target: what their text means after relabelling, which are there, and when they began."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from untrace_plugins.receivers.prometheus.config import ScrapeConfig
from untrace_plugins.receivers.prometheus.relabel import Labels, Relabelling
from untrace_plugins.receivers.prometheus.text import read_labels

__all__ = ["Key", "LimitError", "Sample", "Series", "SeriesCache", "Starts"]

Key = tuple[tuple[str, str], ...]
"""Labels, sorted."""
_BOUNDARIES = {"le", "quantile"}
ADDED_AT_MOST = 1000
"""Series that scrapes which broke off may add before some are forgotten, besides as many as there were."""
KEPT_SCRAPES = 10
"""For so many, and at most twice as many, the beginning of a series that is not shown is remembered."""
_OF_RESOURCE = {"job", "instance", "__name__"}


class LimitError(ValueError):
    """A target shows more than its job allows."""


@dataclass(slots=True, eq=False)
class Series:
    """A series as it goes on."""

    name: str
    job: str
    instance: str
    scope: Key
    """Labels ``otel_scope_…``."""
    attributes: Key
    """All other labels."""
    plain: Key
    """These without ``le`` and ``quantile``."""
    boundaries: Labels
    """``le`` and ``quantile``."""
    info: Key
    """All labels but those of the resource, for ``target_info``."""
    seen: int = 0
    """In which scrape it was last there."""
    timed: bool = False
    """Whether it has timestamps of its own."""


class Sample(NamedTuple):
    """A value of a series."""

    series: Series
    value: float
    timestamp: int
    """Milliseconds since 1970."""
    stale: bool = False
    """Whether the series is gone."""


class SeriesCache:
    """Knows series by how they are written: relabelling is done once for each."""

    def __init__(self, job: ScrapeConfig, target: Labels, external: Labels) -> None:
        """``target`` are the labels that the scrape adds."""
        self._job = job
        self._target = target
        self._external = external
        self._relabelling = Relabelling(job.metric_relabel_configs)
        self._known: dict[str, Series | None] = {}
        self._used: set[str] = set()
        self._last = 0  # how many were there when some were forgotten

    def find(self, text: str) -> tuple[Series | None, bool]:
        """Return a series, and whether it was not known; ``None`` where relabelling drops it.

        Raises :class:`TextError`, :class:`LimitError`.
        """
        self._used.add(text)
        if text in self._known:
            return self._known[text], False
        series = self._known[text] = self._made(read_labels(text))
        return series, True

    def forget(self, *, whole: bool) -> None:
        """Forget what the scrape that ended did not show.

        After one that broke off, ``whole`` is false: then only where too much is remembered, because what did not come
        may come again.
        """
        present, self._used = self._used, set()
        if whole or len(self._known) > 2 * self._last + ADDED_AT_MOST:
            self._last = len(present)
            if len(self._known) > self._last:
                self._known = {text: series for text, series in self._known.items() if text in present}

    def __len__(self) -> int:
        return len(self._known)

    def own(self, name: str) -> Series:
        """Return a series of the scrape itself, such as ``up``: it is not relabelled."""
        return self._series({**self._target, **self._external, "__name__": name})

    def _made(self, scraped: Labels) -> Series | None:
        labels = {name: value for name, value in scraped.items() if value}
        for name, value in self._target.items():
            if self._job.honor_labels:
                labels.setdefault(name, value)
            else:
                if name in labels:
                    labels[_free(labels, f"exported_{name}")] = labels[name]
                labels[name] = value
        relabelled = self._relabelling.apply(labels) if self._relabelling else labels
        if not relabelled or "__name__" not in relabelled:
            return None
        self._check(relabelled)
        return self._series(relabelled | self._external)

    def _check(self, labels: Labels) -> None:
        job = self._job
        if job.label_limit and len(labels) > job.label_limit:
            raise LimitError(f"a sample has more than {job.label_limit} labels (label_limit)")
        if job.label_name_length_limit and any(len(name) > job.label_name_length_limit for name in labels):
            raise LimitError(f"a name of a label is longer than {job.label_name_length_limit}")
        if job.label_value_length_limit and any(len(value) > job.label_value_length_limit for value in labels.values()):
            raise LimitError(f"a value of a label is longer than {job.label_value_length_limit}")

    def _series(self, labels: Labels) -> Series:
        pairs = sorted((name, value) for name, value in labels.items() if name not in _OF_RESOURCE)
        scope = tuple(pair for pair in pairs if pair[0].startswith("otel_scope_"))
        attributes = tuple(pair for pair in pairs if not pair[0].startswith(("otel_scope_", "__")))
        return Series(
            name=labels["__name__"],
            job=labels.get("job") or self._target["job"],
            instance=labels.get("instance") or self._target["instance"],
            scope=scope,
            attributes=attributes,
            plain=tuple(pair for pair in attributes if pair[0] not in _BOUNDARIES),
            boundaries={name: value for name, value in attributes if name in _BOUNDARIES},
            info=tuple(pairs),
        )


def _free(labels: Labels, name: str) -> str:
    while name in labels:
        name = f"exported_{name}"
    return name


@dataclass(slots=True)
class _Start:
    start: int
    last: float
    when: int
    seen: int = 0


@dataclass(slots=True)
class Starts:
    """When cumulative series began, as far as can be known: nanoseconds since 1970.

    A series begins when it is first seen. When it goes down it was reset, and began anew after the scrape before.
    """

    _known: dict[object, _Start] = field(default_factory=dict)
    _scrape: int = 0

    def of(self, key: object, value: float, now: int, created: int) -> int:
        """Return when a series began whose value is this now; ``created`` is what the target says, or 0."""
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = _Start(created or now, value, now)
        elif value < known.last:
            known.start = known.when
        if created and created <= now:
            known.start = created
        known.last, known.when, known.seen = value, now, self._scrape
        return known.start

    def forget(self, key: object) -> None:
        """Forget a series that is gone."""
        self._known.pop(key, None)

    def age(self) -> None:
        """A scrape has ended: now and then, forget what was not there for long.

        Series with timestamps of their own are not told to be gone, and those of containers are many.
        """
        self._scrape += 1
        if self._scrape % KEPT_SCRAPES == 0:
            oldest = self._scrape - KEPT_SCRAPES
            self._known = {key: start for key, start in self._known.items() if start.seen >= oldest}

    def __len__(self) -> int:
        return len(self._known)
