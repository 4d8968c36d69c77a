"""Steers chances so that an hour's traces keep to its bounds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from untrace_plugins.processors.llm_sampler.config import HourlyConfig

__all__ = ["Hourly"]

HOUR = 3600.0
STEP = 10.0
"""Seconds between two looks at what has come: short enough for a burst, long enough to know something."""
MEMORY = 300.0
"""Seconds after which what was seen counts for 1/e."""


@dataclass(slots=True)
class _Flow:
    """What comes per second, on average over :data:`MEMORY`."""

    chances: float = 0.0
    """Sum of the chances of traces without a reason to be kept: how many of them would be kept."""
    cost: float = 0.0
    """Sum of chance times cost of these, in USD."""
    certain: float = 0.0
    """Traces that are always kept."""

    def scaled(self, factor: float) -> _Flow:
        return _Flow(self.chances * factor, self.cost * factor, self.certain * factor)

    def plus(self, other: _Flow) -> _Flow:
        return _Flow(self.chances + other.chances, self.cost + other.cost, self.certain + other.certain)


class Hourly:
    """A factor for all chances, looked at every few seconds: what is left of the bounds, over what is still to come.

    As the factor holds for some time and for all traces, the chance of each is known, and what is kept stands for the
    right number. Only where a bound is reached is nothing more kept, and that which would have been is missing.
    """

    def __init__(self, config: HourlyConfig, clock: Callable[[], float], parts: int = 1) -> None:
        """``clock`` tells seconds since the Unix epoch; of the bounds, this has one of so many equal parts."""
        self._min = config.min_traces / parts
        self._max = config.max_traces / parts or math.inf
        self._target = config.target_cost / parts or math.inf
        self._idle = not self._min and self._max == self._target == math.inf
        self._clock = clock
        self._hour = clock() // HOUR
        self._looked = clock()
        self._seen = _Flow()
        """Since the last look."""
        self._average = _Flow()
        self._weight = 0.0
        self._kept = 0
        self._cost = 0.0
        self.factor = 1.0

    def chance(self, chance: float, cost: float) -> float:
        """Return the chance of a trace that has that one by itself, and cost so much."""
        if self._idle:
            return chance
        self._look()
        self._seen.chances += chance
        self._seen.cost += chance * cost
        if self._kept >= self._max or self._cost >= self._target:
            return 0.0
        return min(chance * self.factor, 1.0)

    def keep(self, cost: float | None) -> None:
        """Count a trace that is kept; ``None`` for the cost of one that is always kept."""
        if self._idle:
            return
        self._look()
        self._kept += 1
        if cost is None:
            self._seen.certain += 1
        else:
            self._cost += cost

    def _look(self) -> None:
        now = self._clock()
        hour = now // HOUR
        if hour != self._hour:
            self._hour, self._kept, self._cost = hour, 0, 0.0
        elif now - self._looked < STEP:
            return
        self._remember(max(now - self._looked, STEP))
        self._looked = now
        self.factor = self._steer((hour + 1) * HOUR - now)

    def _remember(self, seconds: float) -> None:
        """Make what was seen part of the average; the weight tells how much of it is known at all."""
        fading = math.exp(-seconds / MEMORY)
        self._average = self._average.scaled(fading).plus(self._seen.scaled((1 - fading) / seconds))
        self._weight = self._weight * fading + 1 - fading
        self._seen = _Flow()

    def _steer(self, left: float) -> float:
        coming = self._average.scaled(left / self._weight)
        room = self._max - self._kept - coming.certain
        wanted = self._min - self._kept - coming.certain
        factor = max(1.0, _over(wanted, coming.chances))
        return max(min(factor, _over(room, coming.chances), _over(self._target - self._cost, coming.cost)), 0.0)


def _over(amount: float, rate: float) -> float:
    """Return how often the rate goes into an amount; no matter how often, where nothing comes."""
    return amount / rate if rate > 0 else math.inf
