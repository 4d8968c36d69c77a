"""The schedule of attempts."""

from __future__ import annotations

import random

import pytest

from untrace_pipeline.delivery import RetryConfig
from untrace_pipeline.delivery.retry import Backoff


def schedule(count: int, seed: int = 1, **options: object) -> list[float | None]:
    backoff = Backoff(RetryConfig.model_validate(options), 0.0, random.Random(seed))
    now, waits = 0.0, []
    for _ in range(count):
        wait = backoff.next(now)
        waits.append(wait)
        now += wait or 0.0
    return waits


def test_grows_by_the_multiplier_up_to_the_greatest_interval() -> None:
    """Without jitter the waits are exactly initial · multiplierⁿ, capped."""
    waits = schedule(6, randomization_factor=0, max_elapsed_time="0s")
    assert waits == pytest.approx([5, 7.5, 11.25, 16.875, 25.3125, 30])


def test_jitter_stays_within_its_share() -> None:
    """Each wait is drawn from ±50 % around the interval, and differs between requests."""
    firsts = [schedule(1, seed=seed)[0] for seed in range(200)]
    assert all(first is not None and 2.5 <= first <= 7.5 for first in firsts)
    assert len(set(firsts)) > 100


def test_gives_up_when_the_next_attempt_would_come_too_late() -> None:
    """No wait ends after max_elapsed_time: better to give up now than to wait for nothing."""
    assert schedule(4, randomization_factor=0, max_elapsed_time="30s") == pytest.approx([5, 7.5, 11.25, None])


def test_zero_means_for_ever() -> None:
    """max_elapsed_time 0 never gives up."""
    assert None not in schedule(500, max_elapsed_time="0s")


def test_disabled_gives_up_at_once() -> None:
    """enabled: false makes one attempt only."""
    assert schedule(1, enabled=False) == [None]


@pytest.mark.parametrize(("wish", "wait"), [(20, 20), (1, 5), (None, 5)])
def test_the_longer_of_both_waits_wins(wish: float | None, wait: float) -> None:
    """The destination may ask for more patience, not for less."""
    backoff = Backoff(RetryConfig(randomization_factor=0), 0.0, random.Random(1))
    assert backoff.next(0.0, wish) == wait


def test_a_wish_beyond_the_deadline_ends_it() -> None:
    """Who asks us to wait longer than we may is given up at once."""
    assert Backoff(RetryConfig(), 0.0, random.Random(1)).next(0.0, 301) is None


def test_an_absurd_wish_is_bounded() -> None:
    """A destination cannot make us sleep for ever, or break the timer."""
    config = RetryConfig.model_validate({"max_elapsed_time": "0s"})
    assert Backoff(config, 0.0, random.Random(1)).next(0.0, float("inf")) == 86400


def test_the_preset_of_the_requirements() -> None:
    """1 s doubled each time up to 5 min, ±10 %, for ever; options written beside it win."""
    waits = schedule(12, preset="untrace", randomization_factor=0)
    assert waits == pytest.approx([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300])
    jittered = [schedule(1, seed=seed, preset="untrace")[0] for seed in range(100)]
    assert all(wait is not None and 0.9 <= wait <= 1.1 for wait in jittered)
    assert schedule(
        5, preset="untrace", randomization_factor=0, max_elapsed_time="5m", max_interval="3s"
    ) == pytest.approx([1, 2, 3, 3, 3])
