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
    """Two thirds kept: ones and twos, with a mean of one and a half; a hair less than three is hardly ever two."""
    counts = [count for count in adjusted_counts(["ot=th:55"] * 4000) or [] if count is not None]
    assert set(counts) == {1, 2}
    assert 1.4 < sum(counts) / len(counts) < 1.6
    assert (adjusted_counts(["ot=th:aaaaaa"] * 2000) or []).count(3) > 1990
