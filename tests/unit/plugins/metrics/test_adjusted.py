"""How many spans one stands for."""

from __future__ import annotations

from untrace_plugins.metrics.adjusted import adjusted_counts


def test_costs_nothing_without_tracestates() -> None:
    """Where no span says anything there is no column at all."""
    assert adjusted_counts(["", "", ""]) is None
    assert adjusted_counts(["vendor=1", ""]) is None


def test_thresholds_and_what_is_none() -> None:
    """Half, a quarter, all; what cannot be read says nothing."""
    states = ["ot=th:8", "ot=th:c", "ot=th:0", "", "vendor=1", "ot=th:xyz", "ot=th:8,bad", "x" * 2000 + "ot=th:8"]
    assert adjusted_counts(states) == [2, 4, 1, None, None, None, None, None]


def test_fractions_are_right_in_the_mean() -> None:
    """A third kept: threes, and now and then a four or two, with the mean of three."""
    counts = adjusted_counts(["ot=th:aaaaaa"] * 2000)
    assert counts is not None
    assert set(counts) <= {3, 4}
    assert adjusted_counts(["ot=th:55"] * 4000) is not None
    half = [count for count in adjusted_counts(["ot=th:55"] * 4000) or [] if count is not None]
    assert 1.4 < sum(half) / len(half) < 1.6
