"""Which level gets the data: pure, it knows times but does not wait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from untrace_plugins.connectors.alternatives import Group, Refusal

__all__ = ["Standing", "Turn"]


@dataclass(frozen=True, slots=True)
class Turn:
    """The order in which one batch is offered, and the level that got the data when that was decided."""

    groups: Sequence[Group]
    level: int


class Standing:
    """The levels of one signal. Any number of batches may be under way; each has its :class:`Turn`."""

    def __init__(self, levels: Sequence[Group], retry_interval: float) -> None:
        self._levels = tuple(levels)
        self._interval = retry_interval
        self._next_try = 0.0
        self.level = 0
        """Which level gets the data; 0 is the first."""

    @property
    def current(self) -> Group:
        """The level that gets the data."""
        return self._levels[self.level]

    def turn(self, now: float) -> Turn:
        """Return whom to ask: the current level, worse ones, and better ones before they would be refused at all.

        One batch per interval is offered to the better levels first.
        """
        level = begin = self.level
        if level and now >= self._next_try:
            self._next_try = now + self._interval
            begin = 0
        return Turn(self._levels[begin:] + self._levels[:begin], level)

    def accepted(self, turn: Turn, taker: Group, refusals: Sequence[Refusal], now: float) -> bool:
        """Learn from a batch that was taken; return whether the level changes.

        It gets better when a level that was out is seen to work. It gets worse when the current one refuses in a way
        that will last. A batch that was under way during an earlier change proves nothing about it.
        """
        found = self._levels.index(taker)
        better = found < self.level and found < turn.level
        worse = found > self.level and any(one.group is self.current and one.lasting for one in refusals)
        if worse and not self.level:
            self._next_try = now + self._interval
        if better or worse:
            self.level = found
        return better or worse
