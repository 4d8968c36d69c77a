"""All series of one metric of one resource, as many as the limit allows."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator

from untrace_plugins.metrics.instruments import Instrument
from untrace_plugins.metrics.series import Attributes, Moment, Series

__all__ = ["MAX_VALUE_LENGTH", "OVERFLOW", "Family", "shortened"]

OVERFLOW = "otel.metric.overflow"
"""Attribute of the series that counts what has no series of its own (OTel metrics SDK, "Cardinality limits")."""
MAX_VALUE_LENGTH = 4096
"""Longest text that tells series apart; of longer ones the beginning does. Guards memory against prompts as names."""

Key = tuple[Hashable, ...]


class Family:
    """Series by key; the keys of a family have values of one list of dimensions."""

    __slots__ = ("_limit", "_overflow", "_series", "instrument")

    def __init__(self, instrument: Instrument, limit: int) -> None:
        self.instrument = instrument
        self._limit = limit
        self._series: dict[Key, Series] = {}
        self._overflow: Series | None = None

    def find(self, key: Key, attributes: Callable[[], Attributes], now: Moment) -> tuple[Series, bool]:
        """Return the series of a key, made if need be, and whether it is its own and not the one of the overflow."""
        series = self._series.get(key)
        if series is None:
            key = shortened(key)
            series = self._series.get(key)
        if series is not None:
            series.seen = now.seconds
            return series, True
        if self._limit and len(self._series) >= self._limit:
            return self._overflowing(now), False
        series = self._series[key] = self.instrument.make(_shortened_attributes(attributes()), now)
        return series, True

    def __len__(self) -> int:
        return len(self._series) + (self._overflow is not None)

    def series(self) -> Iterator[tuple[Key, Series]]:
        """Yield all series with their keys; that of the overflow has the key ``("otel.metric.overflow",)``."""
        yield from self._series.items()
        if self._overflow is not None:
            yield (OVERFLOW,), self._overflow

    def expire(self, before: float) -> None:
        """Forget series that were last added to at or before a time, seconds of the event loop."""
        self._series = {key: series for key, series in self._series.items() if series.seen > before}
        if self._overflow is not None and self._overflow.seen <= before:
            self._overflow = None

    def _overflowing(self, now: Moment) -> Series:
        if self._overflow is None:
            self._overflow = self.instrument.make({OVERFLOW: True}, now)
        self._overflow.seen = now.seconds
        return self._overflow


def shortened(key: Key) -> Key:
    """Return a key without what is too long to keep."""
    if not any(type(value) is str and len(value) > MAX_VALUE_LENGTH for value in key):
        return key
    return tuple([value[:MAX_VALUE_LENGTH] if isinstance(value, str) else value for value in key])


def _shortened_attributes(attributes: Attributes) -> Attributes:
    return {name: value[:MAX_VALUE_LENGTH] if isinstance(value, str) else value for name, value in attributes.items()}
