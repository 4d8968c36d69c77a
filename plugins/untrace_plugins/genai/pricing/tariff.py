"""Prices compiled for the hot path: US dollars per million tokens, by size of the prompt and by time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from untrace_plugins.genai.emit.cost import Cost

__all__ = ["FixedSchedule", "Found", "Rates", "Schedule", "Step", "Tariff", "Usage"]

_MILLION = 1_000_000  # divided by last, so that amounts are as round as prices are


class Usage(NamedTuple):
    """Tokens of one call, as the convention counts them: cached ones within input, reasoning within output."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Rates:
    """US dollars for a million tokens of each sort, and for the request itself."""

    input: float
    """For input that is in no cache."""
    output: float
    """For output that is no reasoning."""
    cache_read: float
    cache_write: float
    reasoning: float
    request: float = 0.0

    def price(self, usage: Usage) -> Cost:
        """Return what a call costs. Parts are ``None`` where there were no such tokens."""
        sent, answered, read, written, thought = usage
        cost_read, cost_written, cost_thought = (
            read * self.cache_read,
            written * self.cache_write,
            thought * self.reasoning,
        )
        cost_sent = (sent - read - written) * self.input + cost_read + cost_written
        cost_answered = (answered - thought) * self.output + cost_thought
        return Cost(
            (cost_sent + cost_answered) / _MILLION + self.request,
            cost_sent / _MILLION,
            cost_answered / _MILLION,
            cost_read / _MILLION if read else None,
            cost_written / _MILLION if written else None,
            cost_thought / _MILLION if thought else None,
        )


@dataclass(frozen=True, slots=True)
class Step:
    """Rates for all tokens of calls with more than so many input tokens."""

    above: int
    rates: Rates


class Tariff:
    """Rates by the size of the prompt; providers price the whole call by the step that it reaches."""

    __slots__ = ("_first", "_steps")

    def __init__(self, first: Rates, steps: Sequence[Step] = ()) -> None:
        self._first = first
        self._steps = tuple(sorted(steps, key=lambda step: -step.above))

    def price(self, usage: Usage) -> Cost:
        """Return what a call costs."""
        for step in self._steps:
            if usage.input > step.above:
                return step.rates.price(usage)
        return self._first.price(usage)


class Schedule(Protocol):
    """Tariffs over time."""

    def at(self, unix_nano: int) -> Tariff | None:
        """Return the tariff for a call that started then, ``None`` if there was none yet."""


class Found(NamedTuple):
    """The prices of a model, under names of which there are only so many: the catalogue's, or those of an entry."""

    provider: str
    model: str
    schedule: Schedule


class FixedSchedule:
    """Tariffs that each hold from a moment on."""

    __slots__ = ("_tariffs",)

    def __init__(self, tariffs: Sequence[tuple[int, Tariff]]) -> None:
        self._tariffs = tuple(sorted(tariffs, key=lambda pair: -pair[0]))

    def at(self, unix_nano: int) -> Tariff | None:
        """Return the latest that held then."""
        return next((tariff for since, tariff in self._tariffs if unix_nano >= since), None)
