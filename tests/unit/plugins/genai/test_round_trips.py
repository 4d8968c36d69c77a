"""Spans that real instrumentations sent, into each form and back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.captures import captures
from tests.support.genai_forms import CANONICAL, applied, held, reading, there_and_back
from untrace_pipeline.data import Field, Level, Signal
from untrace_plugins.genai import names
from untrace_plugins.genai.names import Form
from untrace_plugins.genai.normalise import normalise

FIELDS = [Field(Level.ITEM, name) for name in ("attributes", "start_time_unix_nano", "end_time_unix_nano")]


def canonical_spans(capture: str) -> Iterator[tuple[dict[str, Any], int, int]]:
    """Yield the canonical attributes of each LLM span of a capture, alone, with its times."""
    for _, batch in captures()[capture].otlp(Signal.TRACES):
        for attributes, start, end in zip(*batch.columns(FIELDS), strict=True):
            whole = applied(attributes, normalise(attributes, start=start).values)  # type: ignore[arg-type]
            if names.DIALECT in whole:
                yield {name: whole[name] for name in CANONICAL & whole.keys()}, start, end  # type: ignore[misc]


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("capture", [name for name in sorted(captures()) if name != "langsmith-runs-0.14.17"])
def test_captures_come_back_as_they_went(capture: str, form: Form) -> None:
    """Each span of each capture is the same after it has been in a form, but for what the form cannot hold."""
    spans = list(canonical_spans(capture))
    assert spans
    for canonical, start, end in spans:
        assert reading(there_and_back(form, canonical, start, end)) == held(form, canonical)
