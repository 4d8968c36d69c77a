"""What items of a signal are called."""

from __future__ import annotations

import pytest

from untrace_pipeline.data import Signal


@pytest.mark.parametrize(
    ("signal", "one", "many"),
    [
        (Signal.TRACES, "1 span", "2 spans"),
        (Signal.METRICS, "1 metric point", "2 metric points"),
        (Signal.LOGS, "1 log record", "2 log records"),
    ],
)
def test_items_are_counted_in_words(signal: Signal, one: str, many: str) -> None:
    """One is one, none and several are several."""
    assert signal.counted(1) == one
    assert signal.counted(2) == many
    assert signal.counted(0) == many.replace("2", "0")
