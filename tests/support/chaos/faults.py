"""What can go wrong at a destination, and the seeded schedule by which it does."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Fault(StrEnum):
    """What becomes of one request. In brackets: what HTTP and gRPC say."""

    ACCEPT = "accept"
    SLOW = "slow"
    """Taken, after a while that is shorter than the client's patience."""
    UNAVAILABLE = "unavailable"
    """Not taken; may come again (503, UNAVAILABLE)."""
    THROTTLE = "throttle"
    """Not taken; may come again after a time (429 with Retry-After, RESOURCE_EXHAUSTED with RetryInfo)."""
    HANG = "hang"
    """Not taken, and never answered."""
    RESET = "reset"
    """Not taken; the connection is cut, sometimes in the middle of an answer."""
    LOST_ANSWER = "lost_answer"
    """Taken, but the connection is cut before the answer: it comes again, rightly."""
    PARTIAL = "partial"
    """Taken but for some items, which are rejected for good (partial success)."""
    TOO_LARGE = "too_large"
    """Not taken; smaller ones may be (413, RESOURCE_EXHAUSTED)."""
    BAD_REQUEST = "bad_request"
    """Refused for good (400, INVALID_ARGUMENT)."""
    SERVER_ERROR = "server_error"
    """Refused for good in OTLP's words (500, INTERNAL)."""


@dataclass(frozen=True)
class Weights:
    """How likely each fault is, relative to the others."""

    of: Mapping[Fault, float]

    @classmethod
    def calm(cls) -> Self:
        """Nothing goes wrong."""
        return cls({Fault.ACCEPT: 1.0})

    @classmethod
    def wild(cls) -> Self:
        """Everything goes wrong; two requests of three are taken in the end."""
        return cls(
            {
                Fault.ACCEPT: 60,
                Fault.SLOW: 6,
                Fault.UNAVAILABLE: 8,
                Fault.THROTTLE: 6,
                Fault.HANG: 1,
                Fault.RESET: 5,
                Fault.LOST_ANSWER: 4,
                Fault.PARTIAL: 4,
                Fault.TOO_LARGE: 3,
                Fault.BAD_REQUEST: 2,
                Fault.SERVER_ERROR: 1,
            }
        )

    @classmethod
    def retryable(cls) -> Self:
        """Everything goes wrong that may be mended: every item is to be taken in the end."""
        final = {Fault.PARTIAL, Fault.TOO_LARGE, Fault.BAD_REQUEST, Fault.SERVER_ERROR}
        return cls({fault: weight for fault, weight in cls.wild().of.items() if fault not in final})

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``calm``, ``wild``, ``retryable``, or ``accept=60,hang=1,…``."""
        match text:
            case "calm":
                return cls.calm()
            case "wild":
                return cls.wild()
            case "retryable":
                return cls.retryable()
        pairs = (part.partition("=") for part in text.split(","))
        return cls({Fault(name.strip()): float(weight) for name, _, weight in pairs})

    def __str__(self) -> str:
        return ",".join(f"{fault}={weight:g}" for fault, weight in self.of.items())


@dataclass(frozen=True)
class Step:
    """What to do with one request."""

    fault: Fault
    seconds: float = 0.0
    """How long a slow one takes, or when a throttled one may come again."""
    share: float = 0.0
    """How much of a partial success is rejected; of a reset, whether it comes in the middle of an answer."""


class Schedule:
    """The steps for the requests in order of arrival; equal seeds and weights give equal steps."""

    def __init__(self, seed: int = 0, weights: Weights | None = None, *, slow_seconds: float = 0.2) -> None:
        self.seed = seed
        self._slow = slow_seconds
        self._random = random.Random(seed)
        self.weights = weights or Weights.calm()

    def next(self) -> Step:
        """Return what to do with the next request."""
        faults = list(self.weights.of)
        fault = self._random.choices(faults, [self.weights.of[each] for each in faults])[0]
        return Step(fault, self._random.uniform(0.01, self._slow), self._random.random())
